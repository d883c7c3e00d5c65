package check_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	issuer   = "https://idp.example"
	audience = "https://app.example"
	loopback = "127.0.0.1:9000"
)

// kit is a gate that knows jo, mo (revoked) and no (denied), by e-mail, iss and sub, and sid.
type kit struct {
	testing.TB
	gate  *sessions.Gate
	index *sessions.Memory
	key   *jose.PrivateKey
	now   time.Time
}

func newKit(t testing.TB, fail sessions.FailMode) kit {
	t.Helper()
	r, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: r, Fail: fail})
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	k := kit{t, gate, index, key, time.Now()}
	user := func(name string) []subject.Identifier {
		return []subject.Identifier{subject.Email(name + "@example.com"), subject.IssSub(issuer, name), subject.Opaque(name)}
	}
	for _, name := range []string{"jo", "mo", "no"} {
		err := index.Add(t.Context(), sessions.Session{ID: name, Begun: k.now, Members: map[string][]subject.Identifier{"user": user(name)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	scope := func(name string) receiver.Scope { return receiver.ScopeOf(subject.Aliases(user(name)...)) }
	if err := errors.Join(r.Revoke(t.Context(), scope("mo"), k.now), r.Deny(t.Context(), scope("no"), "", k.now),
		r.Revoke(t.Context(), receiver.ScopeOf(subject.Opaque("ended")), k.now)); err != nil {
		t.Fatal(err)
	}
	return k
}

// Key makes the kit a KeySource.
func (k kit) Key(_ context.Context, _, kid string, _ jose.Algorithm) (*jose.PublicKey, error) {
	switch kid {
	case k.key.ID():
		return k.key.Public(), nil
	case "away":
		return nil, errors.New("connection refused")
	}
	return nil, jose.ErrUnknownKey
}

// token returns a good token of a user as change makes it.
func (k kit) token(sub string, change func(claims map[string]any)) string {
	k.Helper()
	return k.signed(k.key, "at+jwt", sub, change)
}

func (k kit) signed(key *jose.PrivateKey, typ, sub string, change func(claims map[string]any)) string {
	k.Helper()
	claims := map[string]any{
		"iss": issuer, "sub": sub, "aud": audience, "sid": "s-" + sub, "jti": "j-" + sub,
		"iat": k.now.Unix() - 60, "exp": k.now.Add(time.Hour).Unix(), "scope": []string{"what others put in"},
	}
	if change != nil {
		change(claims)
	}
	signer, err := jose.NewSigner(key, typ)
	if err != nil {
		k.Fatal(err)
	}
	compact, err := signer.Sign(marshal(k.TB, claims))
	if err != nil {
		k.Fatal(err)
	}
	return compact
}

func (k kit) handler(change func(*check.Config)) *check.Handler {
	k.Helper()
	cfg := check.Config{
		Gate: k.gate, Listen: loopback, Cookie: "sid", Index: k.index,
		Tokens: &check.Tokens{Issuers: []check.Issuer{{Issuer: issuer}}, Audiences: []string{"other", audience}, Keys: k},
	}
	if change != nil {
		change(&cfg)
	}
	h, err := check.New(cfg)
	if err != nil {
		k.Fatal(err)
	}
	return h
}

// ask asks with headers of name, value, … pairs, from this machine.
func ask(h http.Handler, pairs ...string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(http.MethodPost, "/any/path?x=1", strings.NewReader("a body")), httptest.NewRecorder()
	r.RemoteAddr = "127.0.0.1:40000"
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Add(pairs[i], pairs[i+1])
	}
	h.ServeHTTP(w, r)
	return w
}

func (k kit) says(name string, w *httptest.ResponseRecorder, want int) {
	k.Helper()
	if w.Code != want {
		k.Errorf("%s: got %d (%s), want %d", name, w.Code, strings.TrimSpace(w.Body.String()), want)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		k.Errorf("%s: got an answer that may be cached, want no-store", name)
	}
}

// What is wrong is named; nobody opens the endpoint to the network by mistake.
func TestNew(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	good := check.Config{Gate: k.gate, Listen: loopback, Cookie: "sid", Index: k.index}
	for _, tt := range []struct {
		want   string
		change func(*check.Config)
	}{
		{"", func(*check.Config) {}},
		{"", func(c *check.Config) { c.Listen = "[::1]:9000" }},
		{"", func(c *check.Config) { c.Listen = "/run/tocsin/check.sock" }},
		{"", func(c *check.Config) { c.Listen, c.Token = ":9000", "0123456789abcdef" }},
		{"Gate", func(c *check.Config) { c.Gate = nil }},
		{"Listen", func(c *check.Config) { c.Listen = ":9000" }},
		{"Listen", func(c *check.Config) { c.Listen = "" }},
		{"Listen", func(c *check.Config) { c.Listen = "0.0.0.0:9000" }},
		{"Listen", func(c *check.Config) { c.Listen = "gate.example:9000" }},
		{"Token", func(c *check.Config) { c.Token = "short" }},
		{"Cookie and Index", func(c *check.Config) { c.Index = nil }},
		{"Cookie and Index", func(c *check.Config) { c.Cookie = "" }},
		{"required", func(c *check.Config) { c.Cookie, c.Index = "", nil }},
		{"Tokens.Issuers", func(c *check.Config) { c.Tokens = &check.Tokens{Audiences: []string{"a"}} }},
		{"Tokens.Audiences", func(c *check.Config) { c.Tokens = &check.Tokens{Issuers: []check.Issuer{{Issuer: "a"}}} }},
		{"Tokens.Issuers[1]", func(c *check.Config) {
			c.Tokens = &check.Tokens{Issuers: []check.Issuer{{Issuer: "a"}, {Issuer: "a"}}, Audiences: []string{"a"}}
		}},
		{"TrustUnverifiedJWT", func(c *check.Config) {
			c.Tokens = &check.Tokens{Issuers: []check.Issuer{{Issuer: "a"}}, TrustUnverifiedJWT: true}
		}},
		{"Headers.User", func(c *check.Config) { c.Headers = &check.Headers{} }},
		{"Headers.UserFormat", func(c *check.Config) { c.Headers = &check.Headers{User: "X-User", UserFormat: "name"} }},
		{"Headers.Issuer", func(c *check.Config) { c.Headers = &check.Headers{User: "X-User", UserFormat: check.UserIssSub} }},
		{"Headers.Issuer", func(c *check.Config) { c.Headers = &check.Headers{User: "X-User", Issuer: issuer} }},
	} {
		cfg := good
		tt.change(&cfg)
		_, err := check.New(cfg)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want an error that names %q", err, tt.want)
		}
	}
}

// Only this machine asks, or who has the token.
func TestMayAsk(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	open, guarded := k.handler(nil), k.handler(func(c *check.Config) { c.Listen, c.Token = ":9000", "0123456789abcdef" })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "192.0.2.1:40000"
	r.AddCookie(&http.Cookie{Name: "sid", Value: "jo"})
	w := httptest.NewRecorder()
	open.ServeHTTP(w, r)
	k.says("from elsewhere", w, 403)
	r.Header.Set(check.TokenHeader, "0123456789abcdef")
	w = httptest.NewRecorder()
	guarded.ServeHTTP(w, r)
	k.says("with the token", w, 200)
	k.says("here without it", ask(guarded, "Cookie", "sid=jo"), 403)
	k.says("here with another", ask(guarded, "Cookie", "sid=jo", check.TokenHeader, "0123456789abcdee"), 403)
	k.says("here", ask(open, "Cookie", "sid=jo"), 200)
}

func TestCookie(t *testing.T) {
	for mode, unknown := range map[sessions.FailMode]int{sessions.FailClosed: 401, sessions.FailOpen: 200} {
		k := newKit(t, mode)
		h := k.handler(nil)
		k.says("good", ask(h, "Cookie", "a=b; sid=jo"), 200)
		k.says("revoked", ask(h, "Cookie", "sid=mo"), 401)
		k.says("denied", ask(h, "Cookie", "sid=no"), 403)
		k.says("unknown", ask(h, "Cookie", "sid=xx"), unknown)
		k.says("none", ask(h), 401)
		k.says("empty", ask(h, "Cookie", "sid="), 401)
		k.says("a good one before a revoked one", ask(h, "Cookie", "sid=jo; sid=mo"), 401)
		k.says("too many", ask(h, "Cookie", strings.Repeat("sid=jo; ", 5)), 401)
		k.says("anonymous", ask(k.handler(func(c *check.Config) { c.Anonymous = true })), 200)
	}
}

func TestToken(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	h := k.handler(nil)
	other, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) { c[name] = value }
	}
	for _, tt := range []struct {
		name, token string
		want        int
	}{
		{"good", k.token("jo", nil), 200},
		{"good, aud a list", k.token("jo", set("aud", []string{"x", audience})), 200},
		{"good, typ JWT", k.signed(k.key, "JWT", "jo", nil), 200},
		{"revoked by sub", k.token("mo", nil), 401},
		{"issued later", k.token("mo", set("iat", k.now.Unix()+1)), 200},
		{"denied by sub", k.token("no", set("iat", k.now.Unix()+1)), 403},
		{"revoked by sid", k.token("jo", set("sid", "ended")), 401},
		{"revoked by email", k.token("jo", set("email", "mo@example.com")), 401},
		{"an email that is not verified", k.token("jo", func(c map[string]any) { c["email"], c["email_verified"] = "mo@example.com", false }), 200},
		{"another's key", k.signed(other, "at+jwt", "jo", nil), 401},
		{"a SET", k.signed(k.key, "secevent+jwt", "jo", nil), 401},
		{"a logout token", k.signed(k.key, "logout+jwt", "jo", nil), 401},
		{"of another issuer", k.token("jo", set("iss", "https://other.example")), 401},
		{"for somebody else", k.token("jo", set("aud", "https://other.example")), 401},
		{"expired", k.token("jo", set("exp", k.now.Unix()-60)), 401},
		{"without exp", k.token("jo", set("exp", 0)), 401},
		{"not yet", k.token("jo", set("nbf", k.now.Unix()+60)), 401},
		{"no JWT", "opaque", 401},
		{"forged", forged(k.token("jo", nil), k.token("mo", nil)), 401},
		{"no signature", strings.Join(strings.Split(k.token("jo", nil), ".")[:2], ".") + ".", 401},
	} {
		w := ask(h, "Authorization", "Bearer "+tt.token)
		k.says(tt.name, w, tt.want)
		if got := w.Header().Get("WWW-Authenticate"); (w.Code == 401) != strings.HasPrefix(got, "Bearer") {
			t.Errorf("%s: got WWW-Authenticate %q with %d, want one with 401 alone", tt.name, got, w.Code)
		}
	}
	k.says("two tokens", ask(h, "Authorization", "Bearer "+k.token("jo", nil), "Authorization", "Bearer "+k.token("mo", nil)), 401)
	k.says("good token, revoked cookie", ask(h, "Authorization", "Bearer "+k.token("jo", nil), "Cookie", "sid=mo"), 401)
	k.says("good cookie, revoked token", ask(h, "Authorization", "bearer "+k.token("mo", nil), "Cookie", "sid=jo"), 401)
	k.says("by auth_time", ask(k.handler(func(c *check.Config) { c.Tokens.UseAuthTime = true }),
		"Authorization", "Bearer "+k.token("mo", func(c map[string]any) { c["iat"], c["auth_time"] = k.now.Unix()+1, k.now.Unix()-1 })), 401)
}

