package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const (
	tokenURL  = issuer + "/oauth/token"
	revokeURL = issuer + "/oauth/revoke"
)

// published is an auth.KeySource of one set.
type published struct {
	url     string
	keys    *jose.KeySet
	err     error
	fetched int
}

func (p *published) Key(_ context.Context, set, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	if p.fetched++; set != p.url || p.err != nil {
		return nil, errors.Join(p.err, errors.New("no such set"))
	}
	return p.keys.Find(kid, alg)
}

func (p *published) SoleKey(_ context.Context, set string, alg jose.Algorithm, _ *jose.PublicKey) (*jose.PublicKey, error) {
	if p.fetched++; set != p.url || p.err != nil {
		return nil, errors.Join(p.err, errors.New("no such set"))
	}
	return p.keys.Sole(alg)
}

func keyOf(t *testing.T, alg jose.Algorithm) *jose.PrivateKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func jwks(t *testing.T, keys ...*jose.PublicKey) []byte {
	t.Helper()
	raw, err := json.Marshal(jose.NewKeySet(keys...))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// asserting is the form of a request with an assertion.
func asserting(assertion string, pairs ...string) url.Values {
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// codeOf returns status, error code and description of an answer of an OAuth endpoint.
func codeOf(t *testing.T, res *http.Response) (status int, code, description string) {
	t.Helper()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return res.StatusCode, body.Error, body.Description
}

// RFC 7523 §3, RFC 7521 §4.2, SET-4-01.
func TestAssertion(t *testing.T) {
	d := newDesk(t, func(c *auth.Config) { c.Endpoints = []string{tokenURL, revokeURL} })
	key, other := keyOf(t, jose.ES256), keyOf(t, jose.ES256)
	secretive := d.client(t, auth.Client{ID: "secret", Scopes: []auth.Scope{"ssf.read"}})
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, JWKS: jwks(t, key.Public())})
	d.client(t, auth.Client{ID: "other", Scopes: []auth.Scope{"ssf.read"}, JWKS: jwks(t, other.Public())})
	now := d.now.Load()
	good := map[string]any{"iss": "c", "sub": "c", "aud": issuer, "exp": now + 60, "iat": now}
	const typ = "client-authentication+jwt"
	tests := []struct {
		name   string
		typ    string
		key    *jose.PrivateKey
		change map[string]any
		status int
		word   string // in the description
	}{
		{"issuer", typ, key, nil, 200, ""},
		{"typ JWT", "JWT", key, nil, 200, ""},
		{"typ in full", "application/" + typ, key, nil, 200, ""},
		{"token endpoint", typ, key, map[string]any{"aud": tokenURL}, 200, ""},
		{"list of one", typ, key, map[string]any{"aud": []string{issuer}}, 200, ""},
		{"both of ours", typ, key, map[string]any{"aud": []string{issuer, tokenURL}}, 200, ""},
		{"without iat", typ, key, map[string]any{"iat": nil}, 200, ""},
		{"exp with a fraction", typ, key, map[string]any{"exp": float64(now) + 60.5}, 200, ""},
		{"an hour", typ, key, map[string]any{"exp": now + 3600}, 200, ""},
		{"a clock that is ahead", typ, key, map[string]any{"iat": now + 30, "nbf": now + 30}, 200, ""},
		{"for others as well", typ, key, map[string]any{"aud": []string{issuer, "https://other.example"}}, 401, "aud"},
		{"for others", typ, key, map[string]any{"aud": "https://other.example"}, 401, "aud"},
		{"issuer with a slash", typ, key, map[string]any{"aud": issuer + "/"}, 401, "aud"},
		{"for nobody", typ, key, map[string]any{"aud": []string{}}, 401, "aud"},
		{"without aud", typ, key, map[string]any{"aud": nil}, 401, "aud"},
		{"without exp", typ, key, map[string]any{"exp": nil}, 401, "exp"},
		{"expired", typ, key, map[string]any{"exp": now - 61}, 401, "exp"},
		{"for two hours", typ, key, map[string]any{"exp": now + 7200}, 401, "exp"},
		{"for ever", typ, key, map[string]any{"exp": 1e300}, 401, "exp"},
		{"of tomorrow", typ, key, map[string]any{"nbf": now + 86400}, 401, "nbf"},
		{"made tomorrow", typ, key, map[string]any{"iat": now + 86400}, 401, "iat"},
		{"without jti", typ, key, map[string]any{"jti": nil}, 401, "jti"},
		{"jti of a kibibyte", typ, key, map[string]any{"jti": strings.Repeat("x", 1<<10)}, 401, "jti"},
		{"exp is a text", typ, key, map[string]any{"exp": fmt.Sprint(now + 60)}, 401, ""},
		{"iss is another", typ, key, map[string]any{"iss": "other"}, 401, ""},
		{"sub is another", typ, key, map[string]any{"iss": "other", "sub": "other"}, 401, ""},
		{"nobody's", typ, key, map[string]any{"iss": "nobody", "sub": "nobody"}, 401, ""},
		{"of a client with a secret", typ, key, map[string]any{"iss": "secret", "sub": "secret"}, 401, ""},
		{"another's key", typ, other, nil, 401, ""},
		{"another algorithm", typ, keyOf(t, jose.EdDSA), nil, 401, ""},
		{"SET-4-01 typ of a SET", "secevent+jwt", key, nil, 401, ""},
		{"SET-4-01 events", typ, key, map[string]any{"events": map[string]any{}}, 401, ""},
		{"typ of an access token", "at+jwt", key, nil, 401, ""},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			change := map[string]any{"jti": fmt.Sprint(i)}
			for name, value := range tt.change {
				change[name] = value
			}
			signed := d.forge(t, tt.key, tt.typ, good, change)
			status, code, description := codeOf(t, post(d.TokenHandler(), "/oauth/token", asserting(signed)))
			if status != tt.status || (status == 401) != (code == "invalid_client") || !strings.Contains(description, tt.word) {
				t.Errorf("got %d %q %q, want %d with %q", status, code, description, tt.status, tt.word)
			}
			if strings.Contains(description, signed) {
				t.Error("SEC-04: the answer has the assertion")
			}
		})
	}
	hour := d.forge(t, key, typ, good, map[string]any{"jti": "kept", "exp": now + 3600})
	if status, _, _ := codeOf(t, post(d.TokenHandler(), "/", asserting(hour))); status != 200 {
		t.Fatalf("got %d, want 200", status)
	}
	d.now.Add(3599)
	if status, _, description := codeOf(t, post(d.TokenHandler(), "/", asserting(hour))); status != 401 || !strings.Contains(description, "before") {
		t.Errorf("used again in its last second: got %d %q, want it refused", status, description)
	}
	if status, _, _ := codeOf(t, post(d.TokenHandler(), "/", asserting("x"), basic("secret", secretive.Secret))); status != 400 {
		t.Errorf("two ways at once: got %d, want 400", status)
	}
}

