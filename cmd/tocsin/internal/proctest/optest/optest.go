// Package optest is an OpenID Provider for tests that sign in with one.
package optest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Provider is an OpenID Provider that lets everybody in who asks, with the claims of the
// test: the code flow with PKCE, for the client ClientID, and nothing else.
type Provider struct {
	*httptest.Server
	key *jose.PrivateKey

	mu     sync.Mutex
	asked  map[string]url.Values // by code
	claims func(all map[string]any)
}

// What the one client is known by.
const (
	ClientID     = "console"
	ClientSecret = "the-secret" //nolint:gosec // a test's own
)

// Claim has the claims of who signs in next changed by change, from those of jo@example.com
// in the groups staff and ops.
func (p *Provider) Claim(change func(all map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = change
}

// New returns a provider on a server that is begun so, such as [httptest.NewTLSServer].
func New(t testing.TB, begin func(http.Handler) *httptest.Server) *Provider {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{key: key, asked: map[string]url.Values{}}
	mux := http.NewServeMux()
	p.Server = begin(mux)
	t.Cleanup(p.Close)
	reply := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { reply(w, jose.NewKeySet(key.Public())) })
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		p.mu.Lock()
		p.asked["code-"+q.Get("state")] = q
		p.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?code=code-"+q.Get("state")+"&state="+q.Get("state")+"&iss="+url.QueryEscape(p.URL), http.StatusSeeOther)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		q, known := p.asked[r.FormValue("code")]
		delete(p.asked, r.FormValue("code"))
		p.mu.Unlock()
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		id, secret, _ := r.BasicAuth()
		if !known || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			id != ClientID || secret != ClientSecret || r.FormValue("redirect_uri") != q.Get("redirect_uri") {
			w.WriteHeader(http.StatusBadRequest)
			reply(w, map[string]string{"error": "invalid_grant"})
			return
		}
		claims := map[string]any{
			"iss": p.URL, "sub": "24400320", "aud": ClientID, "nonce": q.Get("nonce"), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"email": "jo@example.com", "email_verified": true, "groups": []string{"staff", "ops"},
		}
		p.mu.Lock()
		if p.claims != nil {
			p.claims(claims)
		}
		p.mu.Unlock()
		raw, err := json.Marshal(claims)
		if err != nil {
			t.Error(err)
		}
		signer, err := jose.NewSigner(key, "JWT")
		if err != nil {
			t.Error(err)
			return
		}
		token, err := signer.Sign(raw)
		if err != nil {
			t.Error(err)
		}
		reply(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token})
	})
	return p
}
