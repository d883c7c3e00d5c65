package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// SSF-8-01, SSF-8-03: a credential is exactly one application's.
func TestAuthenticate(t *testing.T) {
	d := newDesk(t, nil)
	source := &auth.Source{Name: "idp", SubjectIssuers: []string{"https://idp.example"}}
	reader := d.client(t, auth.Client{ID: "reader", Scopes: []auth.Scope{"ssf.manage"}, Source: source})
	writer := d.client(t, auth.Client{ID: "writer", Scopes: []auth.Scope{"events.write"}, Source: source})
	staging := d.client(t, auth.Client{ID: "staging", Environment: "test", Scopes: []auth.Scope{"events.write"}})
	static := d.client(t, auth.Client{ID: "static", Application: "other", Scopes: []auth.Scope{"admin"}, Static: true})
	aud := []string{"https://rp.example"}
	tests := []struct {
		name, token string
		want        auth.Principal
	}{
		{"all scopes", d.token(t, reader, ""), auth.Principal{Client: "reader", Application: "rp", Audience: aud, Scopes: []auth.Scope{"ssf.manage"}}},
		{"fewer scopes", d.token(t, reader, "ssf.manage.poll ssf.read"), auth.Principal{Client: "reader", Application: "rp", Audience: aud, Scopes: []auth.Scope{"ssf.manage.poll", "ssf.read"}}},
		{"a writer has its source", d.token(t, writer, ""), auth.Principal{Client: "writer", Application: "rp", Audience: aud, Scopes: []auth.Scope{"events.write"}, Source: source}},
		{"bound to an environment", d.token(t, staging, ""), auth.Principal{
			Client: "staging", Application: "rp", Environment: "test", Audience: aud, Scopes: []auth.Scope{"events.write"},
			Source: &auth.Source{Name: "staging", Environment: "test"},
		}},
		{"static, source by default", static.AccessToken, auth.Principal{Client: "static", Application: "other", Audience: []string{"https://other.example"}, Scopes: []auth.Scope{"admin"}, Source: &auth.Source{Name: "static"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, turn := range []string{"first", "cached"} {
				got, err := d.ask(t, tt.token)
				if err != nil {
					t.Fatalf("%s: %v", turn, err)
				}
				if diff := cmp.Diff(tt.want, *got); diff != "" {
					t.Errorf("%s: diff (-want +got) %s", turn, diff)
				}
			}
		})
	}
}

// INTEROP-2.7.3-03, POLL-3-01: whatever is wrong with a token, it is 401.
func TestAuthenticateRefuses(t *testing.T) {
	d := newDesk(t, nil)
	given := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	good := d.token(t, given, "")
	header, rest, _ := strings.Cut(good, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	unknown := "tocsin_token_" + strings.Repeat("A", 43)
	tests := []struct {
		name   string
		values []string
		code   string // "" means no error code in the challenge
	}{
		{"no header", nil, ""},
		{"empty header", []string{""}, ""},
		{"another scheme", []string{"Basic YTpi"}, ""},
		{"scheme alone", []string{"Bearer"}, "invalid_token"},
		{"blank token", []string{"Bearer   "}, "invalid_token"},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, "invalid_token"},
		{"two tokens", []string{"Bearer " + good + " " + good}, "invalid_token"},
		{"two tokens by comma", []string{"Bearer " + good + ", Bearer " + good}, "invalid_token"},
		{"control bytes", []string{"Bearer \x00\x01\x7f\r\n"}, "invalid_token"},
		{"control byte at its end", []string{"Bearer " + good + "\x00"}, "invalid_token"},
		{"not UTF-8", []string{"Bearer \xff\xfe\xc3\x28"}, "invalid_token"},
		{"quotes", []string{`Bearer "` + good + `"`}, "invalid_token"},
		{"a mebibyte", []string{"Bearer " + strings.Repeat("a", 1<<20)}, "invalid_token"},
		{"a mebibyte of dots", []string{"Bearer " + strings.Repeat(".", 1<<20)}, "invalid_token"},
		{"garbage", []string{"Bearer abc.def.ghi"}, "invalid_token"},
		{"lower case scheme, garbage", []string{"bearer x"}, "invalid_token"},
		{"unknown static token", []string{"Bearer " + unknown}, "invalid_token"},
		{"static prefix alone", []string{"Bearer tocsin_token_"}, "invalid_token"},
		{"client secret as token", []string{"Bearer " + given.Secret}, "invalid_token"},
		{"no signature", []string{"Bearer " + header + "." + claims + "."}, "invalid_token"},
		{"other signature", []string{"Bearer " + header + "." + claims + "." + strings.Repeat("A", len(signature))}, "invalid_token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := d.Authenticate(t.Context(), tt.values)
			e := refusal(t, err)
			if p != nil || e.Status != http.StatusUnauthorized || e.Code != tt.code {
				t.Fatalf("got %v, %d %q, want nobody, 401 %q", p, e.Status, e.Code, tt.code)
			}
			challenge := e.WWWAuthenticate()
			if !strings.HasPrefix(challenge, "Bearer") || strings.ContainsAny(challenge, "\r\n\x00") {
				t.Errorf("challenge: got %q", challenge)
			}
			if (tt.code == "") != (challenge == "Bearer") {
				t.Errorf("challenge: got %q, want an error code only for a bad token", challenge)
			}
		})
	}
	if _, err := d.Authenticate(t.Context(), []string{"bEARER  " + good}); err != nil {
		t.Errorf("the scheme has no case (RFC 9110 §11.1): got %v, want nil", err)
	}
}

