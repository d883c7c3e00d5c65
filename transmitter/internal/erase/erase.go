// Package erase removes personal data from everywhere the transmitter keeps it:
// a subject's at an order ([Eraser.Order]), everybody's by age ([Eraser.Retain]).
// Legal holds ([Eraser.Hold]) stop both.
//
// An order is an entry of the log that names its subject. It takes effect once
// no SET of the subject waits on a queue any more, or at once. What was done is
// an entry too, which names records by their numbers and nobody; then the
// records go, and the order itself is the last of them. Leaves and proofs stay
// (contracts.md §2). Every step is safe to repeat: a crash costs a little work.
package erase

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Limits of an order, of a hold and of the work at a time.
const (
	MaxSubjects    = 16
	MaxReasonBytes = 1 << 10
	chunk          = 500    // records looked for on queues, or erased, at a time
	maxRecords     = 10_000 // records named in one entry
	maxNamed       = 1000   // dropped SETs named in one entry
	maxPointing    = 100_000
	// MaxPending bounds the orders of one application that wait to be carried
	// out, and those of operators.
	MaxPending = 1000
)

// Errors that callers branch on.
var (
	// ErrNotFound: no such order or hold.
	ErrNotFound = errors.New("erase: not found")
	// ErrHeld: a legal hold keeps what was to be erased.
	ErrHeld = errors.New("erase: a legal hold keeps the subject's events")
	// ErrTooMany: [MaxPending] orders wait.
	ErrTooMany = errors.New("erase: too many erasures wait to be carried out")
)

// Index finds the events of a subject: what an erasure asks of eventlog.Index.
type Index interface {
	Place() uint64
	Wait(ctx context.Context, seq uint64) error
	Of(ctx context.Context, ids []subject.Identifier, after, before uint64, max int) ([]uint64, error)
	Forget(ctx context.Context, seqs ...uint64) error
}

// Streams is what is asked of the store of streams.
type Streams interface {
	streams.Eraser
	Owners(ctx context.Context) ([]string, error)
	Cursor(ctx context.Context, follower string) (uint64, error)
	Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error)
}

// Config says what is erased from. Log, Index, Streams and Follower are required.
type Config struct {
	Log     eventlog.Log
	Index   Index
	Streams Streams
	// Follower is the name of the fan-out's cursor: what it has not read yet may
	// still be queued.
	Follower string
	// Forget lets go of all signed SETs in memory; nil: there are none.
	Forget func()
	// Every is how often what waits is looked at; 0: 5 s.
	Every time.Duration
	// Retention is the age at which records are erased; 0: never.
	Retention time.Duration
	// RetainEvery is how often that is looked for; 0: 1 h.
	RetainEvery time.Duration
	Crash       func(point string) // called at named points of the work (tests); nil: nothing is
	Now         func() time.Time   // nil: time.Now
	Logger      *slog.Logger       // nil: slog.Default
}

// Crash points.
const (
	CrashAfterOrder  = "erase.after-order"  // the order is in the log, nothing is done
	CrashAfterReport = "erase.after-report" // what is to go is in the log, all is there
	CrashAfterErase  = "erase.after-erase"  // the log has forgotten, the index has not
)

// Eraser erases. Safe for concurrent use; one Run at a time.
type Eraser struct {
	cfg  Config
	wake chan struct{}

	// work is held by whatever decides that something is erased, until that is
	// in the log: a hold that was set before is seen, one that is set meanwhile
	// waits.
	work sync.Mutex
	from uint64 // where the index stood when it was opened

	// finished: what retention reported last is known to be done; guarded by work.
	finished bool
	// looked is how far retention has looked, whether or not there was
	// something to erase; guarded by work.
	looked struct{ at, hold uint64 }

	pending struct {
		sync.Mutex
		upTo   uint64   // the last order that was read
		orders []uint64 // of those up to there the ones that were not carried out
	}

	mu      sync.Mutex
	waiting map[uint64]int // queued SETs that a pending order waits for
}

// New returns an Eraser that starts nothing.
func New(cfg Config) *Eraser {
	if cfg.Every == 0 {
		cfg.Every = 5 * time.Second
	}
	if cfg.RetainEvery == 0 {
		cfg.RetainEvery = time.Hour
	}
	if cfg.Forget == nil {
		cfg.Forget = func() {}
	}
	if cfg.Crash == nil {
		cfg.Crash = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Eraser{cfg: cfg, wake: make(chan struct{}, 1), waiting: make(map[uint64]int), from: cfg.Index.Place()}
}

// Run carries out what was ordered, and what has come of age, until ctx ends.
// Failures of a store are logged and tried again.
func (e *Eraser) Run(ctx context.Context) error {
	ticker := time.NewTicker(e.cfg.Every)
	defer ticker.Stop()
	retain := time.NewTicker(e.cfg.RetainEvery)
	defer retain.Stop()
	e.retain(ctx)
	for {
		if err := e.CarryOut(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Logger.ErrorContext(ctx, "could not carry out an erasure, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-e.wake:
		case <-retain.C:
			e.retain(ctx)
		}
	}
}

func (e *Eraser) retain(ctx context.Context) {
	if e.cfg.Retention <= 0 {
		return
	}
	n, err := e.Retain(ctx)
	if err != nil && ctx.Err() == nil {
		e.cfg.Logger.ErrorContext(ctx, "could not erase what has come of age, trying again", "err", err)
	}
	if n > 0 {
		e.cfg.Logger.InfoContext(ctx, "erased records that have come of age", "count", n)
	}
}

// nudge makes Run look at once.
func (e *Eraser) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// each calls fn with every entry of a kind under a key, in the order of the
// log or newest first, erased ones too, until it returns false.
func (e *Eraser) each(ctx context.Context, kind eventlog.Kind, ref string, span eventlog.Span, fn func(*eventlog.Record) bool) error {
	span.Max = chunk
	for {
		page, err := e.cfg.Log.Entries(ctx, kind, ref, span)
		if err != nil {
			return err
		}
		for _, r := range page {
			if !fn(r) {
				return nil
			}
			if span.Newest {
				span.Before = r.Seq
			} else {
				span.After = r.Seq
			}
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// named returns the identifiers and those that aliases among them hold: each of
// these is the subject.
func named(ids []subject.Identifier) []subject.Identifier {
	all := slices.Clone(ids)
	for i := 0; i < len(all); i++ {
		all = append(all, all[i].Identifiers()...)
	}
	return all
}

// parts returns the identifiers and all that stand in them, each once.
func parts(ids []subject.Identifier) []subject.Identifier {
	var all []subject.Identifier
	seen := make(map[string]bool)
	for _, id := range ids {
		for _, part := range id.Parts() {
			if !seen[part.Canonical()] {
				seen[part.Canonical()] = true
				all = append(all, part)
			}
		}
	}
	return all
}

// subjectsOf returns all identifiers by which an event is found, those of its
// SETs and of its attributes too: what is found by one is held by it.
func subjectsOf(r *eventlog.Record) []subject.Identifier { return parts(eventlog.Mentions(&r.Event)) }
