// Package fanout follows the event log in order and puts items on the queues
// of the streams that match (contracts.md §3).
//
// Its place in the log is saved afterwards and is only an optimisation: what
// was put before is not put again, because each queue remembers its highest
// position. So a crash between Put and the saving of the place costs a little
// reading and nothing else.
//
// What an application's consent gate holds is not put. A grant of consent
// releases it: when the fan-out comes to the grant in the log, it puts what
// the grant releases at the grant's place, before all that comes later.
package fanout

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// batch is the most records read at a time.
	batch = 256
	// chunk is the most items put in one transaction: an event for very many
	// streams is put in several, so that others' puts come in between. It is
	// also about how many items of several events wait in memory.
	chunk = 512
	// saveEvery and saveAfter bound how far behind the saved place may be.
	saveEvery = 512
	saveAfter = time.Second
	// retryFirst and retryMost bound the pause after a failure of the store.
	retryFirst = 50 * time.Millisecond
	retryMost  = 5 * time.Second
	// busy and gather: where records come faster than one by one, a moment's
	// wait lets more of them share one transaction; it costs their delivery
	// less than it saves.
	busy   = 3
	gather = 8 * time.Millisecond
)

// Follower is the name of the fan-out's cursor among streams.Cursors.
const Follower = "fanout"

// Log is what the fan-out reads.
type Log interface {
	Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error)
	Wait(ctx context.Context, after uint64) error
	eventlog.Journal
}

// Store is what the fan-out asks of the streams.
type Store interface {
	streams.Matcher
	streams.Cursors
	Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error)
	Stream(ctx context.Context, id string) (streams.Stream, error)
}

// Config says what the fan-out works on. Log, Store and Full are required.
type Config struct {
	Log   Log
	Store Store
	// Full is told of each stream whose queue could not keep dropped items.
	Full func(ctx context.Context, stream string, dropped int)
	// Format returns the subject format that an application prefers; nil or
	// "" stands for the event's first identifier. An error is one of the
	// store: the same subject must not reach a party now under one identifier
	// and then under another (SSF-10.1-01), so the event is tried again.
	Format func(ctx context.Context, owner string) (string, error)
	// Authorize decides whether an application may hear of the n-th mapped
	// event of a record (SSF-9.2-01); nil: it may. A webhook gets an event as a
	// whole, and so only where each of its mapped events may be heard of; one
	// that is mapped to nothing is asked about with n 0.
	Authorize func(ctx context.Context, owner string, rec *eventlog.Record, n uint32) bool
	// Consent is the gate of applications; nil: all is sent.
	Consent *consent.Gate
	// Index finds the events that a grant may release; nil: the log is read
	// from where the first of them may stand.
	Index Index
	// Crash is called at named points of the work (tests); nil: nothing is.
	Crash  func(point string)
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: slog.Default
}

// Crash points.
const (
	CrashBeforePut        = "fanout.before-put"
	CrashAfterPut         = "fanout.after-put"
	CrashBeforeReleasePut = "fanout.before-release-put"
	CrashAfterReleasePut  = "fanout.after-release-put"
	CrashBeforeReplayPut  = "fanout.before-replay-put"
	CrashAfterReplayPut   = "fanout.after-replay-put"
)

// Fanout is the follower. One Run at a time.
type Fanout struct {
	cfg     Config
	log     *slog.Logger
	consent *consent.Follower // nil: there is no gate

	come  atomic.Uint64 // place, for others to ask
	place uint64        // last record whose items are all put
	saved uint64
	when  time.Time // of the last save
}

