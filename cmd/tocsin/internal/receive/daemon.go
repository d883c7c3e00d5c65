package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// Options are what a daemon is given besides its configuration.
type Options struct {
	// Address is where the push endpoints are served, as a URL: for issuers without a
	// public one.
	Address string
	// Node is what this process is called where several share a Redis; "": it has no name.
	Node string
	// Logger gets what happens; required.
	Logger *slog.Logger
	// Figures answers what the daemon keeps of its own past, as JSON, in a range of a
	// name, "" being the usual one; false if there is none of that name. nil: not offered.
	Figures func(of string) (answer any, ok bool)
	// Traces makes spans; nil: there are none.
	Traces trace.TracerProvider
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Crash is called at the named points of the work (tests); nil: nobody.
	Crash func(point string)
}

// Daemon is the whole: receivers of all issuers on one inbox. Safe for concurrent use.
type Daemon struct {
	*Store
	opts    Options
	log     *slog.Logger
	metrics *metrics
	gate    *gateParts                // nil: no sessions are known
	failing *edge.Rates[netip.Prefix] // requests that are refused, by address

	reload  sync.Mutex           // one Reload at a time
	plan    atomic.Pointer[plan] // what is in force
	next    chan change          // to Run
	ended   chan struct{}        // closed when Run has ended
	refuse  atomic.Bool
	fault   atomic.Pointer[string] // why the last Reload was refused; nil: it was not
	loaded  atomic.Int64           // when the plan was taken, Unix milliseconds
	started time.Time
}

// plan is a configuration with all that was built for it. It does not change.
type plan struct {
	cfg     Config
	feeds   map[string]*feed // by name
	paths   map[string]*feed // push endpoints
	actions *actions
}

// change asks Run to put a plan into force.
type change struct {
	plan *plan
	done chan struct{}
}

// Open locks and opens the folder of cfg, which is complete (see [Config.Complete]),
// and builds all; it starts nothing.
func Open(ctx context.Context, cfg Config, opts Options) (_ *Daemon, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	d := &Daemon{opts: opts, log: opts.Logger, metrics: newMetrics(), next: make(chan change), ended: make(chan struct{}), started: opts.Now()}
	d.failing = edge.NewRates[netip.Prefix](cfg.RateAddress.Or(config.DefaultRateAddress), opts.Now)
	if d.Store, err = openAll(ctx, cfg, d.log, d.metrics.committed); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Store.Close())
		}
	}()
	if d.gate, err = openGate(ctx, cfg, d.Store, d.log, d.metrics.committed, d.metrics.checked); err != nil {
		return nil, err
	}
	if d.gate != nil {
		d.closers = append(d.closers, d.gate.close)
	}
	p, err := d.build(cfg, nil)
	if err != nil {
		return nil, err
	}
	d.publish(p)
	d.metrics.registry.MustRegister(healthCollector{d.Health, d.gate != nil && d.gate.gate != nil, opts.Now})
	return d, nil
}

// build makes a plan of cfg. Issuers that are as they were in old keep their receiver.
func (d *Daemon) build(cfg Config, old *plan) (*plan, error) {
	p := &plan{cfg: cfg, feeds: map[string]*feed{}, paths: map[string]*feed{}}
	var faults []error
	actions, err := newActions(cfg, policy.Config{
		Journal: d.Journal, Observer: d.metrics, Crash: d.opts.Crash, Now: d.opts.Now, Logger: d.log,
	}, hookEnv{Logger: d.log, InsecureLoopback: cfg.InsecureLoopback, Gate: d.gate})
	faults = append(faults, err)
	p.actions = actions
	for _, is := range cfg.Issuers {
		f, err := d.newFeed(cfg, is)
		if err != nil {
			faults = append(faults, fmt.Errorf("issuer %s: %w", is.Name, err))
			continue
		}
		if old != nil && old.feeds[is.Name] != nil && old.feeds[is.Name].print == f.print {
			f = old.feeds[is.Name]
		}
		p.feeds[is.Name] = f
		if is.Delivery.Method == MethodPush {
			p.paths[is.Delivery.Path] = f
		}
	}
	if err := errors.Join(faults...); err != nil {
		err = &ConfigError{err}
		if actions != nil {
			err = errors.Join(err, actions.close())
		}
		return nil, err
	}
	return p, nil
}

