package transmitter

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/consentapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/inlet"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/manage"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/poll"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/webhook"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Paths below the issuer's own.
const (
	pathJWKS          = "/jwks.json"
	pathStreams       = "/ssf/streams"
	pathStatus        = "/ssf/status"
	pathAddSubject    = "/ssf/subjects/add"
	pathRemoveSubject = "/ssf/subjects/remove"
	pathVerify        = "/ssf/verify"
	pathReplay        = "/v1/streams/:stream_id/replay"
	pathParticipation = "/v1/participation"
	pathPoll          = "/ssf/poll"
	pathToken         = "/oauth/token"
	pathRevoke        = "/oauth/revoke"
	pathErasures      = "/v1/erasures"
	pathEvents        = "/v1/events"
	pathEventTypes    = "/v1/event-types"
	pathDeadLetters   = "/v1/streams/:stream_id/dead-letters"
	pathSources       = "/v1/sources"
	pathWebhooks      = "/v1/webhooks"
	pathWebhook       = pathWebhooks + "/:stream_id"
	pathHookLetters   = pathWebhook + "/dead-letters"
	pathConsents      = "/v1/consents"
)

// route is one operation of the API: who may call it stands beside its path.
type route struct {
	method, path string
	operation    auth.Operation
	handler      echo.HandlerFunc
}

