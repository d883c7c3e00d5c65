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
// the grant releases at the grant's place, before all that comes later. An
// order to replay a stream is carried out in the same way, but step by step
// beside the rest: only that stream waits for it.
package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
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
	Cursor(ctx context.Context, follower string) (uint64, error)
	SaveCursor(ctx context.Context, follower string, seq uint64) error
	Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error)
	Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error)
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
	// Only names the one stream that an event of a source is for; nil, or false:
	// it is for all.
	Only func(source string) (stream string, ok bool)
	// Consent is the gate of applications; nil: all is sent.
	Consent *consent.Gate
	// Gated is told of each item that the gate holds back, and of each that a
	// grant releases; nil: nobody is.
	Gated func(released bool)
	// Mute: what events tell of consent is noted by another fan-out, of other
	// streams, on the same log.
	Mute bool
	// Index finds the events that a grant may release; nil: the log is read
	// from where the first of them may stand.
	Index Index
	// Tracer makes a span of each event; nil: none.
	Tracer *tracing.Tracer
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
	cfg  Config
	log  *slog.Logger
	main lane // of all streams that are not replayed

	come    atomic.Pointer[progress] // for others to ask; nil: it has not begun
	head    uint64                   // last record that was read
	place   uint64                   // last record that the main lane put
	saved   uint64
	when    time.Time // of the last save
	replays []*rerun  // under way, in the order of their orders
	rerun   map[string]*rerun
}

// New returns a fan-out that starts nothing.
func New(cfg Config) *Fanout {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Crash == nil {
		cfg.Crash = func(string) {}
	}
	if cfg.Gated == nil {
		cfg.Gated = func(bool) {}
	}
	if cfg.Only == nil {
		cfg.Only = func(string) (string, bool) { return "", false }
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	f := &Fanout{cfg: cfg, log: log, rerun: make(map[string]*rerun)}
	f.main = f.lane(f.here)
	return f
}

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
		if errors.Is(err, streams.ErrNotHeld) { // ctx ends soon
			pause(ctx, wait)
			continue
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
		f.tell()
	}
	seen := 0 // records of the last batch
	for {
		if len(f.replays) == 0 { // else there is work in any case
			if err := f.wait(ctx); err != nil {
				return err
			}
			if seen >= busy && seen < batch {
				pause(ctx, gather)
			}
		}
		records, err := f.cfg.Log.Read(ctx, f.place, batch)
		if err != nil {
			return fmt.Errorf("fanout: reading the log: %w", err)
		}
		f.saw(records)
		f.notice(records)
		began := time.Now()
		if err := f.main.put(ctx, records); err != nil {
			return err
		}
		f.span(ctx, records, began)
		if seen = len(records); seen > 0 {
			f.place = records[seen-1].Seq
		}
		if err := f.stepReplays(ctx); err != nil {
			return err
		}
		low := f.tell()
		done()
		if low-f.saved >= saveEvery || f.cfg.Now().Sub(f.when) >= saveAfter {
			f.save(ctx)
		}
	}
}

// saw notes how far the log was read.
func (f *Fanout) saw(records []*eventlog.Record) {
	if n := len(records); n > 0 {
		f.head = max(f.head, records[n-1].Seq)
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
	low := f.low()
	if low == f.saved {
		return
	}
	err := f.cfg.Store.SaveCursor(ctx, Follower, low)
	if errors.Is(err, streams.ErrNotHeld) { // another goes on from the last place
		return
	}
	if err != nil {
		f.log.ErrorContext(ctx, "fan-out could not save its place", "err", err)
		return
	}
	f.saved = low
}