// publish puts a plan into force for those who ask; Run starts and stops its parts.
func (d *Daemon) publish(p *plan) {
	d.plan.Store(p)
	d.loaded.Store(d.opts.Now().UnixMilli())
}

// Handler serves the push endpoints, each at its issuer's path. An address of which
// more comes that is refused than it may is answered 429 for a while: who sends nothing
// else loses nothing, since its transmitter offers it again.
func (d *Daemon) Handler() http.Handler {
	return edge.Failing(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.refuse.Load() {
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if f := d.plan.Load().paths[r.URL.Path]; f != nil {
			edge.From(r.Context()).Note(r.URL.Path, "")
			f.keeper.Handler().ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}), d.failing, d.metrics.limited.Inc)
}

// Refuse answers every further push with 503: the end is near.
func (d *Daemon) Refuse() { d.refuse.Store(true) }

// Run receives until ctx ends, or until a part ends by itself, which is an error. It
// owns every goroutine that it starts. Hooks that run when ctx ends may go on for the
// grace of their receivers. It may be called once.
func (d *Daemon) Run(ctx context.Context) error {
	defer close(d.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error)
	running := map[*feed]func(){} // each with what stops it and waits
	follow := func(p *plan) {
		wanted := slices.Collect(maps.Values(p.feeds))
		var leaving sync.WaitGroup // each for as long as its hooks take
		for f, stop := range running {
			if !slices.Contains(wanted, f) {
				leaving.Go(stop)
				delete(running, f)
			}
		}
		leaving.Wait()
		for _, f := range wanted {
			if running[f] == nil {
				running[f] = d.start(ctx, f, ended)
			}
		}
	}
	follow(d.plan.Load())
	for what, run := range d.background() {
		stop := d.beside(ctx, what, run, ended)
		defer stop()
		defer cancel()
	}
	d.warnOrphans(ctx)
	var err error
	for ctx.Err() == nil && err == nil {
		select {
		case <-ctx.Done():
		case err = <-ended:
		case c := <-d.next:
			follow(c.plan)
			close(c.done)
		}
	}
	cancel()
	var all sync.WaitGroup
	for _, stop := range running {
		all.Go(stop)
	}
	all.Wait()
	return errors.Join(err, d.plan.Load().actions.close())
}

// background are the parts that run beside the feeds, by what they are.
func (d *Daemon) background() map[string]func(context.Context) error {
	parts := map[string]func(context.Context) error{}
	if d.gate != nil && d.gate.run != nil {
		parts["the store of sessions"] = d.gate.run
	}
	if d.redis != nil {
		parts["the wake-ups of other processes"] = d.redis.wakes.Run
		parts["the turns of several processes"] = d.redis.turns.Run
	}
	return parts
}

// start runs a feed and returns what stops it and waits for its end.
func (d *Daemon) start(ctx context.Context, f *feed, ended chan<- error) (stop func()) {
	d.metrics.begin(f.cfg.Name, f.cfg.Delivery.Method)
	return d.beside(ctx, "the receiver of "+f.cfg.Name, f.keeper.Run, ended)
}

// beside runs a part and returns what stops it and waits for its end. An end by itself
// is told to ended.
func (d *Daemon) beside(ctx context.Context, what string, run func(context.Context) error, ended chan<- error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case ended <- fmt.Errorf("%s ended by itself: %w", what, err):
		case <-ctx.Done():
		}
	}()
	return func() { cancel(); <-done }
}

// orphans returns the feeds that hold something and have no issuer in the
// configuration: one was renamed or taken away before its events were done.
func (d *Daemon) orphans(ctx context.Context) ([]string, error) {
	feeds, err := d.Inbox.Feeds(ctx)
	known := d.plan.Load().feeds
	return slices.DeleteFunc(feeds, func(name string) bool { return known[name] != nil }), err
}

func (d *Daemon) warnOrphans(ctx context.Context) {
	names, err := d.orphans(ctx)
	if err != nil {
		d.log.ErrorContext(ctx, "the inbox cannot be asked", "err", err)
	}
	for _, name := range names {
		d.log.WarnContext(ctx, "the inbox holds events of an issuer that is not configured; they wait until it is", "issuer", name)
	}
}