// api lists every operation that needs a token.
func (t *Transmitter) api() []route {
	m := manage.Handlers{Catalog: t.catalog}
	p := poll.Handler{
		Queue: t.polled(), Registry: t.cfg.Streams, Sign: t.signForPoll,
		LongPoll: t.cfg.LongPoll, Redeliver: t.cfg.Redeliver, Logger: t.cfg.Logger, Now: t.cfg.Now, Crash: t.cfg.Crash,
		Sent: t.metrics.pollSent,
		Refused: func(_ context.Context, _ streams.Stream, item streams.Item, why delivery.Failure) {
			t.metrics.pollRefused()
			t.heard(item, push.SetAside, why)
		},
		Delivered: func(item streams.Item) {
			t.metrics.polled(t.cfg.Now().Sub(t.outbox.Accepted(item)))
			t.heard(item, push.Accepted, delivery.Failure{})
		},
	}
	in := ingest.Handler{Ingest: t.ingest, Refusing: t.refusing}
	ev := t.events()
	hook := webhook.Handler{Service: t.webhooks}
	letters := eventapi.Handler{DeadLetters: t.cfg.Streams, Registry: t.cfg.Streams, Owner: streams.WebhookOwner}
	replays := eventapi.ReplayHandler{Registry: t.cfg.Streams, Replays: t.replays, Owner: streams.WebhookOwner}
	consents := t.consents()
	erasures := erase.Handler{Eraser: t.eraser}
	return []route{
		{http.MethodPost, pathStreams, auth.OpCreateStream, m.CreateStream},
		{http.MethodGet, pathStreams, auth.OpReadStream, m.ReadStream},
		{http.MethodPatch, pathStreams, auth.OpUpdateStream, m.UpdateStream},
		{http.MethodPut, pathStreams, auth.OpReplaceStream, m.ReplaceStream},
		{http.MethodDelete, pathStreams, auth.OpDeleteStream, m.DeleteStream},
		{http.MethodGet, pathStatus, auth.OpReadStatus, m.ReadStatus},
		{http.MethodPost, pathStatus, auth.OpUpdateStatus, m.UpdateStatus},
		{http.MethodPost, pathAddSubject, auth.OpAddSubject, m.AddSubject},
		{http.MethodPost, pathRemoveSubject, auth.OpRemoveSubject, m.RemoveSubject},
		{http.MethodPost, pathVerify, auth.OpVerify, m.Verify},
		{http.MethodPost, pathReplay, auth.OpReplay, eventapi.ReplayHandler{Registry: t.cfg.Streams, Replays: t.replays}.Replay},
		{http.MethodGet, pathParticipation, auth.OpReadConsents, t.consents().Participation},
		{http.MethodPost, pathPoll + "/:stream_id", auth.OpPoll, t.untilStop(p.Poll)},
		{http.MethodPost, pathErasures, auth.OpEraseEvents, erasures.Offered(erasures.Create)},
		{http.MethodGet, pathErasures, auth.OpEraseEvents, erasures.Offered(erasures.List)},
		{http.MethodGet, pathErasures + "/:id", auth.OpEraseEvents, erasures.Offered(erasures.Read)},
		{http.MethodPost, pathEvents, auth.OpWriteEvents, in.Post},
		{http.MethodGet, pathEvents, auth.OpReadEvents, ev.Find},
		{http.MethodGet, pathEvents + "/:id", auth.OpReadEvents, ev.Event},
		{http.MethodPost, pathConsents, auth.OpManageConsents, consents.Decide},
		{http.MethodGet, pathConsents, auth.OpReadConsents, consents.List},
		{http.MethodGet, pathConsents + "/gate", auth.OpReadConsents, consents.Settings},
		{http.MethodPut, pathConsents + "/gate", auth.OpManageConsents, consents.Set},
		{http.MethodPatch, pathEvents + "/:id", auth.OpAnnotateEvents, ev.Annotate},
		{http.MethodGet, pathEvents + "/:id/annotations", auth.OpReadEvents, ev.Annotations},
		{http.MethodGet, pathEventTypes, auth.OpReadEvents, ev.EventTypes},
		{http.MethodGet, pathDeadLetters, auth.OpReadDeadLetters, ev.DeadLetterPage},
		{http.MethodPost, pathDeadLetters + "/:jti/resend", auth.OpResendDeadLetter, ev.Resend},
		{http.MethodDelete, pathDeadLetters + "/:jti", auth.OpResendDeadLetter, ev.Drop},
		{http.MethodPost, pathWebhooks, auth.OpManageWebhooks, hook.Create},
		{http.MethodGet, pathWebhooks, auth.OpReadWebhooks, hook.List},
		{http.MethodGet, pathWebhook, auth.OpReadWebhooks, hook.Read},
		{http.MethodPatch, pathWebhook, auth.OpManageWebhooks, hook.Update},
		{http.MethodPut, pathWebhook, auth.OpManageWebhooks, hook.Replace},
		{http.MethodDelete, pathWebhook, auth.OpManageWebhooks, hook.Delete},
		{http.MethodPost, pathWebhook + "/rotate", auth.OpManageWebhooks, hook.Rotate},
		{http.MethodPost, pathWebhook + "/test", auth.OpManageWebhooks, hook.Test},
		{http.MethodGet, pathHookLetters, auth.OpReadWebhooks, hook.Own(letters.DeadLetterPage)},
		{http.MethodPost, pathHookLetters + "/:jti/resend", auth.OpManageWebhooks, hook.Own(letters.Resend)},
		{http.MethodDelete, pathHookLetters + "/:jti", auth.OpManageWebhooks, hook.Own(letters.Drop)},
		{http.MethodPost, pathWebhook + "/replay", auth.OpManageWebhooks, hook.Own(replays.Replay)},
	}
}

// consents serve decisions and gates, to applications and to operators.
func (t *Transmitter) consents() consentapi.Handler {
	return consentapi.Handler{Gate: t.gate, Applications: t.cfg.Applications}
}

// routes builds the issuer's server.
func (t *Transmitter) routes() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = t.writeError
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(t.metrics.requests, t.recover, request.BoundBody, t.rates.pace, onlyListed)
	for _, r := range append(t.treeAPI(), t.api()...) {
		e.Add(r.method, t.base+r.path, t.noted(r.method, r.path, r.handler), t.admit(r.operation))
	}
	open := func(method, path string, h echo.HandlerFunc) {
		e.Add(method, path, h)
		t.rates.open[path] = true
	}
	if t.cfg.TokenIssuer == nil {
		open(http.MethodPost, t.base+pathToken, echo.WrapHandler(t.auth.TokenHandler()))
		open(http.MethodPost, t.base+pathRevoke, echo.WrapHandler(t.auth.RevokeHandler()))
	}
	// A vendor has no token of ours: it is told by its source's credential.
	e.POST(t.base+pathSources+"/:name", inlet.Handler{
		Sources: t.cfg.Applications, Take: t.takeRecords, Refusing: t.refusing,
		Rate: func(source string) error { return t.rates.client(sourceKey + source) },
	}.Post)
	for path, h := range t.publicTree() {
		open(http.MethodGet, t.base+path, h)
	}
	for path, h := range t.documents() {
		open(http.MethodGet, path, echo.WrapHandler(h))
	}
	return e
}

