package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// INTEROP-2.7.1-01; RFC 9068 §2.2.
func TestTokenResponse(t *testing.T) {
	var signed []string
	d := newDesk(t, func(c *auth.Config) { c.Signed = func(kid string) { signed = append(signed, kid) } })
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read", "events.read"}})
	res := post(d.TokenHandler(), "/oauth/token", url.Values{"grant_type": {"client_credentials"}}, basic(c.ClientID, c.Secret))
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	var body map[string]any
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	token, _ := body["access_token"].(string)
	for name, want := range map[string]any{"token_type": "Bearer", "expires_in": 3600.0, "scope": "ssf.read events.read"} {
		if body[name] != want {
			t.Errorf("%s: got %v, want %v", name, body[name], want)
		}
	}
	m, err := jose.Parse([]byte(token))
	if err != nil || m.Header.Type != "at+jwt" {
		t.Fatalf("token: got typ %q, %v, want at+jwt", m.Header.Type, err)
	}
	claims := claimsOf(t, token)
	now := d.now.Load()
	for name, want := range map[string]string{
		"iss": issuer, "aud": issuer, "sub": "c", "client_id": "c", "scope": "ssf.read events.read",
		"iat": fmt.Sprint(now), "exp": fmt.Sprint(now + 3600),
	} {
		if got := fmt.Sprint(claims[name]); got != want {
			t.Errorf("claim %s: got %s, want %s", name, got, want)
		}
	}
	if id, _ := claims["jti"].(string); len(id) < 20 {
		t.Errorf("jti: got %v, want 128 random bits", claims["jti"])
	}
	if len(signed) != 1 || signed[0] != d.key.ID() {
		t.Errorf("signed: got %v, want the key's kid once", signed)
	}
}

