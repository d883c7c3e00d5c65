package transmitter

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/acts"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/admin"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

// Routes are named by method and path: "POST /ssf/streams", "POST /admin/keys/rotate".
type routeName string

// acts returns what notes administrative acts in the log.
func (t *Transmitter) acts() acts.Recorder {
	return acts.Recorder{Log: t.cfg.Log, Logger: t.cfg.Logger, AnswerOf: func(err error) (int, string) {
		a, _ := answerOf(err)
		return a.Status, a.Err
	}}
}

// keepKeys replaces signing keys by their schedule; each step is an act of this node's.
func (t *Transmitter) keepKeys(ctx context.Context) error {
	nothing := func(err error) bool { // others did something meanwhile
		return errors.Is(err, keys.ErrChanged) || errors.Is(err, keys.ErrTooSoon) || errors.Is(err, keys.ErrNotFound) || errors.Is(err, keys.ErrFull)
	}
	return t.cfg.Keys.Keep(ctx, func(ctx context.Context, step, kid string, do func(context.Context) (string, error)) error {
		return t.acts().Own(ctx, t.cfg.Node, step, "key", kid, nothing, do)
	})
}

// noted returns the handler of a route with its act noted around it, if it is one.
func (t *Transmitter) noted(method, path string, next echo.HandlerFunc) echo.HandlerFunc {
	spec, ok := actOf(routeName(method + " " + path))
	if !ok {
		return next
	}
	return t.acts().Wrap(spec, next)
}

// noteOperators is the middleware that does so for the admin API.
func (t *Transmitter) noteOperators(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		return t.noted(c.Request().Method, c.Path(), next)(c)
	}
}

func actOf(name routeName) (acts.Spec, bool) {
	for _, group := range []map[routeName]acts.Spec{streamActs(), webhookActs(), lawActs(), registrationActs(), keeperActs()} {
		if spec, ok := group[name]; ok {
			return spec, true
		}
	}
	return acts.Spec{}, false
}

// Operators' twins of what applications do stand below this.
const ops = routeName(admin.Prefix)

func on(method string, path routeName) routeName { return routeName(method) + " " + path }

// streamActs are those on streams.
func streamActs() map[routeName]acts.Spec {
	stream := map[string]string{"stream_id": "stream"}
	settings := acts.Spec{
		Objects: stream, Shown: []string{"delivery.method", "events_requested"}, URLs: []string{"delivery.endpoint_url"},
		Hidden: []string{"delivery.authorization_header", "delivery.endpoint_url_token", "description"},
	}
	status := acts.Spec{Name: "stream.status", Objects: stream, Shown: []string{"status"}, Hidden: []string{"reason"}}
	letter := map[string]string{"stream_id": "stream", "jti": "dead_letter"}
	resend := acts.Spec{Name: "dead_letter.resend", Objects: letter}
	drop := acts.Spec{Name: "dead_letter.drop", Objects: letter}
	replay := acts.Spec{Name: "stream.replay", Objects: stream, Shown: []string{"from"}, Entry: true}
	return map[routeName]acts.Spec{
		on(http.MethodPost, pathStreams):                                        settings.As("stream.create"),
		on(http.MethodPatch, pathStreams):                                       settings.As("stream.update"),
		on(http.MethodPut, pathStreams):                                         settings.As("stream.replace"),
		on(http.MethodDelete, pathStreams):                                      {Name: "stream.delete", Objects: stream},
		on(http.MethodPost, pathStatus):                                         status,
		on(http.MethodPost, ops+"/streams/:stream_id/status"):                   status,
		on(http.MethodPost, ops+"/streams/:stream_id/verify"):                   {Name: "stream.verify", Objects: stream},
		on(http.MethodPut, ops+"/streams/:stream_id/profile"):                   {Name: "stream.profile", Objects: stream, Shown: []string{"profile"}},
		on(http.MethodPut, ops+"/streams/:stream_id/encryption"):                {Name: "stream.encrypt", Objects: map[string]string{"stream_id": "stream", "encryption.kid": "key"}, Shown: []string{"off", "kid", "alg", "enc"}, Hidden: []string{"keys", "pem"}},
		on(http.MethodPost, pathReplay):                                         replay,
		on(http.MethodPost, ops+"/streams/:stream_id/replay"):                   replay,
		on(http.MethodPost, pathDeadLetters+"/:jti/resend"):                     resend,
		on(http.MethodPost, ops+"/streams/:stream_id/dead-letters/:jti/resend"): resend,
		on(http.MethodPost, pathHookLetters+"/:jti/resend"):                     resend,
		on(http.MethodDelete, pathDeadLetters+"/:jti"):                          drop,
		on(http.MethodDelete, ops+"/streams/:stream_id/dead-letters/:jti"):      drop,
		on(http.MethodDelete, pathHookLetters+"/:jti"):                          drop,
	}
}