func TestAssertionRequest(t *testing.T) {
	d := newDesk(t, func(c *auth.Config) { c.Endpoints = []string{tokenURL, revokeURL} })
	key := keyOf(t, jose.EdDSA)
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, JWKS: jwks(t, key.Public())})
	n := 0
	signed := func() string {
		n++
		return d.forge(t, key, "JWT", map[string]any{"iss": "c", "sub": "c", "aud": revokeURL, "jti": fmt.Sprint(n), "exp": d.now.Load() + 60}, nil)
	}
	for _, tt := range []struct {
		name, target string
		form         url.Values
		status       int
		code         string
	}{
		{"with its client_id", "", asserting(signed(), "client_id", "c"), 200, ""},
		{"with another client_id", "", asserting(signed(), "client_id", "d"), 400, "invalid_request"},
		{"with a secret", "", asserting(signed(), "client_id", "c", "client_secret", "x"), 400, "invalid_request"},
		{"of another type", "", asserting(signed(), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 400, "invalid_request"},
		{"type without assertion", "", asserting(""), 401, "invalid_client"},
		{"garbage", "", asserting("a.b.c"), 401, "invalid_client"},
		{"too long", "", asserting(strings.Repeat("a", 9<<10)), 401, "invalid_client"},
		{"unsigned", "", asserting("eyJhbGciOiJub25lIn0.eyJpc3MiOiJjIiwic3ViIjoiYyJ9."), 401, "invalid_client"},
		{"in the URL", "?client_assertion=x", asserting(signed()), 400, "invalid_request"},
	} {
		status, code, _ := codeOf(t, post(d.TokenHandler(), "/oauth/token"+tt.target, tt.form))
		if status != tt.status || code != tt.code {
			t.Errorf("%s: got %d %q, want %d %q", tt.name, status, code, tt.status, tt.code)
		}
	}
	token := tokenOf(t, post(d.TokenHandler(), "/", asserting(signed())))
	if _, err := d.ask(t, token); err != nil {
		t.Fatalf("before: got %v, want it good", err)
	}
	if status, code, _ := codeOf(t, post(d.RevokeHandler(), "/", asserting(signed(), "token", token))); status != 200 {
		t.Errorf("revoke: got %d %q, want 200", status, code)
	}
	if _, err := d.ask(t, token); err == nil {
		t.Error("revoked: got nil, want an error")
	}
}

