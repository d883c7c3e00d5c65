// Package receiver is the receiving half of OpenID Shared Signals (SSF): it accepts
// SETs by push (RFC 8935) and poll (RFC 8936), keeps them in an inbox before it
// acknowledges, and runs an application's hooks behind it.
//
// A [Receiver] is one stream of one transmitter. [New] builds it, [Receiver.Handler]
// is the push endpoint, [Receiver.Run] polls and runs the hooks of its [Mux]:
//
//	mux := receiver.NewMux()
//	mux.Handle(receiver.On(func(ctx context.Context, d receiver.Delivery, e caep.SessionRevoked) error {
//		return sessions.Revoke(ctx, d.Subject, d.EventTime)
//	}))
//
// Hooks run at least once and in order of arrival per subject; one that fails holds
// back its subject alone and is tried again until it ends in a dead letter.
package receiver

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"golang.org/x/sync/errgroup"
)

// Receiver is one stream of one transmitter. Safe for concurrent use.
type Receiver struct {
	cfg      Config
	dialect  Dialect
	form     PushForm // of dialect
	inbox    inbox.Inbox
	log      *slog.Logger
	tracer   *tracing.Tracer // nil: none
	slots    chan struct{}   // of requests that are being handled
	stream   atomic.Pointer[string]
	critical atomic.Pointer[[]string]
	endpoint place // of polls
	seen     activity
	awaited  awaited
	status   atomic.Pointer[Status]
	running  atomic.Bool
	polling  atomic.Bool
}

// New checks cfg as a whole and returns a receiver that has started nothing; the
// error names every wrong field.
func New(cfg Config) (*Receiver, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	dialect := cfg.Dialect
	if dialect == nil {
		verifier, err := set.NewVerifier(set.VerifierConfig{
			Issuer: cfg.Issuer, Audience: cfg.Audience, PushURL: cfg.PushURL, Keys: cfg.Keys,
			Algorithms: cfg.Algorithms, Now: cfg.Now, Tolerances: cfg.Tolerances,
			Decryption: cfg.Decryption, RequireEncryption: cfg.RequireEncryption,
		})
		if err != nil {
			return nil, err
		}
		dialect = sets{verifier}
	}
	r := &Receiver{
		cfg: cfg, dialect: dialect, form: dialect.Push(), inbox: cfg.Inbox, log: cfg.Logger, tracer: tracing.New(cfg.Traces),
		slots: make(chan struct{}, cfg.MaxConcurrent),
	}
	r.SetStreamID(cfg.StreamID)
	r.SetCriticalMembers(cfg.CriticalMembers)
	if cfg.Poll != nil {
		r.SetPollEndpoint(cfg.Poll.Endpoint)
	}
	return r, nil
}

// SetStreamID tells the stream_id once it is known, when the push endpoint had
// to be there before the stream.
func (r *Receiver) SetStreamID(id string) { r.stream.Store(&id) }

// StreamID returns the stream_id, "" if it is not known.
func (r *Receiver) StreamID() string { return *r.stream.Load() }

// SetPollEndpoint tells the delivery.endpoint_url of a stream that is polled, when it
// was not known to New or has changed. A poll of the former one is given up: what it
// would have acknowledged comes again.
func (r *Receiver) SetPollEndpoint(url string) { r.endpoint.tell(url) }

// SetCriticalMembers tells the critical_subject_members of the transmitter once they
// are known (see Config.CriticalMembers).
func (r *Receiver) SetCriticalMembers(names []string) {
	names = slices.Clone(names)
	r.critical.Store(&names)
}

// Run runs the hooks, polls if Config.Poll is set, and keeps a stream with an
// inactivity timeout alive if Config.Client is set. It returns nil after ctx has
// ended and the hooks that ran then have, or were given up after Config.Grace;
// those are run again by the next Run. It owns every goroutine that it starts.
//
// Run may be called once at a time. Errors: [inbox.ErrClosed], or that it runs already.
func (r *Receiver) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return errors.New("receiver: Run is running already")
	}
	defer r.running.Store(false)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.follow(ctx) })
	group.Go(func() error { return r.keepAlive(ctx) })
	if r.cfg.Poll != nil && !r.cfg.Poll.Apart {
		group.Go(func() error { return r.Poll(ctx) })
	}
	return group.Wait()
}

// Poll polls until ctx ends, while Run may be running: for a stream that several
// processes receive and one at a time polls (see Poll.Apart). It may be called once at a
// time; errors: that it runs already, or that Config.Poll is not set.
func (r *Receiver) Poll(ctx context.Context) error {
	if r.cfg.Poll == nil {
		return errors.New("receiver: Poll needs Config.Poll")
	}
	if !r.polling.CompareAndSwap(false, true) {
		return errors.New("receiver: Poll is running already")
	}
	defer r.polling.Store(false)
	return newPoller(r, *r.cfg.Poll).run(ctx)
}

// wait returns after d, or false as soon as ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