func refusal(t *testing.T, err error) *auth.Error {
	t.Helper()
	var e *auth.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want an *auth.Error", err)
	}
	return e
}

// INTEROP-2.7.3-02, SET-4-01: what is signed with our key is not yet an access token.
func TestAuthenticateJudgesClaims(t *testing.T) {
	d := newDesk(t, nil)
	given := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	good := claimsOf(t, d.token(t, given, ""))
	iat := d.now.Load()
	tests := []struct {
		name   string
		typ    string
		change map[string]any // nil removes
		ok     bool
	}{
		{"unchanged", "at+jwt", nil, true},
		{"media type in full", "application/at+jwt", nil, true},
		{"aud of several", "at+jwt", map[string]any{"aud": []string{"https://x.example", issuer}}, true},
		{"unknown member", "at+jwt", map[string]any{"roles": "x"}, true},
		{"typ of a SET", "secevent+jwt", nil, false},
		{"typ JWT", "JWT", nil, false},
		{"events", "at+jwt", map[string]any{"events": map[string]any{}}, false},
		{"events null", "at+jwt", map[string]any{"events": json.RawMessage("null")}, false},
		{"another iss", "at+jwt", map[string]any{"iss": issuer + "/"}, false},
		{"no iss", "at+jwt", map[string]any{"iss": nil}, false},
		{"another aud", "at+jwt", map[string]any{"aud": "https://rp.example"}, false},
		{"no aud", "at+jwt", map[string]any{"aud": nil}, false},
		{"aud number", "at+jwt", map[string]any{"aud": 1}, false},
		{"another client", "at+jwt", map[string]any{"client_id": "d", "sub": "d"}, false},
		{"sub is not the client", "at+jwt", map[string]any{"sub": "d"}, false},
		{"another registration", "at+jwt", map[string]any{"reg": "AAAA"}, false},
		{"no jti", "at+jwt", map[string]any{"jti": nil}, false},
		{"no exp", "at+jwt", map[string]any{"exp": nil}, false},
		{"exp text", "at+jwt", map[string]any{"exp": "1900000000"}, false},
		{"exp reached", "at+jwt", map[string]any{"iat": iat - 10, "exp": iat}, false},
		{"longer than an hour", "at+jwt", map[string]any{"exp": iat + 3601}, false},
		{"for ever", "at+jwt", map[string]any{"exp": int64(1) << 62, "iat": 1}, false},
		{"iat negative", "at+jwt", map[string]any{"iat": -(int64(1) << 62)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := d.ask(t, d.forge(t, d.key, tt.typ, good, tt.change))
			if tt.ok != (err == nil) {
				t.Fatalf("got %v, want good: %v", err, tt.ok)
			}
			if err != nil && refusal(t, err).Status != http.StatusUnauthorized {
				t.Errorf("got %v, want 401", err)
			}
		})
	}
	if _, err := d.ask(t, d.forge(t, newKey(t), "at+jwt", good, nil)); err == nil {
		t.Error("signed with another key: got nil, want an error")
	}
}