func tokenOf(t *testing.T, res *http.Response) string {
	t.Helper()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.AccessToken == "" {
		t.Fatalf("got %d (%v), want a token", res.StatusCode, err)
	}
	return body.AccessToken
}

// The keys that a client publishes are asked for; that they cannot be had is not its
// fault.
func TestAssertionByPublishedKey(t *testing.T) {
	first, second := keyOf(t, jose.RS256), keyOf(t, jose.RS256)
	keys := &published{url: "https://rp.example/jwks.json", keys: jose.NewKeySet(first.Public())}
	var lines strings.Builder
	d := newDesk(t, func(c *auth.Config) {
		c.ClientKeys, c.Logger = keys, slog.New(slog.NewTextHandler(&lines, nil))
	})
	d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, JWKSURI: keys.url})
	n := 0
	ask := func(key *jose.PrivateKey) (int, string) {
		n++
		signed := d.forge(t, key, "JWT", map[string]any{"iss": "c", "sub": "c", "aud": issuer, "jti": fmt.Sprint(n), "exp": d.now.Load() + 60}, nil)
		status, code, _ := codeOf(t, post(d.TokenHandler(), "/", asserting(signed)))
		return status, code
	}
	if status, code := ask(first); status != 200 {
		t.Errorf("published: got %d %q, want 200", status, code)
	}
	if status, code := ask(second); status != 401 || code != "invalid_client" {
		t.Errorf("not published: got %d %q, want 401", status, code)
	}
	keys.keys = jose.NewKeySet(second.Public())
	if status, code := ask(second); status != 200 {
		t.Errorf("published since: got %d %q, want 200", status, code)
	}
	keys.err = errors.New("connection refused")
	if status, code := ask(second); status != 503 || code != "temporarily_unavailable" {
		t.Errorf("not to be had: got %d %q, want 503", status, code)
	}
	if !strings.Contains(lines.String(), "client_id=c") || !strings.Contains(lines.String(), "refused") {
		t.Errorf("log: got %q, want whose and why", lines.String())
	}
}

func TestClientKeysAreChecked(t *testing.T) {
	d := newDesk(t, nil)
	private, err := keyOf(t, jose.ES256).MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		jwks, member, word string
	}{
		"private":   {`{"keys":[` + string(private) + `]}`, "jwks", "private"},
		"symmetric": {`{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"1"}]}`, "jwks", "symmetric"},
		"no keys":   {`{"keys":[]}`, "jwks", "no key"},
		"no set":    {`[]`, "jwks", "not a key set"},
		"no JSON":   {`x`, "jwks", "not a key set"},
		"large":     {`{"keys":[],"x":"` + strings.Repeat("x", auth.MaxJWKSBytes) + `"}`, "jwks", "large"},
	} {
		_, err := d.store.AddClient(t.Context(), auth.Client{ID: "x", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, JWKS: []byte(tt.jwks)})
		var invalid *auth.InvalidError
		if !errors.As(err, &invalid) || invalid.Member != tt.member || !strings.Contains(invalid.Description, tt.word) {
			t.Errorf("%s: got %v, want %s refused: %s", name, err, tt.member, tt.word)
		}
	}
}
