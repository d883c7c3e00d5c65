// Package transmitter is the transmitter of the OpenID Shared Signals
// Framework 1.0 (SSF): account events come in, are kept in an event log, and
// leave as signed Security Event Tokens on the streams that match.
//
//	t, err := transmitter.New(transmitter.Config{Issuer: …, Log: …, Streams: …, Applications: …, Keys: …})
//	go t.Run(ctx)
//	http.ListenAndServeTLS(addr, cert, key, t.Handler())
//
// An event is answered once it is durable in the log. A follower of the log
// (internal/fanout) puts it on the queues of matching streams; what is queued
// is signed (internal/outbox) and pushed (internal/push, RFC 8935) or polled
// (internal/poll, RFC 8936). The rules of stream management are in package
// streams (Catalog). docs/architecture.md draws the whole way.
package transmitter

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/exercise"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/replay"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/webhook"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
	"github.com/tocsin-ssf/tocsin/transmitter/source"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Transmitter serves one issuer. Its methods may be called concurrently.
type Transmitter struct {
	cfg     Config
	base    string // path of the issuer, without a slash at its end
	root    string // the issuer, without a slash at its end
	auth    *auth.Authenticator
	tokens  *wellknown.Client     // fetches what access tokens need
	issuer  *wellknown.RemoteKeys // the token issuer's keys; nil: there is none
	catalog *streams.Catalog
	outbox  *outbox.Outbox
	gate    *consent.Gate
	work    work
	replays *replay.Orders
	pusher  *push.Pusher
	recent  *push.Recent
	metrics *metrics
	tracer  *tracing.Tracer // nil: none
	rates   rates
	mapper  *mapping.Mapper
	search  *eventapi.Search // nil: there is none
	ingest  *ingest.Ingest
	vendors *http.Client // calls the APIs of vendors
	pollers *source.Pollers
	server  *echo.Echo
	formats formats

	webhooks *webhook.Service
	eraser   *erase.Eraser      // nil without an index
	exercise *exercise.Exercise // nil but for conformance suites

	sweeps atomic.Int32 // looks for orphaned streams that are still to be made

	stop     sync.Once
	stopping chan struct{}
}

