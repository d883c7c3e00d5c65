package source

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const (
	// maxPages bounds the pages that are read before others have their turn.
	maxPages = 20
	// betweenTurns is the pause when there is more: OneLogin answers 5,000 calls
	// an hour.
	betweenTurns = 15 * time.Second
	firstBackoff = 2 * time.Second
	maxBackoff   = 15 * time.Minute
	// jitter is the part of a pause that is left to chance, so that sources
	// that were added together do not call together for ever.
	jitter = 0.1
	// maxAgain is how old a record may be that is read again. It stays well below
	// the time for which the log remembers source ids (contracts.md §2): later
	// the same record would be another event.
	maxAgain = 7 * 24 * time.Hour
	// maxSeen bounds the records that are remembered; see poller.seen.
	maxSeen = 50_000
)

// Crash points: what was kept is read again, or the place behind it is saved.
const (
	CrashAfterAccept = "source.after-accept"
	CrashAfterPlace  = "source.after-place"
)

// poller polls one source. It is used by one goroutine.
//
// A window begins after Place.Since and ends with the page that has no next. So
// long as it lasts only the cursor moves; a restart goes on at the cursor, and
// where the vendor does not know that any more, at the window's beginning. At
// its end the next window begins: at the newest record, less an overlap for
// those that arrive late. So no order of the records is relied upon.
type poller struct {
	*Pollers
	source  auth.CalledSource
	list    List
	place   auth.VendorPlace
	limit   int
	backoff *backoff.ExponentialBackOff
	// seen are the records of the overlap that were kept, by their bytes: in
	// most turns there is nothing else, and nothing is handed on. They are a
	// saving, not a promise: what is handed on again is found again.
	seen map[[sha256.Size]byte]time.Time
}

func newPoller(p *Pollers, source auth.CalledSource, list List) *poller {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = firstBackoff, maxBackoff, 2
	place := source.Place
	if place.Cursor == "" && !place.Success.IsZero() && p.cfg.Now().Sub(place.Success) > maxAgain && place.Last.After(place.Since) {
		place.Since = place.Last // after so long there is no overlap
	}
	return &poller{
		Pollers: p, source: source, list: list, place: place, limit: list.Limit(), backoff: b,
		seen: map[[sha256.Size]byte]time.Time{},
	}
}

// run polls until ctx ends or the source was removed.
func (p *poller) run(ctx context.Context) {
	for {
		pause, err := p.turn(ctx)
		if errors.Is(err, auth.ErrNotFound) || !wait(ctx, pause) {
			return
		}
	}
}

// turn reads what is new, up to a bound, and returns how long to pause. Its
// error says that the source is gone.
func (p *poller) turn(ctx context.Context) (pause time.Duration, err error) {
	for range maxPages {
		err := p.page(ctx)
		if err != nil {
			return p.failed(ctx, err)
		}
		if p.place.Cursor == "" {
			every := p.source.API.Every
			return every + time.Duration(float64(every)*jitter*(rand.Float64()-0.5)), nil
		}
	}
	return betweenTurns, nil
}

// errCursor: the vendor names the page that it has just sent as the next one.
var errCursor = errors.New("source: the vendor's cursor does not move on")

// page reads one page, hands its records on and saves the place behind it.
func (p *poller) page(ctx context.Context) error {
	page, err := p.list.Events(ctx, Query{Since: p.place.Since, Cursor: p.place.Cursor, Limit: p.limit})
	if err != nil {
		return err
	}
	if page.Next != "" && page.Next == p.place.Cursor {
		return errCursor
	}
	if fresh := p.fresh(page.Records); len(fresh) > 0 {
		if err := p.cfg.Accept(ctx, &p.source.VendorSource, fresh); err != nil {
			return err
		}
	}
	p.cfg.Crash(CrashAfterAccept)
	p.remember(page.Records)
	next := p.advance(page)
	if err := p.cfg.Store.SavePlace(ctx, p.source.Name, p.source.Registration, next); err != nil {
		return err
	}
	p.cfg.Crash(CrashAfterPlace)
	p.place, p.limit = next, p.list.Limit()
	if next.Restarts == 0 {
		p.backoff.Reset()
	}
	p.cfg.Observe(p.source.Name, nil, next)
	return nil
}

