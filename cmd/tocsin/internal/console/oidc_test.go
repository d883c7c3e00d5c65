package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/optest"
)

// provider is an OpenID Provider that this console is a client of.
type provider struct{ *optest.Provider }

func newProvider(t *testing.T) *provider {
	t.Helper()
	return provide(t, httptest.NewTLSServer)
}

// provide is a provider on a server that is begun so.
func provide(t *testing.T, begin func(http.Handler) *httptest.Server) *provider {
	t.Helper()
	return &provider{optest.New(t, begin)}
}

func (p *provider) configured() *console.Provider {
	return &console.Provider{
		Issuer: p.URL, ClientID: optest.ClientID, ClientSecret: optest.ClientSecret, HTTP: p.Client(),
		Roles: map[string]console.Role{"lookers": console.Viewer, "ops": console.Operator, "bosses": console.Admin},
	}
}

// signIn goes the whole way by the provider.
func (v *visitor) signIn(p *provider) page {
	v.t.Helper()
	v.client.Transport = p.Client().Transport
	return v.get("/console/oidc/start?to=/console/keys")
}

// Who signs in with the provider has the role of their highest group, here and at the
// API, and their name is in the audit.
func TestProvider(t *testing.T) {
	p := newProvider(t)
	h := openWith(t, p.configured())
	v := h.visitor()
	v.get("/console/sign-in").wants(t, 200, "/console/oidc/start", "Or with a token")
	if got := v.signIn(p); got.status != 200 || got.header.Get("Refresh") != "0; url=/console/keys" {
		t.Fatalf("got %d %q, want a page that leads on to the one that was asked for\n%s", got.status, got.header.Get("Refresh"), got.body)
	}
	v.get("/console/keys").wants(t, 200, "jo@example.com", "operator", "signs")
	if got := v.get("/console/keys"); strings.Contains(got.body, "/console/keys/rotate") {
		t.Error("an operator is shown a form to rotate keys")
	}
	v.post("/console/keys/rotate").wants(t, 403, "this takes the role admin")
	v.post("/console/applications", "audience", "https://x.example").wants(t, 403, "this takes the role admin")
	v.get("/console/audit").wants(t, 200, "jo@example.com", "oidc")
	for _, secret := range []string{optest.ClientSecret, "code-", "jo@example.com", "24400320"} {
		if strings.Contains(h.logs.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if who := "client_id=person:a1dfe33bd2469c97"; !strings.Contains(h.logs.String(), who) {
		t.Errorf("got a log without %s, want it at each request", who)
	}
	for group, role := range map[string]string{"lookers": "viewer", "bosses": "admin"} {
		p.Claim(func(all map[string]any) { all["groups"] = []string{group} })
		w := h.visitor()
		w.signIn(p).wants(t, 200, "Signed in")
		w.get("/console/keys").wants(t, 200, ">"+role+"<")
	}
}

// Nobody is let in by an ID token that is not for this sign-in.
func TestProviderRefused(t *testing.T) {
	p := newProvider(t)
	for name, claims := range map[string]func(map[string]any){
		"another issuer":    func(all map[string]any) { all["iss"] = "https://evil.example" },
		"another audience":  func(all map[string]any) { all["aud"] = "another" },
		"several audiences": func(all map[string]any) { all["aud"] = []string{"console", "another"} },
		"another's azp":     func(all map[string]any) { all["azp"] = "another" },
		"another nonce":     func(all map[string]any) { all["nonce"] = "another" },
		"no nonce":          func(all map[string]any) { delete(all, "nonce") },
		"expired":           func(all map[string]any) { all["exp"] = time.Now().Add(-2 * time.Minute).Unix() },
		"no end":            func(all map[string]any) { delete(all, "exp") },
		"of the future":     func(all map[string]any) { all["iat"] = time.Now().Add(time.Hour).Unix() },
		"nobody":            func(all map[string]any) { delete(all, "sub") },
		"no group":          func(all map[string]any) { delete(all, "groups") },
		"a group of nobody": func(all map[string]any) { all["groups"] = "staff" },
	} {
		p.Claim(claims)
		v := openWith(t, p.configured()).visitor() // one house lets an address fail ten times only
		if got := v.signIn(p); got.status != http.StatusForbidden {
			t.Errorf("%s: got %d, want 403", name, got.status)
		}
		if got := v.get("/console/keys"); got.path != "/console/sign-in" {
			t.Errorf("%s: got %s, want nobody signed in", name, got.path)
		}
	}
	p.Claim(nil)

	// A sign-in that was begun in one browser is not ended in another, nor twice.
	h := openWith(t, p.configured())
	v, other := h.visitor(), h.visitor()
	other.client.Transport = p.Client().Transport
	v.client.Transport = p.Client().Transport
	var callback string
	v.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/console/oidc/callback") {
			callback = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	v.get("/console/oidc/start")
	other.get(callback).wants(t, 403, "not begun in this browser")
	v.get(strings.Replace(callback, "state=", "state=x", 1)).wants(t, 403, "Begin again")
	v.get(callback).wants(t, 403, "Begin again") // one try is all there is

	v.get("/console/oidc/start")
	p.Close()
	v.get(callback).wants(t, 502, "The provider does not answer")
	other.client.Transport = nil
	other.post("/console/sign-in", "code", mustCode(t, h.link())).wants(t, 200, "Overview")
}

func mustCode(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("code")
}

// Claims that are taken are of the issuer, for us, of this sign-in and somebody's, however
// they are written.
func FuzzJudge(f *testing.F) {
	const issuer = "https://op.example"
	for _, seed := range []string{
		`{"iss":"https://op.example","sub":"1","aud":"c","nonce":"n","iat":1,"exp":100,"groups":["a"]}`,
		`{"iss":"https://op.example","sub":"1","aud":["c","d"],"azp":"c","nonce":"n","iat":1,"exp":1e9,"groups":"a"}`,
		`{"ISS":"https://op.example","sub":"","aud":null,"exp":"1"}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		name, groups, err := console.Judge(issuer, "c", func() time.Time { return time.Unix(50, 0) }, payload, "n")
		if err != nil {
			if name != "" || groups != nil {
				t.Errorf("refused, and yet somebody: %q %q", name, groups)
			}
			return
		}
		var claims struct {
			Iss, Sub, Nonce string
			Exp             float64
		}
		if err := json.Unmarshal(payload, &claims); err != nil || claims.Iss != issuer || claims.Sub == "" || claims.Nonce != "n" || claims.Exp < 50-60 || name == "" {
			t.Errorf("taken: %s as %q", payload, name)
		}
	})
}