// New returns a transmitter that starts nothing. Its error names every field
// of cfg that cannot be used.
func New(cfg Config) (*Transmitter, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	t := &Transmitter{cfg: cfg, stopping: make(chan struct{}), recent: push.NewRecent(), tracer: tracing.New(cfg.Traces)}
	t.sweeps.Store(1)
	t.root = strings.TrimSuffix(cfg.Issuer, "/")
	t.base = basePath(t.root)
	t.metrics = newMetrics(cfg.Streams, cfg.Log, cfg.Index)
	t.metrics.registry.MustRegister(keyCollector{cfg.Keys, cfg.Now}, stateCollector{t})
	if cfg.Checkpoints != nil {
		t.metrics.registry.MustRegister(checkpointCollector{cfg.Checkpoints})
	}
	t.tokens = t.newTokens()
	t.rates = rates{
		clients:   edge.NewRates[string](cfg.RateClient, cfg.Now),
		addresses: edge.NewRates[netip.Prefix](cfg.RateAddress, cfg.Now),
		open:      map[string]bool{}, limited: func(by string) { t.metrics.limited.WithLabelValues(by).Inc() },
	}
	var err error
	t.auth, err = auth.New(auth.Config{
		Store: cfg.Applications, Issuer: cfg.Issuer,
		Signer: cfg.Keys.TokenSigner, Keys: cfg.Keys.KeySet, Refresh: cfg.Keys.Look, Signed: cfg.Keys.Signed,
		Endpoints: t.oauthEndpoints(), ClientKeys: t.tokens.KeySets(), External: t.tokenIssuer(),
		Certificates: edge.Certificates, ClientCAs: cfg.ClientCAs,
		Now: cfg.Now, TokenLifetime: cfg.TokenLifetime, ResourceMetadata: t.resourceMetadata, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("transmitter: %w", err)
	}
	if err := t.newExercise(); err != nil {
		return nil, fmt.Errorf("transmitter: %w", err)
	}
	if t.catalog, err = t.newCatalog(); err != nil {
		return nil, fmt.Errorf("transmitter: %w", err)
	}
	t.outbox = outbox.New(outbox.Config{
		Records: cfg.Log, Key: cfg.Keys.Signer, JWT: cfg.Keys.JWTSigner, Signed: cfg.Keys.Signed, Observe: t.metrics.made, Filter: cfg.FilterPayload,
		Away: cfg.Keys.Away, Turns: signingTurns(cfg.Keys),
	})
	t.gate = consent.New(cfg.Log, cfg.Now)
	if _, ok := cfg.Streams.(streams.Shared); ok {
		t.gate.Share(shareEvery)
	}
	client := guard.NewClient(t.pushPolicy())
	t.webhooks = webhook.New(webhook.Config{
		Store: cfg.Applications, Streams: cfg.Streams, Catalog: t.catalog, Records: cfg.Log, Head: cfg.Log.Head,
		Issuer: cfg.Issuer, Client: client, Blocked: guard.Blocked, CheckURL: t.checkEndpoint, Shared: cfg.Once != nil,
		Now: cfg.Now, Logger: cfg.Logger,
	})
	t.work = t.newWork()
	t.replays = replay.New(cfg.Log, t.work.placeOf, cfg.Now)
	t.pusher = push.New(push.Config{
		Outbox: t.outbox, Webhooks: t.webhooks, Client: client, Blocked: guard.Blocked,
		Pause: func(ctx context.Context, stream, reason string) error {
			return t.pause(ctx, stream, reason, causeDelivery)
		},
		Window: cfg.PushWindow, Timeout: cfg.PushTimeout, Schedule: cfg.PushSchedule,
		GiveUp: cfg.PushGiveUp, Refusals: cfg.PushRefusals,
		Observe: t.attempted, Tracer: t.tracer, Crash: cfg.Crash, Now: cfg.Now, Logger: cfg.Logger,
	})
	if t.mapper, err = mapping.New(cfg.Mapping); err != nil {
		return nil, fmt.Errorf("transmitter: %w", err)
	}
	if t.search, err = t.newSearch(); err != nil {
		return nil, fmt.Errorf("transmitter: %w", err)
	}
	t.eraser = t.newEraser()
	t.vendors = guard.NewClient(cfg.Sources)
	t.pollers, err = source.NewPollers(source.Config{
		Store: cfg.Applications, Accept: t.acceptRecords, HTTP: t.vendors,
		Observe: t.metrics.sourcePolled, Now: cfg.Now, Crash: cfg.Crash, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("transmitter: %w", err)
	}
	t.ingest = ingest.New(t.intake(), t.mapper, t.metrics.offered, cfg.Crash, cfg.Logger)
	t.ingest.Trace(t.tracer)
	if cfg.Index != nil {
		t.ingest.Ask(past{cfg.Log, cfg.Index})
	}
	t.server = t.routes()
	return t, nil
}

// remoteTurns is how many signatures are asked for at once of who holds keys elsewhere:
// they wait there, not for a CPU here.
const remoteTurns = 32

func signingTurns(ring *keys.Ring) int {
	if ring.HeldElsewhere() {
		return remoteTurns
	}
	return 0
}

// Handler serves the issuer: metadata, the stream API of SSF §8, polls, the
// token endpoint and the event API. Mount it at the root of the host: the
// paths include the issuer's own.
func (t *Transmitter) Handler() http.Handler { return t.server }

// Catalog returns the rules of SSF §8 on the transmitter's streams, for
// operators' tools.
func (t *Transmitter) Catalog() *streams.Catalog { return t.catalog }

// Run follows the log, delivers, and keeps time, until ctx ends; it returns
// nil after the last of its goroutines has ended.
func (t *Transmitter) Run(ctx context.Context) error {
	t.sweep(ctx) // before anything leaves
	t.warnOfSources(ctx)
	chores := []func(context.Context) error{t.pollers.Run, t.keepTime, t.keepKeys}
	parts := append(slices.Clone(t.cfg.Beside), t.work.run, t.cfg.Keys.Run, t.cfg.Applications.Run, t.keepSwept, t.lookForTokenIssuer)
	if t.cfg.Index != nil {
		parts = append(parts, t.cfg.Index.Run)
		chores = append(chores, t.eraser.Run)
		if _, ok := t.cfg.Streams.(streams.Shared); ok {
			parts = append(parts, t.eraser.Follow)
		}
	}
	parts = append(parts, func(ctx context.Context) error {
		return t.once(ctx, func(ctx context.Context) error { return all(ctx, chores...) })
	})
	if t.cfg.Checkpoints != nil {
		parts = append(parts, t.cfg.Checkpoints.Run)
	}
	if t.exercise != nil {
		parts = append(parts, t.exercise.Run)
	}
	return all(ctx, parts...)
}

// Refuse makes the transmitter take no more work: readiness turns 503, new
// events are answered 503 with Retry-After, long polls are answered at once.
// It is the first step of a shutdown; then comes the HTTP server's own, and
// then the end of Run's context.
func (t *Transmitter) Refuse() { t.stop.Do(func() { close(t.stopping) }) }

func (t *Transmitter) refusing() bool {
	select {
	case <-t.stopping:
		return true
	default:
		return false
	}
}

func (t *Transmitter) newCatalog() (*streams.Catalog, error) {
	cfg := t.cfg
	return streams.NewCatalog(streams.CatalogConfig{
		Store: cfg.Streams, Issuer: cfg.Issuer,
		PollEndpoint:    func(id string) string { return t.root + pathPoll + "/" + id },
		EventsSupported: cfg.EventsSupported,
		Methods:         []string{delivery.MethodPush, delivery.MethodPoll},
		DefaultSubjects: cfg.DefaultSubjects, MinVerificationInterval: cfg.MinVerificationInterval,
		InactivityTimeout: cfg.InactivityTimeout, ActivityLag: t.activityLag(), OneStream: cfg.OneStream,
		MaxStreams: cfg.MaxStreams, MaxSubjects: cfg.MaxSubjects,
		CheckEndpoint: t.checkEndpoint, Asked: t.asked(), Head: cfg.Log.Head, Now: cfg.Now,
	})
}

// attempted counts an attempt and remembers it for operators.
func (t *Transmitter) attempted(a push.Attempt) {
	t.metrics.attempt(a)
	t.recent.Add(a)
}

// heard remembers what a receiver that polls said of a SET.
func (t *Transmitter) heard(item streams.Item, said push.Judgement, why delivery.Failure) {
	t.recent.Add(push.Attempt{
		Stream: item.Stream, EventType: item.Type, ID: item.ID, Number: max(item.Attempts, 1), At: t.cfg.Now(),
		Method: delivery.MethodPoll, Verdict: said.String(), Code: string(why.Err), Text: why.Description,
	})
}

// activityLag is how late the store may tell of activity.
func (t *Transmitter) activityLag() time.Duration {
	if _, ok := t.cfg.Streams.(streams.Shared); ok {
		return streams.ActivityLag
	}
	return 0
}

func (t *Transmitter) pushPolicy() guard.Policy {
	p := t.cfg.Push
	p.Timeout = t.cfg.PushTimeout
	// What is in flight is bounded by stream and in all. A bound by host would
	// let streams that hang there delay the others of that host.
	p.MaxConnsPerHost = orElse(p.MaxConnsPerHost, push.DefaultInFlight)
	return p
}

// checkEndpoint judges an endpoint_url by its text; the address behind it is
// judged at each connection (SEC-01).
func (t *Transmitter) checkEndpoint(raw string) error {
	_, err := guard.CheckURL(raw, t.pushPolicy())
	return err
}

// Causes of a pause, for metrics.
const (
	causeDelivery = "delivery" // its receiver answers nothing good
	causeFull     = "full"     // its queue
	causeInactive = "inactive"
)

// pause pauses a stream that is enabled; of one that is not it says nothing, or
// each batch that a full queue cannot keep would be told of.
func (t *Transmitter) pause(ctx context.Context, stream, reason, cause string) error {
	if s, err := t.cfg.Streams.Stream(ctx, stream); err == nil && s.Status != streams.Enabled {
		return nil
	}
	t.cfg.Logger.WarnContext(ctx, "pausing a stream", "stream_id", stream, "reason", reason)
	_, err := t.catalog.Pause(ctx, stream, reason, streams.ByTransmitter)
	if err == nil {
		t.metrics.paused.WithLabelValues(cause).Inc()
	}
	return err
}

// queueFull pauses a stream whose queue could not keep more (contracts.md §5).
func (t *Transmitter) queueFull(ctx context.Context, stream string, dropped int) {
	t.metrics.notKept.Add(float64(dropped))
	if err := t.pause(ctx, stream, "the queue is full, dead letters counted; later events were not kept", causeFull); err != nil {
		t.cfg.Logger.ErrorContext(ctx, "could not pause a full stream", "stream_id", stream, "err", err)
	}
}
