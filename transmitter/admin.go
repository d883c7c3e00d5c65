package transmitter

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/admin"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// readyTime bounds how long a readiness check may ask the stores.
const readyTime = 2 * time.Second

// SocketHandler serves operators on the Unix socket: the admin API, health and
// metrics, to whoever can open it.
func (t *Transmitter) SocketHandler() http.Handler { return t.adminServer() }

// AdminHandler serves the same on a TCP listener: health to anybody, metrics
// and all else to bearers of an admin token.
func (t *Transmitter) AdminHandler() http.Handler { return t.adminServer(t.admit(auth.OpAdminister)) }

func (t *Transmitter) adminServer(guards ...echo.MiddlewareFunc) http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = t.writeError
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(t.answered, t.recover, request.BoundBody, t.rates.pace, onlyListed)
	operators := e.Group(admin.Prefix, guards...)
	admin.Handler{
		Applications: t.cfg.Applications, Keys: t.cfg.Keys, Streams: t.cfg.Streams, Catalog: t.catalog, Rules: t.streamRules(), Node: t.cfg.Node, Recent: t.recent.Of, Replays: t.replays,
		Ingest: t.ingest, Refusing: t.refusing, Removed: t.removed, Log: t.cfg.Log,
		Consent: t.consents(),
		Events:  t.events(), Index: t.cfg.Index, Erasures: erase.Handler{Eraser: t.eraser},
		SourcePath: t.base + pathSources, CheckVendor: t.checkVendor, CheckKeysURL: t.checkKeysURL, Now: t.cfg.Now, Fetch: t.fetchRecord, VendorTypes: t.vendorTypes,
		Backup: t.cfg.Backup, Figures: t.cfg.Figures, Rewrap: t.cfg.Rewrap, Webhooks: t.webhooks, Note: t.noteOperators, Acts: t.acts().List,
		Way: t.way(),
	}.Mount(operators)
	if t.cfg.Checkpoints != nil {
		t.proofs().Mount(operators)
	}
	e.GET("/metrics", echo.WrapHandler(t.metrics.handler()), guards...)
	health := t.healthHandler()
	e.GET("/healthz", echo.WrapHandler(health))
	e.GET("/readyz", echo.WrapHandler(health))
	return e
}

// streamRules are the settings of the rules that change streams by themselves.
func (t *Transmitter) streamRules() admin.StreamRules {
	giveUp, refusals := t.pusher.Limits()
	return admin.StreamRules{ActivityLag: t.activityLag(), GiveUp: giveUp, Refusals: refusals, Expiry: t.cfg.Expiry}
}

// answered writes an error's answer before the server sees it.
func (t *Transmitter) answered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := next(c); err != nil {
			t.writeError(err, c)
		}
		note(c)
		return nil
	}
}

// healthHandler serves /healthz (the process lives), /readyz (it takes work:
// its stores answer and it is not shutting down). Without who holds its keys it takes
// events, which wait, so it is ready and says what is missing: taken out of service it
// would take none.
func (t *Transmitter) healthHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := t.ready(r.Context()); err != nil {
			t.cfg.Logger.WarnContext(r.Context(), "not ready", "err", err)
			say(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		if t.refusing() {
			say(w, http.StatusServiceUnavailable, "shutting down")
			return
		}
		if _, why := t.cfg.Keys.Away(); why != nil {
			say(w, http.StatusOK, "ready, but the signer is away: events are taken, SETs wait")
			return
		}
		say(w, http.StatusOK, "ready")
	})
	return mux
}

func (t *Transmitter) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if _, err := t.cfg.Log.Head(ctx); err != nil {
		return err
	}
	_, _, err := t.cfg.Streams.Depths(ctx, 0)
	return err
}

func say(w http.ResponseWriter, status int, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(word + "\n"))
}