// forged is the payload of one token with the signature of another.
func forged(a, b string) string {
	return strings.Join(append(strings.Split(a, ".")[:2], strings.Split(b, ".")[2]), ".")
}

// Whatever the fail mode, a token that cannot be verified lets nobody in.
func TestKeysAway(t *testing.T) {
	k := newKit(t, sessions.FailOpen)
	away := k.handler(func(c *check.Config) { c.Tokens.Keys = awayKeys{} })
	w := ask(away, "Authorization", "Bearer "+k.token("jo", nil))
	k.says("keys away", w, 503)
	if w.Header().Get("Retry-After") == "" {
		t.Error("got no Retry-After, want one")
	}
}

type awayKeys struct{}

func (awayKeys) Key(context.Context, string, string, jose.Algorithm) (*jose.PublicKey, error) {
	return nil, errors.New("connection refused")
}

// Keys are fetched from the issuer, once for many tokens.
func TestPublishedKeys(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	fetched := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched++
		_, _ = w.Write(marshal(t, jose.NewKeySet(k.key.Public())))
	}))
	defer server.Close()
	h := k.handler(func(c *check.Config) {
		c.Tokens.Keys, c.Tokens.HTTP = nil, server.Client()
		c.Tokens.Issuers[0].JWKSURL = server.URL + "/keys"
	})
	for range 20 {
		k.says("good", ask(h, "Authorization", "Bearer "+k.token("jo", nil)), 200)
	}
	if fetched != 1 {
		t.Errorf("got keys fetched %d times, want once", fetched)
	}
}