// documents are what anybody may read: metadata and keys.
func (t *Transmitter) documents() map[string]http.Handler {
	docs := map[string]http.Handler{
		wellknown.Path(t.cfg.Issuer): wellknown.Handler(t.configuration()),
		t.base + pathJWKS:            t.jwks(),
	}
	if t.cfg.TokenIssuer == nil {
		docs[wellknown.AuthorizationServerPath(t.cfg.Issuer)] = wellknown.AuthorizationServerHandler(t.authorizationServer())
	}
	if t.cfg.FormerMetadata {
		for _, path := range wellknown.FormerPaths(t.cfg.Issuer) {
			docs[path] = wellknown.Handler(t.configuration())
		}
	}
	for _, path := range resources() {
		resource := t.root + path
		docs[wellknown.ProtectedResourcePath(resource)] = wellknown.ProtectedResourceHandler(t.protectedResource(resource))
	}
	return docs
}

// jwks serves the keys with those that another process has made just now: who asks was
// shown a signature by one of them. If that cannot be known, those that are known serve.
func (t *Transmitter) jwks() http.Handler {
	handler := wellknown.JWKSHandler(t.cfg.Keys.KeySet)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = t.cfg.Keys.Look(r.Context()) // Keys.Run logs that it cannot
		handler.ServeHTTP(w, r)
	})
}

// admit lets in a request whose token is sufficient for op. It judges the
// Authorization header alone, before anything else of the request is read.
func (t *Transmitter) admit(op auth.Operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			principal, err := t.auth.Check(c.Request(), op)
			if err != nil {
				return err
			}
			request.WithPrincipal(c, principal)
			if err := t.rates.client(principal.Client); err != nil {
				return err
			}
			request.NoStore(c) // SSF-8.1.1-08, for every answer of ours
			return next(c)
		}
	}
}

// onlyListed refuses every method that a path does not list, OPTIONS too: 405
// with Allow (U35).
func onlyListed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		allow, ok := c.Get(echo.ContextKeyHeaderAllow).(string)
		if !ok {
			return next(c)
		}
		c.Response().Header().Set("Allow", strings.TrimPrefix(allow, "OPTIONS, "))
		return echo.NewHTTPError(http.StatusMethodNotAllowed)
	}
}

// recover turns a panic of a handler into 500, so that it costs one answer.
func (t *Transmitter) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler { //nolint:errorlint // the server's own way to cut a connection
				panic(p)
			}
			if p != nil {
				t.cfg.Logger.ErrorContext(c.Request().Context(), "a handler panicked", "route", c.Path(), "panic", edge.PanicText(p), "stack", string(debug.Stack()))
				err = echo.NewHTTPError(http.StatusInternalServerError)
			}
		}()
		return next(c)
	}
}

// untilStop ends the request's context when the transmitter refuses new work,
// so that no long poll holds up a shutdown.
func (t *Transmitter) untilStop(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer cancel()
		go func() {
			select {
			case <-t.stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// signForPoll signs an item and keeps the bytes: a poll may ask again.
func (t *Transmitter) signForPoll(ctx context.Context, s streams.Stream, item streams.Item) (string, error) {
	began := time.Now()
	signed, err := t.outbox.Sign(ctx, s, item)
	if err != nil {
		return "", err
	}
	_, span := outbox.Trace(ctx, t.tracer, s, item, signed.TransactionID, began, time.Now())
	span.End()
	t.outbox.Keep(item, signed)
	if t.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		t.cfg.Logger.DebugContext(ctx, "polled a SET",
			"stream_id", s.ID, "jti", item.ID, "txn", signed.TransactionID, "event_type", item.Type, "attempt", item.Attempts+1)
	}
	return signed.Compact, nil
}

// basePath returns the path of an issuer without a slash at its end.
func basePath(root string) string {
	u, err := url.Parse(root)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}
