package transmitter_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// sufficient says of every route that needs a token which scopes are enough, the
// narrowest last; admin is for each.
func sufficient() map[string]string {
	const read, manage = "ssf.read ssf.manage ", "ssf.manage "
	return map[string]string{
		"POST /ssf/streams":              manage + "ssf.manage.create",
		"GET /ssf/streams":               read + "ssf.read.stream",
		"PATCH /ssf/streams":             manage + "ssf.manage.update",
		"PUT /ssf/streams":               manage + "ssf.manage.replace",
		"DELETE /ssf/streams":            manage + "ssf.manage.delete",
		"GET /ssf/status":                read + "ssf.read.status",
		"POST /ssf/status":               manage + "ssf.manage.status",
		"POST /ssf/subjects/add":         manage + "ssf.manage.add_subject",
		"POST /ssf/subjects/remove":      manage + "ssf.manage.remove_subject",
		"POST /ssf/verify":               manage + "ssf.manage.verify",
		"POST /ssf/poll/:stream_id":      read + "ssf.manage.poll",
		"POST /v1/events":                "events.write",
		"GET /v1/events":                 "events.read",
		"GET /v1/events/:id":             "events.read",
		"PATCH /v1/events/:id":           "events.annotate",
		"GET /v1/event-types":            "events.read",
		"POST /v1/erasures":              "events.erase",
		"GET /v1/erasures":               "events.erase",
		"GET /v1/erasures/:id":           "events.erase",
		"POST /v1/consents":              "consents.manage",
		"GET /v1/consents":               "consents.manage consents.read",
		"GET /v1/consents/gate":          "consents.manage consents.read",
		"PUT /v1/consents/gate":          "consents.manage",
		"GET /v1/participation":          "consents.manage consents.read",
		"GET /v1/log/proof":              "log.read events.read",
		"GET /v1/log/checkpoint":         "log.read events.read",
		"GET /v1/log/tile/*":             "log.read events.read",
		"POST /v1/log/cosignatures":      "log.read events.read",
		"GET /v1/events/:id/proof":       "events.read",
		"POST /v1/webhooks":              "webhooks.manage",
		"GET /v1/webhooks":               "webhooks.manage webhooks.read",
		"GET /v1/webhooks/:stream_id":    "webhooks.manage webhooks.read",
		"PATCH /v1/webhooks/:stream_id":  "webhooks.manage",
		"PUT /v1/webhooks/:stream_id":    "webhooks.manage",
		"DELETE /v1/webhooks/:stream_id": "webhooks.manage",

		"GET /v1/events/:id/annotations":                        "events.read",
		"POST /v1/streams/:stream_id/replay":                    manage + "ssf.manage.replay",
		"GET /v1/streams/:stream_id/dead-letters":               read + "ssf.read.dead_letters",
		"POST /v1/streams/:stream_id/dead-letters/:jti/resend":  manage + "ssf.manage.dead_letters",
		"DELETE /v1/streams/:stream_id/dead-letters/:jti":       manage + "ssf.manage.dead_letters",
		"POST /v1/webhooks/:stream_id/rotate":                   "webhooks.manage",
		"POST /v1/webhooks/:stream_id/test":                     "webhooks.manage",
		"POST /v1/webhooks/:stream_id/replay":                   "webhooks.manage",
		"GET /v1/webhooks/:stream_id/dead-letters":              "webhooks.manage webhooks.read",
		"POST /v1/webhooks/:stream_id/dead-letters/:jti/resend": "webhooks.manage",
		"DELETE /v1/webhooks/:stream_id/dead-letters/:jti":      "webhooks.manage",
	}
}

// open to anybody, or for credentials of another kind.
func tokenless(route string) bool {
	_, path, _ := strings.Cut(route, " ")
	return strings.HasPrefix(path, "/.well-known/") || slices.Contains([]string{
		"GET /jwks.json", "POST /oauth/token", "POST /oauth/revoke", "POST /v1/sources/:name",
	}, route)
}

// routesOf lists what a server has routes for, as "METHOD path".
func routesOf(t *testing.T, h http.Handler) (list []string) {
	t.Helper()
	server, ok := h.(*echo.Echo)
	if !ok {
		t.Fatalf("got a %T, want the server whose routes are walked", h)
	}
	for _, r := range server.Routes() {
		if r.Method != echo.RouteNotFound {
			list = append(list, r.Method+" "+r.Path)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// INTEROP-2.7.2-02, INTEROP-2.7.3-03, U29: every route is open to exactly the scopes that
// are meant for it, the narrowest among them; every other one is refused with
// insufficient_scope and what would be enough. A new route needs a line here.
func TestLeastScope(t *testing.T) {
	h := open(t, func(s *setup) { s.idle, s.checkpoints = true, true })
	want := sufficient()
	tokens := map[string]string{}
	for _, s := range auth.DefaultRules().Scopes() {
		tokens[string(s)] = h.client("shop", string(s))
	}
	used := map[string]bool{"admin": true}
	for _, route := range routesOf(t, h.Handler()) {
		if tokenless(route) {
			continue
		}
		text, known := want[route]
		if !known {
			t.Errorf("%s: got a route without a line in sufficient, want one", route)
			continue
		}
		delete(want, route)
		enough := append(strings.Fields(text), "admin")
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer(":stream_id", "none", ":id", "none", ":jti", "none", "*", "0/000").Replace(path)
		for scope, token := range tokens {
			a := h.do(method, path, token, "\xff", "Content-Type", "text/html") // nothing can come of it
			if slices.Contains(enough, scope) {
				used[scope] = true
				if a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
					t.Errorf("U29 %s with %s: got %d %s, want it let in", route, scope, a.status, a.body)
				}
				continue
			}
			challenge := a.header.Get("WWW-Authenticate")
			if a.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="`+enough[0]+`"`) {
				t.Errorf("INTEROP-2.7.3-03 %s with %s: got %d, WWW-Authenticate %q, want 403 insufficient_scope that asks for %s", route, scope, a.status, challenge, enough[0])
			}
		}
	}
	for route := range want {
		t.Errorf("%s: got a line and no route", route)
	}
	for scope := range tokens {
		if !used[scope] {
			t.Errorf("%s: got a scope that opens nothing", scope)
		}
	}
}
