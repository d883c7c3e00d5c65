package console_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// forms are where the forms of a page send what changes something, sorted.
func (p page) forms() []string {
	var all []string
	for _, m := range regexp.MustCompile(`<form method="post"[^>]* action="([^"]+)"`).FindAllStringSubmatch(p.body, -1) {
		if m[1] != "/console/sign-out" {
			all = append(all, strings.ReplaceAll(m[1], "&amp;", "&"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// formOfRole is a form, filled in, with the least role that may send it.
type formOfRole struct {
	path   string
	fields []string
	least  console.Role
}

// Every form on a page is one that whoever sees it may send: what a role may not do is
// neither offered nor done. Searches change nothing and are for all.
func TestRolesOnPages(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	h := openWith(t, p.configured())
	h.operate(http.MethodPost, "/admin/applications", map[string]any{"id": "shop", "audience": []string{"https://shop.example"}}, nil)
	shop := h.token("shop", "ssf.manage ssf.read")
	h.operate(http.MethodPost, "/admin/sources", map[string]any{"name": "hr", "kind": "onelogin", "auth": "bearer"}, nil)
	event := h.written("session.revoked", "jo@example.com", nil)
	var stream struct {
		ID string `json:"stream_id"`
	}
	h.ssf(http.MethodPost, "/ssf/streams", shop, `{"delivery":{"method":"urn:ietf:rfc:8936"}}`, &stream)
	h.operate(http.MethodPost, "/admin/webhooks", map[string]any{"application": "shop", "url": h.issuer + "/hook", "types": []string{"*"}}, nil)
	as := func(group string) *visitor {
		p.Claim(func(all map[string]any) { all["groups"], all["sub"] = []string{group}, group })
		v := h.visitor()
		v.signIn(p).wants(t, 200, "Signed in")
		return v
	}
	roles := map[console.Role]*visitor{console.Viewer: as("lookers"), console.Operator: as("ops"), console.Admin: as("bosses")}
	at, event := "/console/streams/"+stream.ID, "/console/events/"+event
	hookAt := "/console/webhooks/" + hookID(t, roles[console.Admin])
	kid := regexp.MustCompile(`/console/keys/([^/"]+)/retire`).FindStringSubmatch(retired(t, roles[console.Admin]).body)[1]
	search := []string{"/console/events", "/console/consents/shop"} // which change nothing
	acts := []formOfRole{
		{at + "/status", []string{"status", "paused", "reason", "x"}, console.Operator},
		{at + "/verify", nil, console.Operator},
		{at + "/replay", []string{"from", "2026-01-01T00:00"}, console.Operator},
		{at + "/dead-letters/x/resend", nil, console.Operator},
		{at + "/dead-letters/x/drop", nil, console.Operator},
		{at + "/profile", []string{"profile", "okta"}, console.Admin},
		{event + "/annotate", []string{"suspect", "true"}, console.Operator},
		{"/console/events/emit", []string{"type", "session.revoked", "format", "email", "who", "jo@example.com"}, console.Operator},
		{"/console/events/try", []string{"format", "onelogin", "record", "{}"}, console.Operator},
		{"/console/consents/shop/decide", []string{"decision", "granted", "subject", `{"format":"email","email":"jo@example.com"}`}, console.Operator},
		{"/console/consents/shop/gate", []string{"enabled", "on", "refused", "drop", "hold_seconds", "0", "drop_after_seconds", "0"}, console.Admin},
		{"/console/applications", []string{"audience", "https://x.example"}, console.Admin},
		{"/console/applications/shop/remove", []string{"sure", "shop"}, console.Admin},
		{"/console/clients", []string{"audience", "https://shop.example", "id", "x", "scope", "admin"}, console.Admin},
		{"/console/clients/shop/rotate", []string{"keep_hours", "1"}, console.Admin},
		{"/console/clients/shop/remove", []string{"sure", "shop"}, console.Admin},
		{"/console/sources", []string{"name", "x", "kind", "onelogin"}, console.Admin},
		{"/console/sources/hr/fetch", []string{"id", "1"}, console.Operator},
		{"/console/sources/hr/rotate", []string{"keep_hours", "1"}, console.Admin},
		{"/console/sources/hr/remove", []string{"sure", "hr"}, console.Admin},
		{"/console/keys/rotate", nil, console.Admin},
		{"/console/keys/" + kid + "/retire", []string{"sure", kid}, console.Admin},
		{"/console/webhooks", []string{"application", "shop", "url", h.issuer + "/x", "types", "*"}, console.Admin},
		{hookAt + "/test", nil, console.Operator},
		{hookAt + "/status", []string{"status", "paused"}, console.Admin},
		{hookAt + "/rotate", nil, console.Admin},
		{hookAt + "/remove", []string{"sure", strings.TrimPrefix(hookAt, "/console/webhooks/")}, console.Admin},
	}
	offered := map[string]bool{}
	for _, path := range []string{
		"/console/", "/console/streams", at, at + "/subjects", "/console/events", event, "/console/events/emit", "/console/events/try", "/console/consents",
		"/console/consents/shop", "/console/applications", "/console/clients", "/console/sources", "/console/keys", "/console/webhooks", "/console/audit",
	} {
		for role, v := range roles {
			for _, form := range v.get(path).forms() {
				if slices.Contains(search, form) {
					continue
				}
				i := slices.IndexFunc(acts, func(a formOfRole) bool { return a.path == form })
				if i < 0 {
					t.Errorf("%s has a form to %s, which this test does not know", path, form)
				} else if role < acts[i].least {
					t.Errorf("%s: a %v is offered %s, want it for %vs alone", path, role, form, acts[i].least)
				}
				offered[form] = true
			}
		}
	}
	for _, act := range acts {
		if !offered[act.path] && !strings.Contains(act.path, "/dead-letters/") && !strings.HasSuffix(act.path, "/fetch") { // of which there is none, or no API
			t.Errorf("nobody was offered %s", act.path)
		}
		for role, v := range roles {
			if role >= act.least {
				continue
			}
			got := v.post(act.path, act.fields...)
			if got.status != http.StatusForbidden || !strings.Contains(got.body, "this takes the role "+act.least.String()) {
				t.Errorf("%s of a %v: got %d at %s, want 403", act.path, role, got.status, got.path)
			}
		}
	}
	var noted struct{ Acts []eventlog.Act }
	h.operate(http.MethodGet, "/admin/acts?limit=500", nil, &noted)
	for _, a := range noted.Acts {
		if a.By.Via != "" && a.By.Sub != "bosses" && !strings.HasPrefix(a.Act, "console.") {
			t.Errorf("got %s by %s, want nothing done by who may not", a.Act, a.By)
		}
	}
}

// hookID is that of the one webhook.
func hookID(t *testing.T, v *visitor) string {
	t.Helper()
	return regexp.MustCompile(`/console/webhooks/([^/]+)/test`).FindStringSubmatch(v.get("/console/webhooks").body)[1]
}

// retired is the page of keys after one was replaced, which can be retired.
func retired(t *testing.T, v *visitor) page {
	t.Helper()
	v.post("/console/keys/rotate").wants(t, 200, "signs")
	return v.get("/console/keys")
}
