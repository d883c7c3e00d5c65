// Package exercise is what a transmitter does besides for a conformance suite that has
// no way to make events happen: some time after a stream has acknowledged a verification
// that its receiver asked for, it gets one event of each type that it delivers. Such
// events are of nobody, go to that stream alone, and are in the log like all others.
package exercise

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
)

// maxWaiting bounds verifications that are not acknowledged yet, and streams that wait
// for their events; what is beyond is not exercised.
const maxWaiting = 10_000

// sourcePrefix begins the sources of such events. No credential's name has a colon.
const sourcePrefix = "conformance:"

// StreamOf returns the stream that an event of this source is for; false if the source is
// no exercise.
func StreamOf(source string) (stream string, ok bool) {
	return strings.CutPrefix(source, sourcePrefix)
}

// Config says what an exercise works with. All but Logger is required.
type Config struct {
	Store  Store
	Accept func(ctx context.Context, source *auth.Source, items []ingest.Item) ([]ingest.Result, error)
	// After is how long after an acknowledgement the events come: a suite may take
	// every SET that arrives during its verification tests for a verification event.
	After  time.Duration
	Logger *slog.Logger // nil: slog.Default
}

// Store knows the streams and their subjects.
type Store interface {
	Stream(ctx context.Context, id string) (streams.Stream, error)
	Interests(ctx context.Context, stream, from string, max int) (page []streams.Interest, next string, err error)
}

// Exercise waits for acknowledgements. Safe for concurrent use.
type Exercise struct {
	cfg Config

	mu      sync.Mutex
	asked   map[string]bool   // jtis of verifications that a receiver asked this process for
	waiting map[string]string // by jti: verifications that were handed out, and their stream
	acked   chan string       // streams
}

// New returns an exercise that starts nothing.
func New(cfg Config) *Exercise {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Exercise{cfg: cfg, asked: make(map[string]bool), waiting: make(map[string]string), acked: make(chan string, maxWaiting)}
}

// Asked notes a verification that a receiver asked for.
func (e *Exercise) Asked(it streams.Item) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.asked) < maxWaiting {
		e.asked[it.ID] = true
	}
}

// taken notes which of the items are such verifications. One that another process was
// asked for is known by its state: the transmitter's own have none.
func (e *Exercise) taken(items []streams.Item) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range items {
		it := &items[i]
		if it.Type != streams.TypeVerification || it.Lane != streams.LaneControl {
			continue
		}
		if !e.asked[it.ID] && !strings.Contains(string(it.Payload), `"state"`) {
			continue
		}
		delete(e.asked, it.ID)
		if len(e.waiting) < maxWaiting {
			e.waiting[it.ID] = it.Stream
		}
	}
}

// settled notes which of the outcomes acknowledge a verification.
func (e *Exercise) settled(outcomes []streams.Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range outcomes {
		stream, ok := e.waiting[o.ID]
		if !ok || o.Verdict != streams.Delivered && o.Verdict != streams.Refused {
			continue
		}
		delete(e.waiting, o.ID)
		if o.Verdict != streams.Delivered {
			continue
		}
		select {
		case e.acked <- stream:
		default: // too many at once
		}
	}
}

// Run makes the events until ctx ends.
func (e *Exercise) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case stream := <-e.acked:
			group.Go(func() {
				timer := time.NewTimer(e.cfg.After)
				defer timer.Stop()
				select {
				case <-ctx.Done():
				case <-timer.C:
					e.make(ctx, stream)
				}
			})
		}
	}
}

// make makes the events of a stream that there still is and that is enabled.
func (e *Exercise) make(ctx context.Context, id string) {
	s, err := e.cfg.Store.Stream(ctx, id)
	switch {
	case errors.Is(err, streams.ErrNotFound):
		return
	case err != nil:
		e.cfg.Logger.ErrorContext(ctx, "conformance: no events for a stream", "stream_id", id, "err", err)
		return
	case s.Status != streams.Enabled:
		return
	}
	about, err := e.subject(ctx, &s)
	if err != nil {
		e.cfg.Logger.WarnContext(ctx, "conformance: no events for a stream", "stream_id", id, "err", err)
		return
	}
	application, _ := streams.ApplicationOf(s.Owner)
	source := &auth.Source{Name: sourcePrefix + id, Applications: []string{application}, Environment: streams.EnvironmentOf(s.Owner)}
	results, err := e.cfg.Accept(ctx, source, itemsOf(s.EventsDelivered, about, time.Now()))
	if err != nil {
		e.cfg.Logger.ErrorContext(ctx, "conformance: no events for a stream", "stream_id", id, "err", err)
		return
	}
	for i := range results {
		if results[i].Err != nil {
			e.cfg.Logger.ErrorContext(ctx, "conformance: an event was not taken", "stream_id", id, "err", results[i].Err)
		}
	}
	e.cfg.Logger.InfoContext(ctx, "conformance: events for a stream that was verified", "stream_id", id, "events", len(results))
}

var errNoSubject = errors.New("it is told of no subject yet; one has to be added (SSF §8.1.3)")

// subject returns whom the events are about: somebody that there is not, another each
// time, or, where a stream has to be told of subjects, one of those.
func (e *Exercise) subject(ctx context.Context, s *streams.Stream) (subject.Identifier, error) {
	if s.DefaultSubjects == streams.SubjectsAll {
		return subject.Email(strings.ToLower(rand.Text()) + "@conformance.example"), nil
	}
	page, _, err := e.cfg.Store.Interests(ctx, s.ID, "", 1)
	if err != nil {
		return subject.Identifier{}, err
	}
	at := slices.IndexFunc(page, func(i streams.Interest) bool { return !i.Excluded })
	if at < 0 {
		return subject.Identifier{}, errNoSubject
	}
	return page[at].Subject, nil
}
