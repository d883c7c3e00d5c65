package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Nobody sees a page without a session, and a sign-in leads back to what was asked for.
func TestSignIn(t *testing.T) {
	h := open(t)
	token := h.token("ops", "admin")
	v := h.visitor()
	if p := v.get("/console/applications?subject=alice@example.com"); p.path != "/console/sign-in" || !strings.Contains(p.body, `value="/console/applications"`) || strings.Contains(p.body, "alice") {
		t.Errorf("without a session: got %s, want the sign-in, and where it leads, without the query\n%s", p.path, p.body)
	}
	v.post("/console/sign-in", "token", token[:len(token)-2]).wants(t, 403, "no good admin token")
	v.post("/console/sign-in", "token", h.token("shop", "ssf.manage events.read")).wants(t, 403, "no good admin token")
	v.post("/console/sign-in").wants(t, 403, "no good admin token")
	v.post("/console/applications", "audience", "https://x.example").wants(t, 200, "Sign in")
	p := v.post("/console/sign-in", "token", token, "to", "/console/applications")
	p.wants(t, 200, "ops", "admin")
	if p.path != "/console/applications" {
		t.Errorf("after the sign-in: got %s, want the page that was asked for", p.path)
	}
	for _, to := range []string{"https://evil.example/console/", "//evil.example/console/", `/\evil.example/console/`, "/admin/keys", "/console/../admin/keys", "javascript:alert(1)"} {
		if p := h.visitor().post("/console/sign-in", "token", token, "to", to); !strings.HasPrefix(p.path, console.Prefix) {
			t.Errorf("a sign-in that leads to %s: got %s, want a page of the console", to, p.path)
		}
	}
	if strings.Contains(h.logs.String(), token) {
		t.Error("the token is in the log")
	}
}

// Who guesses is slowed down, by address.
func TestGuesses(t *testing.T) {
	h := open(t)
	v := h.visitor()
	var p page
	for range 12 {
		p = v.post("/console/sign-in", "token", "a guess")
	}
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Errorf("SEC-08: got %d %q, want 429 and when to come back", p.status, p.header.Get("Retry-After"))
	}
	v.get("/console/sign-in").wants(t, 200, "Sign in")
}

// A link works once.
func TestLink(t *testing.T) {
	h := open(t)
	u, err := url.Parse(h.link())
	if err != nil {
		t.Fatal(err)
	}
	code := u.Query().Get("code")
	first := h.visitor()
	first.get("/console/sign-in?code="+code).wants(t, 200, "signs you in")
	first.get("/console/applications").wants(t, 200, "Sign in") // to look at a link is not to use it
	first.post("/console/sign-in", "code", code).wants(t, 200, "Overview")
	h.visitor().post("/console/sign-in", "code", code).wants(t, 403, "used already")
	if strings.Contains(h.logs.String(), code) {
		t.Error("the code is in the log")
	}
}

// What ends a token ends the session that it began.
func TestTokenEnds(t *testing.T) {
	h := open(t)
	token := h.token("ops", "admin")
	v := h.visitor()
	v.post("/console/sign-in", "token", token).wants(t, 200, "Overview")
	h.operate(http.MethodDelete, "/admin/clients/ops", nil, nil)
	v.get("/console/applications").wants(t, 200, "Admin token")
}

func TestSignOut(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	u, _ := url.Parse(h.url)
	cookies := v.client.Jar.Cookies(u)
	v.post("/console/sign-out").wants(t, 200, "Admin token")
	v.client.Jar.SetCookies(u, cookies)
	v.get("/console/applications").wants(t, 200, "Admin token")
}

