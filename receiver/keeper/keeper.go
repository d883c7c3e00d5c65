// Package keeper trusts one transmitter: it knows where the transmitter's keys are and
// what it may speak of, and keeps one stream of it as configured.
//
// A transmitter is either discovered, from its issuer to its metadata to a stream that
// is created or adopted, repaired when it drifts, created anew when it vanished, and
// verified; or static, registered by other means: then the keeper holds keys and rules
// alone and calls no API. [Keeper.Health] says how it stands:
//
//	k, err := keeper.New(keeper.Config{
//		Receiver: receiver.Config{Issuer: issuer, Audience: []string{audience}, Inbox: in, Mux: mux},
//		Stream:   &keeper.Stream{Delivery: streams.Delivery{Method: delivery.MethodPoll}},
//		Credential: source, State: "data/streams/okta.json",
//	})
//	go k.Run(ctx)
//
// Whoever may call the transmitter's API with our credential may change the stream
// behind our back: that is drift and repaired. What the transmitter itself decides about
// the stream's status, and tells by stream-updated, is not drift: it is shown and left
// alone, or a pause lifted once where [Stream.Resume] asks for it.
package keeper

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// firstBackoff is the pause after a first failure.
const firstBackoff = time.Second

// Keeper trusts one transmitter. Safe for concurrent use.
type Keeper struct {
	cfg      Config
	receiver *receiver.Receiver
	log      *slog.Logger
	keys     keyKeeper      // nil: keys are not the keeper's
	state    keptState      // nil: static
	api      *client.Client // nil: static

	recheck   chan struct{} // asks for a look at the stream now
	verifyNow chan struct{} // asks for a verification: there is a stream, another one, or it is enabled again

	polls bool
	turn  atomic.Bool // it is this process that keeps the stream

	mu   sync.Mutex
	seen observed

	// Of keep alone.
	said       *streams.Configuration // what the transmitter answered when it was last told
	odd        oddity
	unverified bool      // the stream is another than the one that was verified
	tried      time.Time // when a change of the status was last asked for
}

// New checks cfg as a whole and returns a keeper that has started nothing; the error
// names every wrong field. It reads the key file and the state, if there are any.
func New(cfg Config) (*Keeper, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		cfg: cfg, log: cfg.Receiver.Logger.With("iss", cfg.Receiver.Issuer),
		recheck: make(chan struct{}, 1), verifyNow: make(chan struct{}, 1),
	}
	documents := cfg.documents()
	rc := cfg.Receiver
	if rc.Keys == nil {
		if k.keys, err = cfg.keySource(documents); err != nil {
			return nil, err
		}
		rc.Keys = k.keys
	}
	if cfg.Dialect != nil {
		if rc.Dialect, err = cfg.Dialect(rc.Keys); err != nil {
			return nil, err
		}
	}
	rc.HTTP, rc.Client = cfg.HTTP, nil // the keeper keeps the stream alive
	rc.Mux = receiver.NewMux()
	rc.Mux.Default(k.dispatch)
	if cfg.Stream != nil {
		if err := k.keepStream(&rc, documents); err != nil {
			return nil, err
		}
	} else if rc.Poll != nil {
		rc.Poll = cfg.poll(*rc.Poll)
	}
	if rc.Poll != nil {
		k.polls, rc.Poll.Apart = true, cfg.Shared != nil
	}
	if k.receiver, err = receiver.New(rc); err != nil {
		return nil, err
	}
	return k, nil
}

// keepStream completes rc for a stream that is kept.
func (k *Keeper) keepStream(rc *receiver.Config, documents *wellknown.Client) error {
	var err error
	if k.cfg.Shared != nil {
		k.state = &sharedState{shared: k.cfg.Shared, now: state{Issuer: rc.Issuer}}
	} else if k.state, err = openState(k.cfg.State, rc.Issuer); err != nil {
		return err
	}
	cc := client.Config{
		Issuer: rc.Issuer, Audience: rc.Audience, HTTP: k.cfg.HTTP, Discovery: documents,
		LegacyDeliveryURI: rc.Tolerances.LegacyDeliveryURI,
	}
	if c := k.cfg.Credential; c != nil {
		cc.Token, cc.Refused = c.Token, c.Refused
	}
	if k.api, err = client.New(cc); err != nil {
		return err
	}
	rc.StreamID = k.state.get().StreamID
	if k.cfg.Stream.Delivery.Method == delivery.MethodPush {
		rc.Authorization, rc.PushURL = k.cfg.Stream.Delivery.AuthorizationHeader, k.cfg.Stream.Delivery.EndpointURL
		return nil
	}
	var poll receiver.Poll
	if rc.Poll != nil {
		poll = *rc.Poll
	}
	rc.Poll = k.cfg.poll(poll)
	rc.Poll.Endpoint, rc.Poll.EndpointLater = "", true
	return nil
}