// RFC 6749 §5.2.
func TestTokenEndpoint(t *testing.T) {
	d := newDesk(t, nil)
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.manage"}})
	grant := url.Values{"grant_type": {"client_credentials"}}
	with := func(pairs ...string) url.Values {
		form := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(pairs); i += 2 {
			form.Add(pairs[i], pairs[i+1])
		}
		return form
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	right := basic("c", c.Secret)
	percent := func(s string) string { // every byte encoded, as a client may
		var b strings.Builder
		for _, x := range []byte(s) {
			fmt.Fprintf(&b, "%%%02X", x)
		}
		return b.String()
	}
	tests := []struct {
		name   string
		target string
		form   url.Values
		change []func(*http.Request)
		status int
		code   string
		scope  string // of the answer, if 200
	}{
		{"basic", "", grant, []func(*http.Request){right}, 200, "", "ssf.manage"},
		{"basic, all encoded", "", grant, []func(*http.Request){func(r *http.Request) { r.SetBasicAuth(percent("c"), percent(c.Secret)) }}, 200, "", "ssf.manage"},
		{"basic with its own client_id", "", with("client_id", "c"), []func(*http.Request){right}, 200, "", "ssf.manage"},
		{"post", "", with("client_id", "c", "client_secret", c.Secret), nil, 200, "", "ssf.manage"},
		{"scope covered", "", with("scope", "ssf.manage.create ssf.read"), []func(*http.Request){right}, 200, "", "ssf.manage.create ssf.read"},
		{"unknown parameter", "", with("resource", "https://x.example"), []func(*http.Request){right}, 200, "", "ssf.manage"},
		{"charset", "", grant, []func(*http.Request){right, header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")}, 200, "", "ssf.manage"},
		{"scope beyond", "", with("scope", "ssf.manage events.read"), []func(*http.Request){right}, 400, "invalid_scope", ""},
		{"scope unknown", "", with("scope", "openid"), []func(*http.Request){right}, 400, "invalid_scope", ""},
		{"scope malformed", "", with("scope", "ssf.read\x01"), []func(*http.Request){right}, 400, "invalid_scope", ""},
		{"no grant", "", url.Values{}, []func(*http.Request){right}, 400, "invalid_request", ""},
		{"another grant", "", url.Values{"grant_type": {"password"}}, []func(*http.Request){right}, 400, "unsupported_grant_type", ""},
		{"parameter twice", "", with("scope", "ssf.read", "scope", "ssf.read"), []func(*http.Request){right}, 400, "invalid_request", ""},
		{"no credentials", "", grant, nil, 401, "invalid_client", ""},
		{"wrong secret", "", grant, []func(*http.Request){basic("c", c.Secret+"x")}, 401, "invalid_client", ""},
		{"empty secret", "", grant, []func(*http.Request){basic("c", "")}, 401, "invalid_client", ""},
		{"unknown client", "", grant, []func(*http.Request){basic("d", c.Secret)}, 401, "invalid_client", ""},
		{"unknown client without secret", "", grant, []func(*http.Request){basic("d", "")}, 401, "invalid_client", ""},
		{"control bytes", "", grant, []func(*http.Request){basic("c\x00\x01", "\xff\n")}, 401, "invalid_client", ""},
		{"basic that is none", "", grant, []func(*http.Request){header("Authorization", "Basic ???")}, 401, "invalid_client", ""},
		{"basic badly encoded", "", grant, []func(*http.Request){func(r *http.Request) { r.SetBasicAuth("c%zz", "x") }}, 401, "invalid_client", ""},
		{"bearer", "", grant, []func(*http.Request){header("Authorization", "Bearer x")}, 401, "invalid_client", ""},
		{"post with a wrong secret", "", with("client_id", "c", "client_secret", "x"), nil, 401, "invalid_client", ""},
		{"post without secret", "", with("client_id", "c"), nil, 401, "invalid_client", ""},
		{"two ways at once", "", with("client_id", "c", "client_secret", c.Secret), []func(*http.Request){right}, 400, "invalid_request", ""},
		{"two headers", "", grant, []func(*http.Request){right, func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }}, 400, "invalid_request", ""},
		{"basic with another client_id", "", with("client_id", "d"), []func(*http.Request){right}, 400, "invalid_request", ""},
		{"secret in the URL", "?client_id=c&client_secret=" + c.Secret, grant, nil, 400, "invalid_request", ""},
		{"parameters in the URL", "?grant_type=client_credentials", url.Values{}, []func(*http.Request){right}, 400, "invalid_request", ""},
		{"JSON", "", grant, []func(*http.Request){right, header("Content-Type", "application/json")}, 400, "invalid_request", ""},
		{"body beyond the bound", "", with("x", strings.Repeat("x", auth.MaxFormBytes)), []func(*http.Request){right}, 413, "invalid_request", ""},
		{"GET", "", grant, []func(*http.Request){right, func(r *http.Request) { r.Method = http.MethodGet }}, 405, "invalid_request", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := post(d.TokenHandler(), "/oauth/token"+tt.target, tt.form, tt.change...)
			var body struct {
				Error, Scope string
				AccessToken  string `json:"access_token"`
			}
			if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
				t.Fatalf("body: %v", err)
			}
			if res.StatusCode != tt.status || body.Error != tt.code || body.Scope != tt.scope {
				t.Errorf("got %d %q scope %q, want %d %q %q", res.StatusCode, body.Error, body.Scope, tt.status, tt.code, tt.scope)
			}
			if (body.AccessToken != "") != (tt.status == 200) {
				t.Errorf("access token: got %v, want %v", body.AccessToken != "", tt.status == 200)
			}
			if got := res.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: got %q, want no-store", got)
			}
			if got := strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Basic "); got != (tt.status == 401) {
				t.Errorf("WWW-Authenticate: got Basic %v, want %v", got, tt.status == 401)
			}
		})
	}
}

// Guessing is slowed down and locks nobody out.
func TestTooManyFailures(t *testing.T) {
	d := newDesk(t, nil)
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	grant := url.Values{"grant_type": {"client_credentials"}}
	statuses := map[int]int{}
	var last *http.Response
	for range auth.FailuresAtOnce + 10 {
		last = post(d.TokenHandler(), "/oauth/token", grant, basic("c", "wrong"))
		statuses[last.StatusCode]++
	}
	if statuses[401] < auth.FailuresAtOnce || statuses[429] == 0 {
		t.Errorf("got %v, want %d of 401, then 429", statuses, auth.FailuresAtOnce)
	}
	if last.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	if res := post(d.TokenHandler(), "/oauth/token", grant, basic("c", c.Secret)); res.StatusCode != 200 {
		t.Errorf("the right secret meanwhile: got %d, want 200", res.StatusCode)
	}
}

