package console_test

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// as returns a visitor who was signed in by the provider, in the role of a group.
func (h *house) as(p *provider, group string) *visitor {
	h.t.Helper()
	p.Claim(func(all map[string]any) { all["groups"] = []string{group} })
	v := h.visitor()
	if got := v.signIn(p); got.status != http.StatusOK {
		h.t.Fatalf("sign-in as %s: got %d\n%s", group, got.status, got.body)
	}
	return v
}

// No id in a path makes another operation of what a role may do: dots, slashes and
// encodings of them stay within their segment.
func TestPathsOfRoles(t *testing.T) {
	p := newProvider(t)
	h := openWith(t, p.configured())
	stream := h.stream(h.tenant("shop"), "", "")
	v := h.as(p, "ops")
	for _, path := range []string{
		"/console/streams/" + stream + "/dead-letters/%2e%2e/drop",
		"/console/streams/" + stream + "/dead-letters/%2E%2E%2F/drop",
		"/console/streams/" + stream + "/dead-letters/../drop",
		"/console/streams/" + stream + "%2Fdead-letters%2Fx/status",
		"/console/streams/" + stream + "%3Fx/status",
		"/console/streams/%2e%2e/verify",
		"/console/webhooks/%2e%2e%2fkeys%2frotate%3f/test",
		"/console/sources/..%2fkeys%2frotate%3f/fetch",
		"/console/streams/" + stream + "/dead-letters/" + strings.Repeat("%2e%2e%2f", 3) + "keys%2frotate/resend",
	} {
		if got := v.post(path, "status", "disabled", "sure", "yes"); got.status >= http.StatusInternalServerError {
			t.Errorf("%s: got %d\n%s", path, got.status, got.body)
		}
	}
	var now struct{ Status string }
	h.operate(http.MethodGet, "/admin/streams/"+stream, nil, &now)
	if now.Status != "enabled" {
		t.Errorf("the stream: got %q, want it enabled still", now.Status)
	}
	var keys []struct{}
	h.operate(http.MethodGet, "/admin/keys", nil, &keys)
	if len(keys) > 2 {
		t.Errorf("got %d keys: one was rotated by an operator", len(keys))
	}
}

// A text that others wrote stays within the event that shows it: a carriage return ends a
// line of a live page, too (HTML Living Standard §9.2.6).
func TestLiveLines(t *testing.T) {
	h := open(t)
	token := h.token("shop", "ssf.manage ssf.read")
	h.public("POST", "/ssf/streams", token, `{"delivery":{"method":"`+delivery.MethodPoll+`"},"events_requested":["`+caep.SessionRevokedType+`"],"description":"a\r\revent: forged\rdata: forged\r\rb"}`)
	v := h.signedIn()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/console/live?range=1h", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if strings.Contains(line, "forged") {
			if strings.Contains(line, "\r") {
				t.Errorf("got %q: a browser ends a line at each carriage return", line)
			}
			return
		}
	}
	t.Fatal("the description was not shown")
}

// Each answer keeps browsers from guessing, framing, telling others where they were, and
// from keeping a page.
func TestHeadersOfPages(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	for _, path := range []string{"/console/", "/console/streams", "/console/nothing", "/console/sign-in", "/console/static/console.css", "/console/live?range=no"} {
		p := v.get(path)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", path, name, got, want)
			}
		}
		if !strings.Contains(p.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: got the policy %q", path, p.header.Get("Content-Security-Policy"))
		}
		if !strings.Contains(path, "/static/console.css") && p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got Cache-Control %q, want no-store", path, p.header.Get("Cache-Control"))
		}
	}
}

// Who is slowed down is told so on a page.
func TestSlowedDownIsToldOnAPage(t *testing.T) {
	h := open(t)
	v := h.visitor()
	var p page
	for range 12 {
		p = v.post("/console/sign-in", "token", "a guess")
	}
	p.wants(t, http.StatusTooManyRequests, "Too many", "<h1>")
}

// A webhook's address may have a secret in its query, which no page shows.
func TestWebhookAddress(t *testing.T) {
	h := open(t)
	h.tenant("shop")
	h.operate(http.MethodPost, "/admin/webhooks", map[string]any{"application": "shop", "url": "https://hooks.example.com/in?key=hush", "types": []string{"*"}}, nil)
	p := h.signedIn().get("/console/webhooks")
	p.wants(t, 200, "hooks.example.com/in")
	p.lacks(t, "hush")
}

// The place in a list of subjects is told by none of them, nor by a hash of one.
func TestSubjectPagesNameNobody(t *testing.T) {
	h := open(t)
	token := h.tenant("shop")
	stream := h.stream(token, "", "")
	for i := range 101 {
		h.ssf(http.MethodPost, "/ssf/subjects/add", token, `{"stream_id":"`+stream+`","subject":{"format":"email","email":"u`+strconv.Itoa(i)+`@example.com"}}`, nil)
	}
	v := h.signedIn()
	p := v.get("/console/streams/" + stream + "/subjects")
	_, rest, ok := strings.Cut(p.body, `/subjects?`)
	if !ok {
		t.Fatalf("got no second page\n%s", p.body)
	}
	query, _, _ := strings.Cut(rest, `"`)
	if strings.Contains(query, "after=") {
		t.Errorf("got ?%s, want no hash of a subject in an address", query)
	}
	v.get("/console/streams/"+stream+"/subjects?"+query).wants(t, 200, "@example.com")
}

// Two consoles on one machine have sessions of their own: a browser sends the cookies of a
// host to all of its ports.
func TestTwoConsoles(t *testing.T) {
	a, b := open(t), open(t)
	v := a.signedIn()
	w := &visitor{b, v.client}
	u, err := url.Parse(b.link())
	if err != nil {
		t.Fatal(err)
	}
	w.post("/console/sign-in", "code", u.Query().Get("code")).wants(t, 200, "Overview")
	v.get("/console/keys").wants(t, 200, "<h1>Keys</h1>")
	w.get("/console/keys").wants(t, 200, "<h1>Keys</h1>")
	w.post("/console/sign-out").wants(t, 200, "Sign in")
	v.get("/console/keys").wants(t, 200, "<h1>Keys</h1>")
}
