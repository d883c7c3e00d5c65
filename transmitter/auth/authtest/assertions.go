package authtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// keyed is a client with a key of its own.
type keyed struct {
	id     string
	signer *jose.Signer
	jwks   []byte
}

func newKeyed(t *testing.T, id string) keyed {
	t.Helper()
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, "client-authentication+jwt")
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := json.Marshal(jose.NewKeySet(key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	return keyed{id, signer, jwks}
}

// assert gets an access token by an assertion of that jti.
func (p *process) assert(k keyed, jti string) (status int, token string) {
	p.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": k.id, "sub": k.id, "aud": "https://tocsin.example", "jti": jti, "exp": p.now.Load() + 60,
	})
	p.check(err)
	signed, err := k.signer.Sign(claims)
	p.check(err)
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {signed},
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.TokenHandler().ServeHTTP(w, r)
	var body struct {
		AccessToken string `json:"access_token"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &body) // refusals have none
	return w.Code, body.AccessToken
}

func clientKeys(t *testing.T, open Open) {
	dir, keys := t.TempDir(), newSigning(t)
	p := newProcess(t, open(t, dir), keys)
	k := newKeyed(t, "inline")
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	want := []auth.Client{
		{ID: "inline", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, JWKS: k.jwks, Created: at},
		{ID: "published", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, JWKSURI: "https://rp.example/jwks.json", Created: at.Add(time.Second)},
	}
	for _, c := range want {
		if given := p.client(c); given.Secret != "" || given.AccessToken != "" || given.ClientID != c.ID {
			t.Errorf("%s: got credentials %+v, want no secret", c.ID, given)
		}
	}
	p = newProcess(t, open(t, dir), keys)
	got, err := p.Clients(t.Context(), "rp")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("kept: got %v, diff %s", err, diff)
	}
	status, token := p.assert(k, "1")
	if status != http.StatusOK {
		t.Fatalf("by its key: got %d, want 200", status)
	}
	p.good("by its key", token)
	for _, secret := range []string{"", "x"} {
		if status, _ := post(p.TokenHandler(), url.Values{"grant_type": {"client_credentials"}}, auth.Credentials{ClientID: "inline", Secret: secret}); status != http.StatusUnauthorized {
			t.Errorf("by secret %q: got %d, want 401", secret, status)
		}
	}
	for name, c := range map[string]auth.Client{
		"jwks_uri": {JWKS: k.jwks, JWKSURI: "https://rp.example/jwks.json"},
		"jwks":     {JWKS: []byte(`{"keys":[]}`)},
	} {
		c.ID, c.Application, c.Scopes = "refused", "rp", []auth.Scope{"ssf.read"}
		var invalid *auth.InvalidError
		if _, err := p.AddClient(t.Context(), c); !errors.As(err, &invalid) || invalid.Member != name {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

func assertionsUsedOnce(t *testing.T, open Open) {
	dir, keys := t.TempDir(), newSigning(t)
	p := newProcess(t, open(t, dir), keys)
	k, other := newKeyed(t, "c"), newKeyed(t, "d")
	for _, one := range []keyed{k, other} {
		p.client(auth.Client{ID: one.id, Application: "rp", Scopes: []auth.Scope{"ssf.read"}, JWKS: one.jwks})
	}
	ask := func(what string, k keyed, jti string, want int) {
		t.Helper()
		if got, _ := p.assert(k, jti); got != want {
			t.Errorf("%s: got %d, want %d", what, got, want)
		}
	}
	ask("first", k, "1", http.StatusOK)
	ask("again", k, "1", http.StatusUnauthorized)
	ask("another", k, "2", http.StatusOK)
	ask("another client's of that jti", other, "1", http.StatusOK)
	p = newProcess(t, open(t, dir), keys)
	ask("again, after a restart", k, "2", http.StatusUnauthorized)
	ctx, now := t.Context(), time.Now()
	for i := range auth.MaxAssertions {
		err := p.UseAssertion(ctx, "many", []byte(fmt.Sprint(i)), now.Add(time.Minute), now)
		p.check(err)
	}
	for name, tt := range map[string]struct {
		client, assertion string
		want              error
	}{
		"one more":            {"many", "more", auth.ErrTooMany},
		"one that was there":  {"many", "7", auth.ErrUsed},
		"one more of another": {"few", "more", nil},
	} {
		if err := p.UseAssertion(ctx, tt.client, []byte(tt.assertion), now.Add(time.Minute), now); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

// An assertion is good at one process alone.
func assertionOfBoth(p *pair) {
	k := newKeyed(p.a.T, "c")
	p.a.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, JWKS: k.jwks})
	for i := range 10 {
		jti := fmt.Sprint(i)
		var statuses [2]int
		p.together(func(one *process) error {
			at := 0
			if one == p.b {
				at = 1
			}
			statuses[at], _ = one.assert(k, jti)
			return nil
		})
		if statuses != [2]int{200, 401} && statuses != [2]int{401, 200} {
			p.a.Errorf("got %v, want it good at one and refused at the other", statuses)
		}
	}
}