// A token is good for what the client still has, whatever it says.
func TestScopesAreTheClients(t *testing.T) {
	d := newDesk(t, nil)
	given := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	good := claimsOf(t, d.token(t, given, ""))
	p, err := d.ask(t, d.forge(t, d.key, "at+jwt", good, map[string]any{"scope": "admin ssf.read"}))
	if err != nil || !slices.Equal(p.Scopes, []auth.Scope{"ssf.read"}) {
		t.Errorf("got %v, %v, want ssf.read", p, err)
	}
}

func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	m, err := jose.Parse([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	dec := json.NewDecoder(strings.NewReader(string(m.Payload)))
	dec.UseNumber()
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// forge signs claims with changes.
func (d *desk) forge(t *testing.T, key *jose.PrivateKey, typ string, claims, change map[string]any) string {
	t.Helper()
	claims = maps.Clone(claims)
	for name, value := range change {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := newSigner(t, key, typ).Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// INTEROP-2.7.3-02: what ends a token ends it in the cache too, at once.
func TestTokensEnd(t *testing.T) {
	tests := []struct {
		name   string
		end    func(t *testing.T, d *desk, c auth.Credentials)
		static bool // a static token ends too
	}{
		{"expiry", func(_ *testing.T, d *desk, _ auth.Credentials) { d.now.Add(3600) }, false},
		{"client removed", func(t *testing.T, d *desk, c auth.Credentials) {
			if err := d.store.RemoveClient(t.Context(), c.ClientID); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"client removed and added again", func(t *testing.T, d *desk, c auth.Credentials) {
			if err := d.store.RemoveClient(t.Context(), c.ClientID); err != nil {
				t.Fatal(err)
			}
			d.client(t, auth.Client{ID: c.ClientID, Scopes: []auth.Scope{"ssf.read"}, Static: true})
		}, true},
		{"application removed", func(t *testing.T, d *desk, _ auth.Credentials) {
			if err := d.store.RemoveApplication(t.Context(), "rp"); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"key gone", func(t *testing.T, d *desk, _ auth.Credentials) { d.use(t, newKey(t)) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, nil)
			c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Static: true})
			token := d.token(t, c, "")
			for _, tok := range []string{token, c.AccessToken} {
				if _, err := d.ask(t, tok); err != nil {
					t.Fatalf("before: %v", err)
				}
			}
			tt.end(t, d, c)
			if _, err := d.ask(t, token); refusal(t, err).Code != auth.CodeInvalidToken {
				t.Errorf("after: got %v, want invalid_token", err)
			}
			if _, err := d.ask(t, c.AccessToken); tt.static != (err != nil) {
				t.Errorf("static token after: got %v, want refused: %v", err, tt.static)
			}
		})
	}
}

func TestTokenIsGoodUntilItsLastSecond(t *testing.T) {
	d := newDesk(t, func(c *auth.Config) { c.TokenLifetime = time.Minute })
	token := d.token(t, d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}}), "")
	d.now.Add(59)
	if _, err := d.ask(t, token); err != nil {
		t.Errorf("in the last second: %v", err)
	}
	d.now.Add(1)
	if _, err := d.ask(t, token); err == nil {
		t.Error("at exp: got nil, want an error (RFC 7519 §4.1.4)")
	}
}

// A key that was rotated away verifies as long as it is published.
func TestTokenOutlivesRotation(t *testing.T) {
	d := newDesk(t, nil)
	token := d.token(t, d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}}), "")
	next := newKey(t)
	d.sign.Store(newSigner(t, next, "at+jwt"))
	d.keys.Store(jose.NewKeySet(next.Public(), d.key.Public()))
	if _, err := d.ask(t, token); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

