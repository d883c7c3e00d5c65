package auth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const issuer = "https://tocsin.example/t1"

// desk is an Authenticator on a store of its own, with a clock to set.
type desk struct {
	*auth.Authenticator
	store *auth.Store
	key   *jose.PrivateKey
	now   atomic.Int64 // Unix seconds
	keys  atomic.Pointer[jose.KeySet]
	sign  atomic.Pointer[jose.Signer]
}

func newDesk(t testing.TB, change func(*auth.Config)) *desk {
	t.Helper()
	d := &desk{store: openStore(t, filepath.Join(t.TempDir(), "admin.db"))}
	d.now.Store(1_800_000_000)
	d.key = newKey(t)
	d.use(t, d.key)
	cfg := auth.Config{
		Store: d.store, Issuer: issuer, Signer: d.sign.Load, Keys: d.keys.Load,
		Now: func() time.Time { return time.Unix(d.now.Load(), 0) },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if d.Authenticator, err = auth.New(cfg); err != nil {
		t.Fatalf("New: %v", err)
	}
	return d
}

// use makes key the only one that signs and verifies.
func (d *desk) use(t testing.TB, key *jose.PrivateKey) {
	t.Helper()
	d.sign.Store(newSigner(t, key, "at+jwt"))
	d.keys.Store(jose.NewKeySet(key.Public()))
}

func newKey(t testing.TB) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return key
}

func newSigner(t testing.TB, key *jose.PrivateKey, typ string) *jose.Signer {
	t.Helper()
	signer, err := jose.NewSigner(key, typ)
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	return signer
}

func openStore(t testing.TB, path string) *auth.Store {
	t.Helper()
	s, err := auth.Open(context.Background(), path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// client adds a client of application "rp", which is made if need be.
func (d *desk) client(t testing.TB, c auth.Client) auth.Credentials {
	t.Helper()
	if c.Application == "" {
		c.Application = "rp"
	}
	if _, err := d.store.Application(t.Context(), c.Application); err != nil {
		a := auth.Application{ID: c.Application, Audience: []string{"https://" + c.Application + ".example"}}
		if _, err := d.store.AddApplication(t.Context(), a); err != nil {
			t.Fatalf("AddApplication: %v", err)
		}
	}
	given, err := d.store.AddClient(t.Context(), c)
	if err != nil {
		t.Fatalf("AddClient: %v", err)
	}
	return given
}

// token gets an access token at the token endpoint.
func (d *desk) token(t testing.TB, c auth.Credentials, scope string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	if scope != "" {
		form.Set("scope", scope)
	}
	res := post(d.TokenHandler(), "/oauth/token", form, basic(c.ClientID, c.Secret))
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("token endpoint: got %d %v, want 200", res.StatusCode, err)
	}
	return body.AccessToken
}

// ask authenticates with a bearer token.
func (d *desk) ask(t testing.TB, token string) (*auth.Principal, error) {
	t.Helper()
	return d.Authenticate(t.Context(), []string{"Bearer " + token})
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

func post(h http.Handler, target string, form url.Values, changes ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}