// RFC 7009.
func TestRevoke(t *testing.T) {
	d := newDesk(t, nil)
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	other := d.client(t, auth.Client{ID: "other", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	revoke := func(t *testing.T, by auth.Credentials, token string) (int, string) {
		t.Helper()
		form := url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}
		res := post(d.RevokeHandler(), "/oauth/revoke", form, basic(by.ClientID, by.Secret))
		var body struct{ Error string }
		if res.StatusCode != 200 {
			if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
		}
		return res.StatusCode, body.Error
	}
	for name, token := range map[string]string{"JWT": d.token(t, c, ""), "static": c.AccessToken} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.ask(t, token); err != nil {
				t.Fatal(err)
			}
			if status, code := revoke(t, other, token); status != 400 || code != "invalid_grant" {
				t.Errorf("by another client: got %d %q, want 400 invalid_grant", status, code)
			}
			if _, err := d.ask(t, token); err != nil {
				t.Errorf("after that: got %v, want it still good", err)
			}
			for _, turn := range []string{"first", "again"} {
				if status, code := revoke(t, c, token); status != 200 {
					t.Errorf("%s: got %d %q, want 200", turn, status, code)
				}
				if _, err := d.ask(t, token); refusal(t, err).Code != "invalid_token" {
					t.Errorf("%s: got %v, want invalid_token", turn, err)
				}
			}
		})
	}
	if _, err := d.ask(t, d.token(t, c, "")); err != nil {
		t.Errorf("a new token: got %v, want it good", err)
	}
	for name, token := range map[string]string{"garbage": "x", "unknown static": "tocsin_token_x", "control bytes": "\x00\xff"} {
		if status, code := revoke(t, c, token); status != 200 {
			t.Errorf("%s: got %d %q, want 200 (RFC 7009 §2.2)", name, status, code)
		}
	}
	if status, code := revoke(t, c, ""); status != 400 || code != "invalid_request" {
		t.Errorf("no token: got %d %q, want 400 invalid_request", status, code)
	}
	if status, code := revoke(t, auth.Credentials{ClientID: "c", Secret: "x"}, "y"); status != 401 || code != "invalid_client" {
		t.Errorf("wrong secret: got %d %q, want 401 invalid_client", status, code)
	}
}

// A revocation is kept over a restart, until the token expires.
func TestRevocationIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.db")
	d := newDesk(t, nil)
	first, err := auth.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	d.store = first
	d.Authenticator = reopened(t, d)
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	token, stays := d.token(t, c, ""), d.token(t, c, "")
	if res := post(d.RevokeHandler(), "/", url.Values{"token": {token}}, basic("c", c.Secret)); res.StatusCode != 200 {
		t.Fatalf("revoke: got %d, want 200", res.StatusCode)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	d.store = openStore(t, path)
	d.Authenticator = reopened(t, d)
	if _, err := d.ask(t, token); err == nil {
		t.Error("the revoked token: got nil, want an error")
	}
	if _, err := d.ask(t, stays); err != nil {
		t.Errorf("the other: got %v, want nil", err)
	}
}

func reopened(t *testing.T, d *desk) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(auth.Config{
		Store: d.store, Issuer: issuer, Signer: d.sign.Load, Keys: d.keys.Load,
		Now: func() time.Time { return time.Unix(d.now.Load(), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Revocations of tokens that expired are forgotten.
func TestRevocationsArePruned(t *testing.T) {
	ctx := t.Context()
	s := openStore(t, filepath.Join(t.TempDir(), "admin.db"))
	at := time.Unix(1_800_000_000, 0)
	for i := range 50 {
		if err := s.Revoke(ctx, fmt.Sprint("old", i), at, at.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Revoke(ctx, "new", at.Add(time.Hour), at); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Revocations(ctx); err != nil || got != 1 {
		t.Errorf("got %d, %v, want 1", got, err)
	}
}

// A failure of ours is 500, its text in the log alone, and nothing secret in either.
func TestEndpointFailure(t *testing.T) {
	var lines strings.Builder
	d := newDesk(t, func(c *auth.Config) { c.Logger = slog.New(slog.NewTextHandler(&lines, nil)) })
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	res := post(d.TokenHandler(), "/oauth/token", url.Values{"grant_type": {"client_credentials"}}, basic("c", c.Secret))
	var body map[string]string
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 503 || len(body) != 1 || body["error"] != "temporarily_unavailable" || res.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v, Retry-After %q, want 503 temporarily_unavailable alone", res.StatusCode, body, res.Header.Get("Retry-After"))
	}
	if !strings.Contains(lines.String(), "closed") || strings.Contains(lines.String(), c.Secret) {
		t.Errorf("log: got %q, want the cause without the secret", lines.String())
	}
}

// The endpoint works with the client that receivers use.
func TestTokenEndpointWithOAuth2Client(t *testing.T) {
	d := newDesk(t, nil)
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.manage"}})
	server := httptest.NewServer(d.TokenHandler())
	defer server.Close()
	config := clientcredentials.Config{
		ClientID: c.ClientID, ClientSecret: c.Secret, TokenURL: server.URL, Scopes: []string{"ssf.manage", "ssf.read"},
	}
	token, err := config.Token(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ask(t, token.AccessToken); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestChallengeHasNoQuotes(t *testing.T) {
	e := &auth.Error{Status: 401, Code: "invalid_token", Description: "a\"b\\c\r\nd\x00é"}
	if got, want := e.WWWAuthenticate(), `Bearer error="invalid_token", error_description="abcd"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
