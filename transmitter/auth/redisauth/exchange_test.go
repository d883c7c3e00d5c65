package redisauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Whatever a request bears, to know whose it is takes one exchange with the server, also
// the second time and at the token endpoint.
func TestOneExchangeToAuthenticate(t *testing.T) {
	ctx := t.Context()
	s, _, w, _ := wired(t)
	given, err := s.AddClient(ctx, auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, auth.TokenType)
	if err != nil {
		t.Fatal(err)
	}
	set := jose.NewKeySet(key.Public())
	a, err := auth.New(auth.Config{
		Store: s, Issuer: "https://tocsin.example",
		Signer: func() *jose.Signer { return signer }, Keys: func() *jose.KeySet { return set },
	})
	if err != nil {
		t.Fatal(err)
	}
	var token string
	ask := func(token string) error {
		_, err := a.Authenticate(ctx, []string{"Bearer " + token})
		return err
	}
	issue := func() error {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"c"}, "client_secret": {given.Secret}}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer := httptest.NewRecorder()
		a.TokenHandler().ServeHTTP(answer, r)
		var body struct {
			AccessToken string `json:"access_token"`
		}
		err := json.Unmarshal(answer.Body.Bytes(), &body)
		token = body.AccessToken
		return err
	}
	if err := issue(); err != nil { // loads the script
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		fn   func() error
	}{
		{"token endpoint", issue},
		{"access token", func() error { return ask(token) }},
		{"access token again", func() error { return ask(token) }},
		{"static token", func() error { return ask(given.AccessToken) }},
		{"static token again", func() error { return ask(given.AccessToken) }},
	} {
		before := w.exchanges.Load()
		if err := tt.fn(); err != nil {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if got := w.exchanges.Load() - before; got != 1 {
			t.Errorf("%s: got %d exchanges, want 1", tt.name, got)
		}
	}
	before := w.exchanges.Load()
	if err := ask("tocsin.no.token"); err == nil || w.exchanges.Load() != before {
		t.Errorf("no token: got %v after %d exchanges, want it refused without one", err, w.exchanges.Load()-before)
	}
}