// A token that another process has signed with a key of just now is good; a look for
// keys that fails is not the token's fault, and no token makes anybody look twice.
func TestTokenOfANewKey(t *testing.T) {
	var looks int
	var away error
	next := newKey(t)
	var d *desk
	d = newDesk(t, func(c *auth.Config) {
		c.Refresh = func(context.Context) error {
			if looks++; away == nil {
				d.keys.Store(jose.NewKeySet(next.Public(), d.key.Public()))
			}
			return away
		}
	})
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	before := d.token(t, c, "")
	d.sign.Store(newSigner(t, next, "at+jwt"))
	token := d.token(t, c, "")
	if _, err := d.ask(t, before); err != nil || looks != 0 {
		t.Errorf("a known key: got %v after %d looks, want it good without one", err, looks)
	}
	away = errors.New("away")
	if _, err := d.ask(t, token); !errors.Is(err, away) {
		t.Errorf("cannot look: got %v, want that told", err)
	}
	away = nil
	for range 2 {
		if _, err := d.ask(t, token); err != nil || looks != 2 {
			t.Errorf("a new key: got %v after %d looks, want it good after the second", err, looks)
		}
	}
	forged := d.forge(t, newKey(t), "at+jwt", claimsOf(t, token), nil)
	if _, err := d.ask(t, forged); refusal(t, err).Code != auth.CodeInvalidToken || looks != 3 {
		t.Errorf("a key of nobody: got %v after %d looks, want invalid_token after one more", err, looks)
	}
	if res := post(d.RevokeHandler(), "/", url.Values{"token": {token}}, basic("c", c.Secret)); res.StatusCode != http.StatusOK {
		t.Errorf("revoke: got %d, want 200", res.StatusCode)
	}
	if _, err := d.ask(t, token); refusal(t, err).Code != auth.CodeInvalidToken {
		t.Errorf("revoked: got %v, want invalid_token", err)
	}
}

// The cache is bounded, and what left it is verified again.
func TestManyTokens(t *testing.T) {
	d := newDesk(t, nil)
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}})
	good := claimsOf(t, d.token(t, c, ""))
	var first string
	for i := range 2*auth.MaxVerified + 10 {
		token := d.forge(t, d.key, "at+jwt", good, map[string]any{"jti": fmt.Sprint("j", i)})
		if first == "" {
			first = token
		}
		if _, err := d.ask(t, token); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.Cached(); got > 2*auth.MaxVerified {
		t.Errorf("cached: got %d, want at most %d", got, 2*auth.MaxVerified)
	}
	if _, err := d.ask(t, first); err != nil {
		t.Errorf("the first token again: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	d := newDesk(t, nil)
	stays := d.token(t, d.client(t, auth.Client{ID: "stays", Scopes: []auth.Scope{"ssf.read"}}), "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if _, err := d.ask(t, stays); err != nil {
					t.Errorf("the token that stays: %v", err)
					return
				}
			}
		})
	}
	for i := range 20 {
		c := d.client(t, auth.Client{ID: fmt.Sprint("c", i), Scopes: []auth.Scope{"ssf.read"}})
		token := d.token(t, c, "")
		if _, err := d.ask(t, token); err != nil {
			t.Error(err)
		}
		if err := d.store.RemoveClient(t.Context(), c.ClientID); err != nil {
			t.Error(err)
		}
		if _, err := d.ask(t, token); err == nil {
			t.Error("after its removal: got nil, want an error")
		}
	}
	wg.Wait()
}