// webhookActs are those on webhooks.
func webhookActs() map[routeName]acts.Spec {
	hook := map[string]string{"stream_id": "webhook", "id": "webhook", "application": "application"}
	settings := acts.Spec{
		Objects: hook, Shown: []string{"types", "applications", "environment", "format", "batch", "status", "auth.type", "signing.type"}, URLs: []string{"url"},
		Hidden: []string{"description", "headers", "auth", "signing", "reason"},
	}
	all := make(map[routeName]acts.Spec)
	for prefix, one := range map[routeName]routeName{pathWebhooks: pathWebhook, ops + "/webhooks": ops + "/webhooks/:stream_id"} {
		all[on(http.MethodPost, prefix)] = settings.As("webhook.create")
		all[on(http.MethodPatch, one)] = settings.As("webhook.update")
		all[on(http.MethodPut, one)] = settings.As("webhook.replace")
		all[on(http.MethodDelete, one)] = acts.Spec{Name: "webhook.delete", Objects: hook}
		all[on(http.MethodPost, one+"/rotate")] = acts.Spec{Name: "webhook.rotate", Objects: hook, Shown: []string{"grace_seconds"}, Hidden: []string{"secret"}}
		all[on(http.MethodPost, one+"/replay")] = acts.Spec{Name: "webhook.replay", Objects: hook, Shown: []string{"from"}, Entry: true}
	}
	return all
}

// lawActs are those on what is known of users: each is an entry of the log by itself,
// which names the subject; the act does not.
func lawActs() map[routeName]acts.Spec {
	decision := map[string]string{"id": "decision", "application": "application"}
	decide := acts.Spec{Name: "consent.decide", Objects: decision, Shown: []string{"decision", "time"}, Hidden: []string{"subject", "reason"}, Entry: true}
	gate := acts.Spec{
		Name: "consent.gate", Objects: map[string]string{"application": "application"},
		Shown: []string{"enabled", "hold_seconds", "refused", "drop_after_seconds"}, Entry: true,
	}
	erase := acts.Spec{Name: "subject.erase", Objects: map[string]string{"id": "erasure"}, Shown: []string{"now"}, Hidden: []string{"subject", "reason"}, Entry: true}
	hold := map[string]string{"id": "hold"}
	return map[routeName]acts.Spec{
		on(http.MethodPost, pathConsents):        decide,
		on(http.MethodPost, ops+"/consents"):     decide,
		on(http.MethodPut, pathConsents+"/gate"): gate,
		on(http.MethodPut, ops+"/consents/gate"): gate,
		on(http.MethodPost, pathErasures):        erase,
		on(http.MethodPost, ops+"/erasures"):     erase,
		on(http.MethodPost, ops+"/holds"):        {Name: "hold.set", Objects: hold, Hidden: []string{"subject", "reason"}, Entry: true},
		on(http.MethodDelete, ops+"/holds/:id"):  {Name: "hold.lift", Objects: hold, Entry: true},
	}
}

// registrationActs are those on who may do what.
func registrationActs() map[routeName]acts.Spec {
	application := map[string]string{"id": "application"}
	client := map[string]string{"id": "client", "client_id": "client", "application": "application"}
	source := map[string]string{"name": "source"}
	return map[routeName]acts.Spec{
		on(http.MethodPost, ops+"/applications"):       {Name: "application.add", Objects: application, Shown: []string{"name", "audience", "subject_format", "profile", "encryption.off", "encryption.kid", "encryption.alg", "encryption.enc"}, Hidden: []string{"encryption.keys", "encryption.pem"}},
		on(http.MethodPatch, ops+"/applications/:id"):  {Name: "application.update", Objects: application, Shown: []string{"name", "subject_format", "profile", "encryption.off", "encryption.kid", "encryption.alg", "encryption.enc"}, Hidden: []string{"encryption.keys", "encryption.pem"}},
		on(http.MethodDelete, ops+"/applications/:id"): {Name: "application.remove", Objects: application},
		on(http.MethodPost, ops+"/clients"): {
			Name: "client.add", Objects: client, Shown: []string{"audience", "environment", "scope", "static", "source", "certificate", "bound_tokens"},
			URLs: []string{"jwks_uri"}, Hidden: []string{"jwks"},
		},
		on(http.MethodDelete, ops+"/clients/:id"):      {Name: "client.remove", Objects: client},
		on(http.MethodPost, ops+"/clients/:id/rotate"): {Name: "client.rotate", Objects: client, Shown: []string{"keep_seconds", "end_tokens", "certificate"}, URLs: []string{"jwks_uri"}, Hidden: []string{"jwks"}},
		on(http.MethodPost, ops+"/sources"): {
			Name: "source.add", Objects: source,
			Shown: []string{"kind", "auth", "environment", "applications", "event_types", "subject_issuers", "consents", "api.poll_seconds", "api.overlap_seconds", "api.since"},
			URLs:  []string{"api.url"}, Hidden: []string{"user", "header", "signature_secret", "api.client_id", "api.secret"},
		},
		on(http.MethodDelete, ops+"/sources/:name"):      {Name: "source.remove", Objects: source},
		on(http.MethodPost, ops+"/sources/:name/rotate"): {Name: "source.rotate", Objects: source, Shown: []string{"keep_seconds"}, Hidden: []string{"api_secret", "signature_secret"}},
		on(http.MethodPost, ops+"/sources/:name/fetch"):  {Name: "source.fetch", Objects: source},
	}
}

// keeperActs are those on keys, the index, the log's head and copies.
func keeperActs() map[routeName]acts.Spec {
	key := map[string]string{"kid": "key"}
	return map[routeName]acts.Spec{
		on(http.MethodPost, ops+"/keys/rotate"):      {Name: "key.rotate", Objects: key},
		on(http.MethodPost, ops+"/keys/:kid/retire"): {Name: "key.retire", Objects: key, Shown: []string{"force"}},
		on(http.MethodPost, ops+"/keys/rewrap"):      {Name: "key.rewrap"},
		on(http.MethodPost, ops+"/index/rebuild"):    {Name: "index.rebuild"},
		on(http.MethodPost, ops+"/backup"):           {Name: "store.backup", Shown: []string{"dir"}},
	}
}
