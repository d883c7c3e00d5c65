package authtest

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// signing are the keys that processes have in common.
type signing struct {
	signer  *jose.Signer
	set     *jose.KeySet
	clients func() *x509.CertPool // authorities of clients; nil: none
}

func newSigning(t *testing.T) signing {
	t.Helper()
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, auth.TokenType)
	if err != nil {
		t.Fatal(err)
	}
	return signing{signer: signer, set: jose.NewKeySet(key.Public())}
}

// process is a store with an authenticator and a clock to set.
type process struct {
	*testing.T
	*auth.Store
	*auth.Authenticator
	now atomic.Int64 // Unix seconds
}

func newProcess(t *testing.T, store *auth.Store, keys signing) *process {
	t.Helper()
	p := &process{T: t, Store: store}
	p.now.Store(time.Now().Unix())
	var err error
	p.Authenticator, err = auth.New(auth.Config{
		Store: store, Issuer: "https://tocsin.example",
		Signer: func() *jose.Signer { return keys.signer }, Keys: func() *jose.KeySet { return keys.set },
		Now: func() time.Time { return time.Unix(p.now.Load(), 0) }, ClientCAs: keys.clients,
	})
	p.check(err)
	return p
}

func (p *process) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("got %v, want no error", err)
	}
}

// client adds a client of an application, which is made if need be.
func (p *process) client(c auth.Client) auth.Credentials {
	p.Helper()
	_, err := p.AddApplication(p.Context(), auth.Application{ID: c.Application, Audience: []string{"https://" + c.Application + ".example"}})
	if err != nil && !errors.Is(err, auth.ErrExists) {
		p.Fatal(err)
	}
	given, err := p.AddClient(p.Context(), c)
	p.check(err)
	return given
}

func post(h http.Handler, form url.Values, by auth.Credentials) (int, map[string]any) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(by.ClientID, by.Secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var body map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &body) // some answers have none
	return w.Code, body
}

// token gets an access token at the token endpoint.
func (p *process) token(c auth.Credentials) string {
	p.Helper()
	status, body := post(p.TokenHandler(), url.Values{"grant_type": {"client_credentials"}}, c)
	token, _ := body["access_token"].(string)
	if status != http.StatusOK || token == "" {
		p.Fatalf("token endpoint: got %d %v, want a token", status, body)
	}
	return token
}

func (p *process) revoke(by auth.Credentials, token string, want int) {
	p.Helper()
	if status, body := post(p.RevokeHandler(), url.Values{"token": {token}}, by); status != want {
		p.Errorf("revoke: got %d %v, want %d", status, body, want)
	}
}

func (p *process) ask(token string) (*auth.Principal, error) {
	return p.Authenticate(p.Context(), []string{"Bearer " + token})
}

// good and refused ask twice, since the second answer may be one that is remembered.
func (p *process) good(what, token string) {
	p.Helper()
	for range 2 {
		if _, err := p.ask(token); err != nil {
			p.Errorf("%s: got %v, want it good", what, err)
		}
	}
}

func (p *process) refused(what, token string) {
	p.Helper()
	for range 2 {
		_, err := p.ask(token)
		var e *auth.Error
		if !errors.As(err, &e) || e.Code != auth.CodeInvalidToken {
			p.Errorf("%s: got %v, want invalid_token", what, err)
		}
	}
}

func principals(t *testing.T, open Open) {
	p := newProcess(t, open(t, t.TempDir()), newSigning(t))
	source := &auth.Source{Name: "idp", SubjectIssuers: []string{"https://idp.example"}}
	c := p.client(auth.Client{ID: "writer", Application: "rp", Environment: "test", Scopes: []auth.Scope{"events.write"}, Source: source, Static: true})
	want := auth.Principal{
		Client: "writer", Application: "rp", Environment: "test", Audience: []string{"https://rp.example"}, Scopes: []auth.Scope{"events.write"},
		Source: &auth.Source{Name: "idp", SubjectIssuers: []string{"https://idp.example"}, Environment: "test"},
	}
	for name, token := range map[string]string{"JWT": p.token(c), "static": c.AccessToken} {
		for _, profile := range []string{"", "okta"} { // a change of the application's is seen at once
			_, err := p.ChangeApplication(p.Context(), "rp", auth.ApplicationChange{Profile: &profile, Encryption: &profile})
			p.check(err)
			want.Profile, want.Encryption = profile, profile
			for _, turn := range []string{"first", "again"} {
				got, err := p.ask(token)
				if err != nil {
					t.Fatalf("%s, %s: got %v, want a principal", name, turn, err)
				}
				if diff := cmp.Diff(want, *got); diff != "" {
					t.Errorf("%s, %s: diff (-want +got) %s", name, turn, diff)
				}
			}
		}
	}
	for name, by := range map[string]auth.Credentials{"wrong secret": {ClientID: "writer", Secret: "x"}, "unknown": {ClientID: "nobody", Secret: c.Secret}} {
		if status, _ := post(p.TokenHandler(), url.Values{"grant_type": {"client_credentials"}}, by); status != http.StatusUnauthorized {
			t.Errorf("%s: got %d, want 401", name, status)
		}
	}
	p.refused("a token that nobody has", "tocsin_token_"+strings.Repeat("A", 43))
}

func tokensEnd(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		end  func(*process)
	}{
		{"client removed", func(p *process) { p.check(p.RemoveClient(p.Context(), "c")) }},
		{"client removed and added again", func(p *process) {
			p.check(p.RemoveClient(p.Context(), "c"))
			p.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
		}},
		{"application removed", func(p *process) { p.check(p.RemoveApplication(p.Context(), "rp")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProcess(t, open(t, t.TempDir()), newSigning(t))
			c := p.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
			stays := p.client(auth.Client{ID: "d", Application: "other", Scopes: []auth.Scope{"ssf.read"}, Static: true})
			token, staying := p.token(c), p.token(stays)
			p.good("before", token)
			p.good("static before", c.AccessToken)
			tt.end(p)
			p.refused("after", token)
			p.refused("static after", c.AccessToken)
			p.good("another's", staying)
			p.good("another's static", stays.AccessToken)
		})
	}
}

func tokensRevoked(t *testing.T, open Open) {
	dir, keys := t.TempDir(), newSigning(t)
	p := newProcess(t, open(t, dir), keys)
	c := p.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	other := p.client(auth.Client{ID: "d", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	token, stays := p.token(c), p.token(c)
	for _, ended := range []string{token, c.AccessToken} {
		p.good("before", ended)
		p.revoke(other, ended, http.StatusBadRequest)
		p.good("revoked by another", ended)
		p.revoke(c, ended, http.StatusOK)
		p.refused("after", ended)
		p.revoke(c, ended, http.StatusOK)
	}
	p = newProcess(t, open(t, dir), keys)
	p.refused("after a restart", token)
	p.refused("static after a restart", c.AccessToken)
	p.good("the client's other token", stays)
	p.good("another's", other.AccessToken)
}