// INTEROP-2.7.3-01, -02, -03; PRM-5.1-01.
func TestCheck(t *testing.T) {
	d := newDesk(t, func(c *auth.Config) {
		c.ResourceMetadata = func(path string) string { return "https://tocsin.example/.well-known/oauth-protected-resource" + path }
	})
	token := d.token(t, d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}}), "")
	metadata := `resource_metadata="https://tocsin.example/.well-known/oauth-protected-resource/ssf/streams"`
	tests := []struct {
		name, query, header string
		op                  auth.Operation
		status              int // 0: admitted
		challenge           string
	}{
		{"read", "", "Bearer " + token, auth.OpReadStream, 0, ""},
		{"no credential", "", "", auth.OpReadStream, 401, "Bearer " + metadata},
		{"in the query alone", "?access_token=" + token, "", auth.OpReadStream, 401, "Bearer " + metadata},
		{
			"in the query too", "?access_token=" + token, "Bearer " + token, auth.OpReadStream, 400,
			`Bearer error="invalid_request", error_description="send the access token in the Authorization header only", ` + metadata,
		},
		{"in the query too, encoded", "?a%63cess_token=x", "Bearer " + token, auth.OpReadStream, 400, ""},
		{"another parameter", "?stream_id=access_token", "Bearer " + token, auth.OpReadStream, 0, ""},
		{
			"insufficient", "", "Bearer " + token, auth.OpCreateStream, 403,
			`Bearer error="insufficient_scope", error_description="the access token is not good for this", scope="ssf.manage", ` + metadata,
		},
		{"operation without rule", "", "Bearer " + token, "none", 403, ""},
		{
			"bad token", "", "Bearer x", auth.OpReadStream, 401,
			`Bearer error="invalid_token", error_description="not an access token of ours", ` + metadata,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/ssf/streams"+tt.query, nil)
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			p, err := d.Check(r, tt.op)
			if tt.status == 0 {
				if err != nil || p.Client != "c" {
					t.Fatalf("got %v, %v, want client c", p, err)
				}
				return
			}
			e := refusal(t, err)
			if p != nil || e.Status != tt.status {
				t.Errorf("got %v, %d, want nobody, %d", p, e.Status, tt.status)
			}
			if got := e.WWWAuthenticate(); tt.challenge != "" && got != tt.challenge {
				t.Errorf("challenge: got %s, want %s", got, tt.challenge)
			}
		})
	}
}

// U29: which scopes are sufficient is a setting.
func TestOwnRules(t *testing.T) {
	rules := auth.DefaultRules()
	rules[auth.OpReadStream] = []auth.Scope{"ssf.tenant"}
	d := newDesk(t, func(c *auth.Config) { c.Rules = rules })
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.tenant"}, Static: true})
	r := httptest.NewRequest(http.MethodGet, "/ssf/streams", nil)
	r.Header.Set("Authorization", "Bearer "+c.AccessToken)
	if _, err := d.Check(r, auth.OpReadStream); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if _, err := d.Check(r, auth.OpReadStatus); refusal(t, err).Scope != "ssf.read" {
		t.Errorf("got %v, want a refusal that asks for ssf.read", err)
	}
}

// A failure of the store is not the token's fault.
func TestStoreFailureIsNoRefusal(t *testing.T) {
	d := newDesk(t, nil)
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Authenticate(ctx, []string{"Bearer " + c.AccessToken}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	_, err := auth.New(auth.Config{TokenLifetime: 2 * time.Hour})
	for _, field := range []string{"Store", "Issuer", "Signer", "TokenLifetime"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want %s named", err, field)
		}
	}
}

// SEC-04: nothing secret shows when it is logged.
func TestNothingSecretIsLogged(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "admin.db"))
	d := &desk{store: s}
	c := d.client(t, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	logged := c.LogValue().String() + fmt.Sprintf("%v %+v %s", c, c, c)
	if strings.Contains(logged, c.Secret) || strings.Contains(logged, c.AccessToken) {
		t.Errorf("got %s, want no secret", logged)
	}
}

// What 8 keep-alive senders pay for a token they use again.
func BenchmarkAuthenticateAgain(b *testing.B) {
	d := newDesk(b, nil)
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		b.Fatal(err)
	}
	d.use(b, key)
	token := d.token(b, d.client(b, auth.Client{ID: "c", Scopes: []auth.Scope{"ssf.read"}}), "")
	header := []string{"Bearer " + token}
	ctx := b.Context()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := d.Authenticate(ctx, header); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