// Unverified claims count only where that is asked for by name.
func TestTrustUnverifiedJWT(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	other, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	trusting := k.handler(func(c *check.Config) { c.Tokens = &check.Tokens{TrustUnverifiedJWT: true} })
	for sub, want := range map[string]int{"jo": 200, "mo": 401, "no": 403} {
		token := k.signed(other, "at+jwt", sub, func(c map[string]any) { c["exp"] = 1 })
		k.says(sub, ask(trusting, "Authorization", "Bearer "+token), want)
		k.says(sub+", verified", ask(k.handler(nil), "Authorization", "Bearer "+token), 401)
	}
}

func TestHeaders(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	with := func(headers check.Headers) *check.Handler {
		return k.handler(func(c *check.Config) { c.Cookie, c.Index, c.Tokens, c.Headers = "", nil, nil, &headers })
	}
	now, later := fmt.Sprint(k.now.Unix()), fmt.Sprint(k.now.Unix()+1)
	mail := with(check.Headers{User: "X-User", Session: "X-Session", Begun: "X-Begun"})
	k.says("good", ask(mail, "X-User", "jo@example.com"), 200)
	k.says("none", ask(mail), 401)
	k.says("revoked", ask(mail, "X-User", "mo@example.com", "X-Begun", now), 401)
	k.says("begun later", ask(mail, "X-User", "mo@example.com", "X-Begun", later), 200)
	k.says("no time", ask(mail, "X-User", "mo@example.com"), 401)
	k.says("no number", ask(mail, "X-User", "mo@example.com", "X-Begun", "later"), 401)
	k.says("denied", ask(mail, "X-User", "no@example.com", "X-Begun", later), 403)
	k.says("session", ask(mail, "X-User", "jo@example.com", "X-Session", "ended"), 401)
	k.says("iss_sub", ask(with(check.Headers{User: "X-User", UserFormat: check.UserIssSub, Issuer: issuer}), "X-User", "mo"), 401)
	k.says("opaque", ask(with(check.Headers{User: "X-User", UserFormat: check.UserOpaque}), "X-User", "mo"), 401)
	k.says("not configured", ask(k.handler(nil), "X-User", "jo@example.com"), 401)
}