// New returns a fan-out that starts nothing.
func New(cfg Config) *Fanout {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Crash == nil {
		cfg.Crash = func(string) {}
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	f := &Fanout{cfg: cfg, log: log}
	if cfg.Consent != nil {
		f.consent = cfg.Consent.Follow()
	}
	return f
}

// Place returns how far the fan-out has come: all up to that record is put.
func (f *Fanout) Place() uint64 { return f.come.Load() }

// Run follows the log until ctx ends; it then saves its place and returns nil.
// Failures of the store are retried with growing pauses, for ever.
func (f *Fanout) Run(ctx context.Context) error {
	wait := retryFirst
	for {
		err := f.follow(ctx, func() { wait = retryFirst })
		if ctx.Err() != nil {
			f.save(context.WithoutCancel(ctx))
			return nil
		}
		f.log.ErrorContext(ctx, "fan-out failed, trying again", "err", err, "pause", wait)
		pause(ctx, wait)
		wait = min(2*wait, retryMost)
	}
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// follow works until a failure or the end of ctx; done is called after each batch.
func (f *Fanout) follow(ctx context.Context, done func()) error {
	if f.place == 0 {
		place, err := f.cfg.Store.Cursor(ctx, Follower)
		if err != nil {
			return fmt.Errorf("fanout: reading the cursor: %w", err)
		}
		f.place, f.saved, f.when = place, place, f.cfg.Now()
		f.come.Store(place)
	}
	seen := 0 // records of the last batch
	for {
		if err := f.wait(ctx); err != nil {
			return err
		}
		if seen >= busy && seen < batch {
			pause(ctx, gather)
		}
		records, err := f.cfg.Log.Read(ctx, f.place, batch)
		if err != nil {
			return fmt.Errorf("fanout: reading the log: %w", err)
		}
		if len(records) == 0 {
			continue
		}
		if err := f.put(ctx, records); err != nil {
			return err
		}
		seen = len(records)
		f.place = records[seen-1].Seq
		f.come.Store(f.place)
		done()
		if f.place-f.saved >= saveEvery || f.cfg.Now().Sub(f.when) >= saveAfter {
			f.save(ctx)
		}
	}
}

// wait waits for a record after the place. If the place has yet to be saved,
// it is saved once the log has been quiet for a moment.
func (f *Fanout) wait(ctx context.Context) error {
	if f.place != f.saved {
		quiet, cancel := context.WithTimeout(ctx, saveAfter)
		err := f.cfg.Log.Wait(quiet, f.place)
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		f.save(ctx)
	}
	if err := f.cfg.Log.Wait(ctx, f.place); err != nil {
		return fmt.Errorf("fanout: waiting for the log: %w", err)
	}
	return nil
}

func (f *Fanout) save(ctx context.Context) {
	f.when = f.cfg.Now()
	if f.place == f.saved {
		return
	}
	if err := f.cfg.Store.SaveCursor(ctx, Follower, f.place); err != nil {
		f.log.ErrorContext(ctx, "fan-out could not save its place", "err", err)
		return
	}
	f.saved = f.place
}

// put matches the records and puts their items, chunk by chunk.
func (f *Fanout) put(ctx context.Context, records []*eventlog.Record) error {
	var items []streams.Item
	for _, rec := range records {
		causes := f.causes(rec)
		if causes != nil {
			// What came before stands before what it causes.
			if err := f.putItems(ctx, items, putPoints()); err != nil {
				return err
			}
			items = items[:0]
			if err := causes(ctx, rec); err != nil {
				return err
			}
			continue
		}
		var err error
		if items, err = f.matchAll(ctx, items, rec, cause{}, putPoints()); err != nil {
			return err
		}
		if f.consent == nil {
			continue
		}
		if err := f.consent.Opted(ctx, rec); err != nil { // it counts for what comes after it
			return fmt.Errorf("fanout: %w", err)
		}
	}
	return f.putItems(ctx, items, putPoints())
}

// causes returns what is done at an entry that causes items of other records;
// nil: it causes none.
func (f *Fanout) causes(rec *eventlog.Record) func(context.Context, *eventlog.Record) error {
	switch {
	case rec.Kind == eventlog.KindConsent && f.consent != nil:
		return f.decided
	case rec.Kind == eventlog.KindReplay:
		return f.replay
	}
	return nil
}

// matchAll appends all items of a record, and puts them where they are many.
func (f *Fanout) matchAll(ctx context.Context, items []streams.Item, rec *eventlog.Record, c cause, at points) ([]streams.Item, error) {
	for n := range len(rec.Mapped) + 1 { // the last is the event itself
		var err error
		if n < len(rec.Mapped) {
			items, err = f.match(ctx, items, rec, uint32(n), c)
		} else {
			items, err = f.hooks(ctx, items, rec, c)
		}
		if err != nil {
			return items, err
		}
		if len(items) < chunk {
			continue
		}
		if err := f.putItems(ctx, items, at); err != nil {
			return items, err
		}
		items = items[:0]
	}
	return items, nil
}

// points are the crash points around a Put.
type points struct{ before, after string }

func putPoints() points { return points{CrashBeforePut, CrashAfterPut} }

func (f *Fanout) putItems(ctx context.Context, items []streams.Item, at points) error {
	for len(items) > 0 {
		part := items[:min(chunk, len(items))]
		items = items[len(part):]
		f.cfg.Crash(at.before)
		report, err := f.cfg.Store.Put(ctx, part...)
		if err != nil {
			return fmt.Errorf("fanout: putting: %w", err)
		}
		f.cfg.Crash(at.after)
		for stream, dropped := range report.Full {
			f.cfg.Full(ctx, stream, dropped)
		}
	}
	return nil
}