// poll completes how polls are made.
func (cfg Config) poll(p receiver.Poll) *receiver.Poll {
	if p.HTTP == nil {
		p.HTTP = cfg.HTTP
	}
	if p.Token == nil && cfg.Credential != nil {
		p.Token, p.Refused = cfg.Credential.Token, cfg.Credential.Refused
	}
	return &p
}

// documents returns a client for metadata and keys.
func (cfg Config) documents() *wellknown.Client {
	wc := wellknown.Config{HTTP: cfg.HTTP, MinRefresh: cfg.KeyRefresh}
	if cfg.MetadataURL != "" {
		wc.MetadataURLs = map[string]string{cfg.Receiver.Issuer: cfg.MetadataURL}
	}
	if cfg.FormerMetadata {
		wc.Fallbacks = []wellknown.Location{
			wellknown.Inserted(wellknown.NameRISCConfiguration), wellknown.Inserted(wellknown.NameSSEConfiguration),
		}
	}
	return wellknown.NewClient(wc)
}

// keyKeeper finds the transmitter's keys and knows how it stands with them.
type keyKeeper interface {
	set.SoleKeySource
	Fetch(ctx context.Context, issuer string) error
	State(issuer string) wellknown.KeysState
}

// keySource returns where the transmitter's keys come from.
func (cfg Config) keySource(documents *wellknown.Client) (keyKeeper, error) {
	issuer := cfg.Receiver.Issuer
	if cfg.KeyFile != "" {
		file := &keyFile{path: cfg.KeyFile, now: cfg.Receiver.Now}
		if s := file.State(issuer); s.Err != nil {
			return nil, &KeyFileError{s.Err}
		}
		return file, nil
	}
	keys := documents.Keys(issuer)
	if cfg.JWKSURL != "" {
		keys = documents.KeysAt(map[string]string{issuer: cfg.JWKSURL})
	}
	return keys, nil
}

// KeyFileError says that Config.KeyFile cannot be used.
type KeyFileError struct{ Err error }

// Error names the field and what is wrong with the file.
func (e *KeyFileError) Error() string { return "keeper: Config.KeyFile: " + e.Err.Error() }

// Unwrap returns what is wrong with the file.
func (e *KeyFileError) Unwrap() error { return e.Err }

// Handler is the push endpoint, as [receiver.Receiver.Handler].
func (k *Keeper) Handler() http.Handler { return k.receiver.Handler() }

// Receiver returns the receiver behind the keeper, which the keeper runs.
func (k *Keeper) Receiver() *receiver.Receiver { return k.receiver }

// Run runs the receiver and keeps the stream until ctx ends. A transmitter that fails
// does not end it: it is tried again with growing pauses, and Health tells. It owns
// every goroutine that it starts. Errors: those of [receiver.Receiver.Run].
func (k *Keeper) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return k.receiver.Run(ctx) })
	if k.keys != nil {
		group.Go(func() error { k.fetchKeys(ctx); return nil })
	}
	if k.cfg.Shared != nil {
		k.share(ctx, group)
	} else {
		k.work(ctx, group)
	}
	return group.Wait()
}

// work does what one process at a time does, until ctx ends.
func (k *Keeper) work(ctx context.Context, group *errgroup.Group) {
	if k.cfg.Stream == nil {
		return
	}
	group.Go(func() error { k.keep(ctx); return nil })
	if k.cfg.VerifyInterval > 0 {
		group.Go(func() error { k.verify(ctx); return nil })
	}
}

// fetchKeys gets the keys before the first SET comes, so that what is wrong with them is
// seen at once.
func (k *Keeper) fetchKeys(ctx context.Context) {
	failures := k.newBackoff()
	for {
		err := k.keys.Fetch(ctx, k.cfg.Receiver.Issuer)
		if err == nil || ctx.Err() != nil {
			return
		}
		pause := failures.NextBackOff()
		k.log.WarnContext(ctx, "keys of the transmitter cannot be had", "in", pause, "err", err)
		if !wait(ctx, pause, nil) {
			return
		}
	}
}

func (k *Keeper) newBackoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = min(firstBackoff, k.cfg.MaxBackoff), k.cfg.MaxBackoff, 2
	return b
}

func (k *Keeper) now() time.Time { return k.cfg.Receiver.Now() }

// jitter returns d less up to a fifth, so that keepers of one start do not stay in step.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}

// signal puts a token into a channel of one unless it has one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait returns true after d or when woken, false as soon as ctx ends.
func wait(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-woken:
	}
	return ctx.Err() == nil
}