// A good answer tells whose a verified token is, and only if asked to.
func TestResponseHeaders(t *testing.T) {
	k := newKit(t, sessions.FailClosed)
	var seen []int
	h := k.handler(func(c *check.Config) {
		c.ResponseHeaders, c.Observe = true, func(status int, _ time.Duration) { seen = append(seen, status) }
	})
	w := ask(h, "Authorization", "Bearer "+k.token("jo", nil))
	if got := w.Header(); got.Get("X-Tocsin-Issuer") != issuer || got.Get("X-Tocsin-Subject") != "jo" || got.Get("X-Tocsin-Session") != "s-jo" {
		t.Errorf("got %v, want issuer, subject and session", got)
	}
	if got := ask(h, "Authorization", "Bearer "+k.token("jo", func(c map[string]any) { c["sub"] = "j\r\no" })).Header(); got.Get("X-Tocsin-Subject") != "" {
		t.Errorf("got %v for a sub with a line break, want none", got)
	}
	if got := ask(h, "Cookie", "sid=jo").Header(); got.Get("X-Tocsin-Issuer") != "" {
		t.Errorf("got %v for a cookie, want none", got)
	} else if len(got["X-Tocsin-Issuer"]) != 1 || len(got["X-Tocsin-Subject"]) != 1 || len(got["X-Tocsin-Session"]) != 1 {
		t.Errorf("got %v for a cookie, want empty headers: a proxy then overwrites what a client sent", got)
	}
	if got := ask(k.handler(nil), "Authorization", "Bearer "+k.token("jo", nil)).Header(); got.Get("X-Tocsin-Subject") != "" {
		t.Errorf("got %v, want none unless asked for", got)
	}
	if fmt.Sprint(seen) != "[200 200 200]" {
		t.Errorf("got %v observed, want three times 200", seen)
	}
}