// fresh returns the records that were not seen before.
func (p *poller) fresh(records []Record) []json.RawMessage {
	var fresh []json.RawMessage
	for _, r := range records {
		if _, ok := p.seen[sha256.Sum256(r.JSON)]; !ok {
			fresh = append(fresh, r.JSON)
		}
	}
	return fresh
}

// remember notes records that were kept.
func (p *poller) remember(records []Record) {
	if len(p.seen)+len(records) > maxSeen {
		clear(p.seen)
	}
	for _, r := range records {
		p.seen[sha256.Sum256(r.JSON)] = r.Time
	}
}

// advance returns the place behind a page, and forgets what will not be read
// again.
func (p *poller) advance(page Page) auth.VendorPlace {
	now := p.cfg.Now()
	next := p.place
	next.Success = now
	if page.Next == "" {
		next.Restarts = 0
	}
	if next.Restarts == 0 { // else what is wrong with the cursor is to be seen
		next.Failures, next.Error, next.Failed = 0, "", time.Time{}
	}
	for _, r := range page.Records {
		at := r.Time
		if at.After(now) { // a clock that is wrong must not skip what is to come
			at = now
		}
		if at.After(next.Newest) {
			next.Newest = at
		}
	}
	if next.Newest.After(next.Last) {
		next.Last = next.Newest
	}
	if next.Cursor = page.Next; next.Cursor != "" {
		return next
	}
	if since := next.Newest.Add(-p.source.API.Overlap).Truncate(time.Millisecond); !next.Newest.IsZero() && since.After(next.Since) {
		next.Since = since
	}
	if quiet := now.Add(-maxAgain).Truncate(time.Millisecond); quiet.After(next.Since) {
		next.Since = quiet // nothing has come for so long
	}
	next.Newest = time.Time{}
	for digest, at := range p.seen {
		if !at.After(next.Since) {
			delete(p.seen, digest)
		}
	}
	return next
}

// failed notes why a page was not read or kept, and returns the pause.
func (p *poller) failed(ctx context.Context, err error) (time.Duration, error) {
	if ctx.Err() != nil || errors.Is(err, auth.ErrNotFound) {
		return 0, err
	}
	pause := p.backoff.NextBackOff()
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest && p.place.Cursor != "":
		// OneLogin does not say how it refuses a cursor, Fingerprint by "invalid
		// pagination key". Without one, whatever else is wrong shows itself.
		p.place.Cursor = ""
		p.place.Restarts++
	case errors.As(err, &refused) && !refused.Retry:
		pause = maxBackoff // somebody has to do something about it
	case refused != nil:
		pause = max(pause, refused.RetryAfter)
	case errors.Is(err, guard.ErrTooLarge) && p.limit > 1:
		p.limit /= 2
	case errors.Is(err, errCursor):
		p.place.Cursor = ""
		p.place.Restarts++
	}
	p.place.Failures++
	p.place.Failed, p.place.Error = p.cfg.Now(), clean(err.Error())
	p.cfg.Logger.WarnContext(ctx, "polling a source failed", "source", p.source.Name, "attempt", p.place.Failures, "in", pause, "err", err)
	p.cfg.Observe(p.source.Name, err, p.place)
	// Not to have saved this costs a restart a page or an error's text.
	if err := p.cfg.Store.SavePlace(ctx, p.source.Name, p.source.Registration, p.place); err != nil {
		if errors.Is(err, auth.ErrNotFound) {
			return 0, err
		}
		p.cfg.Logger.ErrorContext(ctx, "could not save the place of a source", "source", p.source.Name, "err", err)
	}
	return pause, nil
}

// wait waits for a pause and reports whether ctx still lasts.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
