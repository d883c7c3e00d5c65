// Package push delivers the SETs of push streams (RFC 8935), a window per
// stream, so that a receiver that hangs costs the others nothing.
//
// A stream has at most one worker. It takes what its window holds, signs and
// posts side by side (SETs with one order key one after the other), and
// settles what came back in batches. A failure that may pass backs off the
// stream, not the SET: what was in flight returns to its place, and when the
// stream is due again one SET, the oldest, tests the receiver
// (contracts.md §5). Where nothing can be signed the SETs wait, and that counts against
// nobody.
package push

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
)

// Store is what push asks of the streams.
type Store interface {
	Stream(ctx context.Context, id string) (streams.Stream, error)
	Ready(ctx context.Context, max int) ([]string, error)
	Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error)
	Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error)
	Health(ctx context.Context, stream string) (streams.Health, error)
	Depth(ctx context.Context, stream string) (streams.Depth, error)
}

// Outbox signs items.
type Outbox interface {
	Sign(ctx context.Context, s streams.Stream, item streams.Item) (outbox.SET, error)
	Keep(item streams.Item, signed outbox.SET)
	// Away returns nil while it signs; else a channel that is closed when it is worth
	// another try.
	Away() <-chan struct{}
}

// Attempt is one try to deliver one SET or event, for metrics and for people.
type Attempt struct {
	Stream, EventType string
	ID                string // jti
	Number            int    // 1: the first attempt of the SET
	At                time.Time
	Code, Text        string // what the receiver answered, or why nothing was; "": it was delivered
	Method            string // of delivery
	Verdict           string // one of the Reason constants of a judgement
	Took              time.Duration
	// SinceAccepted is the time from the event's recording to a 2xx answer;
	// zero if it was not delivered.
	SinceAccepted time.Duration
}

// Config says what push works with. Outbox, Client and Pause are required.
type Config struct {
	Outbox Outbox
	// Webhooks knows the ways of webhooks; nil: what is for them stays.
	Webhooks Carrier
	// Client makes the requests; it must guard against forbidden addresses
	// and follow no redirect (set/delivery/guard).
	Client *http.Client
	// Blocked reports whether an error of Client is the guard's refusal.
	Blocked func(error) bool
	// Pause pauses a stream with a reason (and stream-updated).
	Pause func(ctx context.Context, stream, reason string) error

	// Window is the most SETs in flight per stream; 0: 32.
	Window int
	// InFlight is the most SETs in flight on all streams together, one per
	// stream not counted; 0: DefaultInFlight.
	InFlight int
	// Timeout bounds one request with its answer; 0: 15 s.
	Timeout time.Duration
	// Schedule are the pauses after the first, second, … failure in a row,
	// the last one repeated; nil: contracts.md §5.
	Schedule []time.Duration
	// GiveUp pauses a stream that had no success for so long; 0: 5 days.
	GiveUp time.Duration
	// Refusals pauses a stream after so many refused SETs in a row; 0: 20.
	Refusals int

	Observe func(Attempt)      // nil: nobody
	Tracer  *tracing.Tracer    // nil: no spans
	Crash   func(point string) // called at named points (tests); nil: nobody
	Now     func() time.Time   // nil: time.Now
	Jitter  func() float64     // in [0, 1); nil: math/rand
	Logger  *slog.Logger       // nil: slog.Default
}

// Crash points.
const (
	CrashBeforePost   = "push.before-post"
	CrashAfterPost    = "push.after-post"
	CrashAfterSettle  = "push.after-settle"
	CrashBeforeSettle = "push.before-settle"
)

// Pusher delivers. What it bounds it bounds over all its Runs.
type Pusher struct {
	cfg   Config
	extra chan struct{} // slots beyond the first of each stream
	idle  chan struct{} // held by each sender that may wait

	mu      sync.Mutex
	workers map[string]*worker
	keys    map[string]int // by jti: how often the receiver did not know the key; guarded by mu
}

// New returns a pusher that starts nothing.
func New(cfg Config) *Pusher {
	cfg.setDefaults()
	return &Pusher{
		cfg:     cfg,
		extra:   make(chan struct{}, cfg.InFlight),
		idle:    make(chan struct{}, idleSenders),
		workers: make(map[string]*worker),
		keys:    make(map[string]int),
	}
}

// Limits returns after how long without success, and after how many refused SETs in a
// row, a stream is paused.
func (p *Pusher) Limits() (giveUp time.Duration, refusals int) { return p.cfg.GiveUp, p.cfg.Refusals }

// Run delivers what is due in a store until ctx ends. It then starts no new
// request, lets those in flight end (each is bounded by Timeout), settles them
// and returns nil. Several may run at a time on stores of which none has a
// stream of another.
func (p *Pusher) Run(ctx context.Context, store Store) error {
	r := p.on(store)
	defer r.done.Wait()
	pace := pace{most: startsPerCPU * runtime.GOMAXPROCS(0)}
	pause := retryFirst
	for {
		ready, err := store.Ready(ctx, pace.wait(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			p.cfg.Logger.ErrorContext(ctx, "push could not learn which streams are due", "err", err)
			sleep(ctx, pause)
			pause = min(2*pause, retryMost)
			continue
		}
		pause = retryFirst
		pace.began(len(ready))
		for _, id := range ready {
			r.wake(ctx, id)
		}
	}
}

// run is a Run of a pusher.
type run struct {
	*Pusher
	store Store
	work  chan func() // taken by senders that wait for work
	done  sync.WaitGroup
}

func (p *Pusher) on(store Store) *run { return &run{Pusher: p, store: store, work: make(chan func())} }

// wake starts the worker of a stream, or tells the running one to look again.
func (r *run) wake(ctx context.Context, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.workers[id]; ok {
		w.again = true
		select {
		case w.wake <- struct{}{}:
		default:
		}
		return
	}
	w := newWorker(r, id)
	r.workers[id] = w
	r.done.Go(func() { w.run(ctx) })
}

// leave takes the worker off the list, unless it was woken meanwhile.
func (r *run) leave(w *worker) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.again {
		w.again = false
		return false
	}
	delete(r.workers, w.id)
	return true
}

// drop takes the worker off the list, for the next run.
func (r *run) drop(w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.workers, w.id)
}