// A form that another site's page sends does nothing, and no GET does anything.
func TestFromAnotherSite(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	for name, header := range map[string]http.Header{
		"another site":      {"Sec-Fetch-Site": {"cross-site"}},
		"another subdomain": {"Sec-Fetch-Site": {"same-site"}},
		"another origin":    {"Origin": {"https://evil.example"}},
		"no origin at all":  {"Origin": {"null"}},
	} {
		p := v.ask(http.MethodPost, "/console/applications", header, form("audience", "https://evil.example"))
		p.wants(t, 403, "another site")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	v.get("/console/applications?audience=https://evil.example").wants(t, 200, "There is no application yet")
	v.get("/console/sign-out").wants(t, 404)
}

// Every answer has the headers that keep a page to itself.
func TestHeaders(t *testing.T) {
	h := open(t)
	v := h.signedIn()
	for _, path := range []string{"/console/", "/console/sign-in", "/console/nothing", "/console/applications"} {
		p := v.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := p.header.Get(name); !strings.Contains(got, want) {
				t.Errorf("%s: got %s %q, want %q", path, name, got, want)
			}
		}
		if csp := p.header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") {
			t.Errorf("%s: got %q, want nothing inline", path, csp)
		}
	}
	v.get("/console/nothing").wants(t, 404, "There is no such page")
	v.get("/console/static/").wants(t, 404)
	if p := v.get("/console/static/console.css"); p.status != 200 || !strings.Contains(p.header.Get("Cache-Control"), "immutable") {
		t.Errorf("a static file: got %d %q, want it kept", p.status, p.header.Get("Cache-Control"))
	}
}

// A person by the provider, a client and a user of the machine are told apart in the audit,
// whatever they are called.
func TestActorsOfConsole(t *testing.T) {
	p := newProvider(t)
	h := openWith(t, p.configured())
	p.Claim(func(all map[string]any) {
		delete(all, "email")
		all["sub"], all["groups"] = "ops", "bosses"
	})
	person, client, user := h.visitor(), h.visitor(), h.signedIn()
	person.signIn(p).wants(t, 200, "Signed in")
	client.post("/console/sign-in", "token", h.token("ops", "admin"))
	for id, v := range map[string]*visitor{"of-person": person, "of-client": client, "of-user": user} {
		v.post("/console/applications", "audience", "https://"+id+".example", "id", id).wants(t, 200, "was added")
	}
	for by, want := range map[string]string{"person:ops": "of-person", "ops": "of-client"} {
		var page struct{ Acts []eventlog.Act }
		h.operate(http.MethodGet, "/admin/acts?act=application.add&by="+by, nil, &page)
		if len(page.Acts) != 1 || page.Acts[0].Objects["application"] != want {
			t.Errorf("by %s: got %+v, want the act on %s alone", by, page.Acts, want)
		}
	}
	audit := user.get("/console/audit?act=application.add")
	audit.wants(t, 200, `<span class="hint">person</span> <span title="sub ops">ops</span>`, `<span class="hint">client</span> ops`, "by the console")
	user.get("/console/audit?by=person:ops&act=application.add").wants(t, 200, "1 act on this page", "of-person")
}

// Acts by the console are in the log with who signed in, and so are sign-ins.
func TestActsOfConsole(t *testing.T) {
	h := open(t)
	v := h.visitor()
	v.post("/console/sign-in", "token", h.token("ops", "admin"))
	v.post("/console/applications", "audience", "https://shop.example", "id", "shop")
	v.post("/console/sign-out")
	var page struct{ Acts []eventlog.Act }
	h.operate(http.MethodGet, "/admin/acts?by=ops", nil, &page)
	var got []string
	for _, a := range page.Acts {
		got = append(got, a.Act+" "+a.By.Via+" "+a.From+" "+a.Outcome)
	}
	want := "console.sign_out console 127.0.0.1 done, application.add console 127.0.0.1 done, console.sign_in console 127.0.0.1 done"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Behind a proxy that browsers reach by https, the cookie of a session is one that they
// send by https alone, though what comes to us is http.
func TestCookieBehindProxy(t *testing.T) {
	h := open(t)
	listener := h.url
	for _, c := range []struct {
		url    string
		secure bool
	}{{listener, false}, {"https://console.example", true}} {
		h.url = c.url
		u, err := url.Parse(h.link())
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		answer, err := client.PostForm(listener+"/console/sign-in", url.Values{"code": {u.Query().Get("code")}})
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		cookies := answer.Cookies()
		if len(cookies) != 1 || cookies[0].Secure != c.secure || strings.HasPrefix(cookies[0].Name, "__Host-") != c.secure {
			t.Errorf("%s: got %d with %v, want a cookie that is secure: %v", c.url, answer.StatusCode, cookies, c.secure)
		}
	}
}
