package auth_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const (
	theirs = "https://login.example/realms/corp"
	api    = "https://ssf.example"
)

// abroad is a desk whose tokens come from another issuer, with its key.
func abroad(t testing.TB, change func(*auth.External)) (*desk, *jose.PrivateKey) {
	t.Helper()
	key := newKey(t)
	d := newDesk(t, func(c *auth.Config) {
		c.External = &auth.External{
			Issuer: theirs, Audience: []string{api}, Keys: &published{url: theirs, keys: jose.NewKeySet(key.Public())},
			Clients: map[string]string{"0oa-9": "shop"},
			Scopes:  map[string][]auth.Scope{"events": {"events.read", "events.write"}, "operator": {"admin"}},
		}
		if change != nil {
			change(c.External)
		}
	})
	d.client(t, auth.Client{ID: "shop", Application: "shop", Scopes: []auth.Scope{"ssf.manage", "events.read", "events.write"}, External: true, Source: &auth.Source{Name: "hr"}})
	return d, key
}

func (d *desk) theirs() map[string]any {
	return map[string]any{
		"iss": theirs, "aud": api, "sub": "service-account", "client_id": "shop", "scope": "ssf.manage",
		"iat": d.now.Load(), "exp": d.now.Load() + 600, "jti": "1",
	}
}

// RFC 9068 §4, RFC 6750 §5.2, SET-4-01: a token of another issuer is one for us, or none.
func TestExternalToken(t *testing.T) {
	d, key := abroad(t, nil)
	now := d.now.Load()
	tests := []struct {
		name, typ string
		change    map[string]any
		reason    string // "": good
	}{
		{"good", "at+jwt", nil, ""},
		{"media type in full", "application/at+jwt", nil, ""},
		{"for others as well", "at+jwt", map[string]any{"aud": []string{"https://x.example", api}}, ""},
		{"by azp", "at+jwt", map[string]any{"client_id": nil, "azp": "shop"}, ""},
		{"a name that maps", "at+jwt", map[string]any{"client_id": "0oa-9"}, ""},
		{"for a day", "at+jwt", map[string]any{"exp": now + 86400}, ""},
		{"without iat", "at+jwt", map[string]any{"iat": nil}, ""},
		{"iss is ours", "at+jwt", map[string]any{"iss": issuer}, "iss"},
		{"no iss", "at+jwt", map[string]any{"iss": nil}, "iss"},
		{"aud is our issuer alone", "at+jwt", map[string]any{"aud": issuer}, "aud"},
		{"aud is the client", "at+jwt", map[string]any{"aud": "shop"}, "aud"},
		{"no aud", "at+jwt", map[string]any{"aud": nil}, "aud"},
		{"no exp", "at+jwt", map[string]any{"exp": nil}, "exp"},
		{"expired", "at+jwt", map[string]any{"exp": now}, "expired"},
		{"of tomorrow", "at+jwt", map[string]any{"nbf": now + 86400}, "future"},
		{"made tomorrow", "at+jwt", map[string]any{"iat": now + 86400}, "future"},
		{"bound to a key", "at+jwt", map[string]any{"cnf": map[string]any{"jkt": "x"}}, "bound"},
		{"bound to a certificate", "at+jwt", map[string]any{"cnf": map[string]any{"x5t#S256": strings.Repeat("A", 43)}}, "certificate"},
		{"bound to both", "at+jwt", map[string]any{"cnf": map[string]any{"x5t#S256": strings.Repeat("A", 43), "jkt": "x"}}, "bound"},
		{"an unknown client", "at+jwt", map[string]any{"client_id": "market"}, "not known"},
		{"no client", "at+jwt", map[string]any{"client_id": nil}, "whose"},
		{"two clients", "at+jwt", map[string]any{"client_id": []string{"shop", "market"}}, "whose"},
		{"a client of no name", "at+jwt", map[string]any{"client_id": "a/b"}, "not known"},
		{"SET-4-01 events", "at+jwt", map[string]any{"events": map[string]any{"https://x": map[string]any{}}}, "SET"},
		{"SET-4-01 typ of a SET", "secevent+jwt", nil, "typ"},
		{"SET-4-01 a SET", "secevent+jwt", map[string]any{"events": map[string]any{}, "exp": nil}, "typ"},
		{"typ of an ID token", "JWT", map[string]any{"nonce": "n"}, "typ"},
		{"no typ that counts", "jwt", nil, "typ"},
		{"logout token", "logout+jwt", nil, "typ"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, turn := range []string{"first", "again"} {
				p, err := d.ask(t, d.forge(t, key, tt.typ, d.theirs(), tt.change))
				if tt.reason == "" {
					if err != nil || p.Client != "shop" || p.Application != "shop" {
						t.Errorf("%s: got %v, %v, want the client shop", turn, p, err)
					}
					continue
				}
				e := refusal(t, err)
				if e.Status != http.StatusUnauthorized || e.Code != "invalid_token" || !strings.Contains(e.Description, tt.reason) {
					t.Errorf("%s: got %v, want invalid_token: %s", turn, err, tt.reason)
				}
			}
		})
	}
	if _, err := d.ask(t, d.forge(t, newKey(t), "at+jwt", d.theirs(), nil)); refusal(t, err).Code != "invalid_token" {
		t.Errorf("another key: got %v, want invalid_token", err)
	}
	if _, err := d.ask(t, d.forge(t, d.key, "at+jwt", d.theirs(), nil)); refusal(t, err).Code != "invalid_token" {
		t.Errorf("our own key: got %v, want invalid_token", err)
	}
}

// Of an issuer that types no tokens, what is known of ID tokens is refused.
func TestExternalTokenOfAnyType(t *testing.T) {
	d, key := abroad(t, func(e *auth.External) { e.AnyType = true })
	for name, tt := range map[string]struct {
		typ    string
		change map[string]any
		ok     bool
	}{
		"JWT":                    {"JWT", nil, true},
		"at+jwt":                 {"at+jwt", nil, true},
		"Keycloak's":             {"JWT", map[string]any{"typ": "Bearer", "azp": "shop"}, true},
		"nonce":                  {"JWT", map[string]any{"nonce": "n"}, false},
		"at_hash":                {"JWT", map[string]any{"at_hash": "n"}, false},
		"Keycloak's ID token":    {"JWT", map[string]any{"typ": "ID"}, false},
		"Keycloak's refresh":     {"JWT", map[string]any{"typ": "Refresh"}, false},
		"SET-4-01 events":        {"JWT", map[string]any{"events": map[string]any{}}, false},
		"SET-4-01 typ of a SET":  {"secevent+jwt", nil, false},
		"a logout token":         {"logout+jwt", nil, false},
		"a client's assertion":   {"client-authentication+jwt", nil, false},
		"an ID token by its aud": {"JWT", map[string]any{"aud": "shop"}, false},
	} {
		if _, err := d.ask(t, d.forge(t, key, tt.typ, d.theirs(), tt.change)); (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want good %v", name, err, tt.ok)
		}
	}
}

// A token is good for what its scopes and its client's have in common, and admin must be
// said to be admin.
func TestExternalScopes(t *testing.T) {
	d, key := abroad(t, nil)
	d.client(t, auth.Client{ID: "ops", Application: "ops", Scopes: []auth.Scope{"admin"}, External: true})
	for _, tt := range []struct {
		name, client string
		change       map[string]any
		want         []auth.Scope
	}{
		{"itself", "shop", nil, []auth.Scope{"ssf.manage"}},
		{"narrower", "shop", map[string]any{"scope": "ssf.manage.poll"}, []auth.Scope{"ssf.manage.poll"}},
		{"mapped", "shop", map[string]any{"scope": "openid events profile"}, []auth.Scope{"events.read", "events.write"}},
		{"beyond the client's", "shop", map[string]any{"scope": "events.erase ssf.manage"}, []auth.Scope{"ssf.manage"}},
		{"mapped beyond the client's", "shop", map[string]any{"scope": "operator"}, nil},
		{"a list in scp", "shop", map[string]any{"scope": nil, "scp": []string{"ssf.manage", "x"}}, []auth.Scope{"ssf.manage"}},
		{"scope before scp", "shop", map[string]any{"scope": "", "scp": "ssf.manage"}, nil},
		{"none", "shop", map[string]any{"scope": nil}, nil},
		{"admin that nobody said", "ops", map[string]any{"scope": "admin"}, nil},
		{"admin", "ops", map[string]any{"scope": "operator"}, []auth.Scope{"admin"}},
	} {
		change := map[string]any{"client_id": tt.client}
		for name, value := range tt.change {
			change[name] = value
		}
		p, err := d.ask(t, d.forge(t, key, "at+jwt", d.theirs(), change))
		if err != nil || !slices.Equal(p.Scopes, tt.want) {
			t.Errorf("%s: got %+v, %v, want %v", tt.name, p, err, tt.want)
			continue
		}
		if writes := slices.Contains(tt.want, "events.write"); writes && (p.Source == nil || p.Source.Name != "hr") {
			t.Errorf("%s: got source %v, want that of the client", tt.name, p.Source)
		}
	}
}

// What ends a token: its time, its client, its key; static tokens of ours are good beside.
func TestExternalTokensEnd(t *testing.T) {
	first, second := newKey(t), newKey(t)
	keys := &published{url: theirs, keys: jose.NewKeySet(first.Public())}
	d, _ := abroad(t, func(e *auth.External) { e.Keys = keys })
	static := d.client(t, auth.Client{ID: "static", Scopes: []auth.Scope{"ssf.read"}, Static: true})
	token := d.forge(t, first, "at+jwt", d.theirs(), nil)
	good := func(what, token string, want bool) {
		t.Helper()
		if _, err := d.ask(t, token); (err == nil) != want {
			t.Errorf("%s: got %v, want good %v", what, err, want)
		}
	}
	for range 3 {
		good("at first", token, true)
	}
	if keys.fetched != 1 {
		t.Errorf("got %d looks for the key, want one for a token that is used again", keys.fetched)
	}
	keys.keys = jose.NewKeySet(second.Public())
	good("its key was taken back just now", token, true)
	d.now.Add(301)
	good("its key was taken back", token, false)
	token = d.forge(t, second, "at+jwt", d.theirs(), nil)
	good("by the new key", token, true)
	d.now.Add(600)
	good("expired", token, false)
	keys.err = errors.New("connection refused")
	_, err := d.ask(t, d.forge(t, second, "at+jwt", d.theirs(), nil))
	var refused *auth.Error
	if err == nil || errors.As(err, &refused) {
		t.Errorf("the issuer is away: got %v, want a failure, no refusal", err)
	}
	keys.err = nil
	token = d.forge(t, second, "at+jwt", d.theirs(), nil)
	good("the issuer is back", token, true)
	if err := d.store.RemoveClient(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	good("client removed", token, false)
	good("static", static.AccessToken, true)
	good("one that we would have signed", d.forge(t, d.key, "at+jwt", map[string]any{
		"iss": issuer, "aud": issuer, "sub": "static", "client_id": "static", "scope": "ssf.read", "jti": "x", "reg": "x",
		"iat": d.now.Load(), "exp": d.now.Load() + 60,
	}, nil), false)
}

// asked answers introspection requests.
type asked struct {
	status int
	body   string
	err    error
	forms  []url.Values
	basic  [2]string
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	form, formErr := url.ParseQuery(string(body))
	if err := errors.Join(err, formErr, a.err); err != nil {
		return nil, err
	}
	a.forms = append(a.forms, form)
	a.basic[0], a.basic[1], _ = r.BasicAuth()
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

// RFC 7662: the issuer is asked about a token that is no JWT, once in a while.
func TestIntrospection(t *testing.T) {
	a := &asked{status: 200}
	d, key := abroad(t, func(e *auth.External) {
		e.Introspection = &auth.Introspection{
			URL:      func(context.Context) (string, error) { return theirs + "/introspect", nil },
			ClientID: "tocsin", ClientSecret: "s3cret:%", HTTP: &http.Client{Transport: a},
		}
	})
	answer := func(change map[string]any) string {
		claims := map[string]any{"active": true, "aud": api, "client_id": "shop", "scope": "ssf.manage", "token_type": "Bearer"}
		for name, value := range change {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		raw, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for i, tt := range []struct {
		name   string
		change map[string]any
		ok     bool
	}{
		{"active", nil, true},
		{"with iss", map[string]any{"iss": theirs, "exp": d.now.Load() + 60}, true},
		{"a mapped client", map[string]any{"client_id": "0oa-9"}, true},
		{"not active", map[string]any{"active": false}, false},
		{"active is missing", map[string]any{"active": nil}, false},
		{"of another issuer", map[string]any{"iss": issuer}, false},
		{"for others", map[string]any{"aud": "https://x.example"}, false},
		{"for nobody said", map[string]any{"aud": nil}, false},
		{"expired", map[string]any{"exp": d.now.Load()}, false},
		{"of an unknown client", map[string]any{"client_id": "market"}, false},
		{"a refresh token", map[string]any{"token_use": "refresh_token"}, false},
		{"bound to a key", map[string]any{"token_type": "DPoP"}, false},
		{"SET-4-01 events", map[string]any{"events": map[string]any{}}, false},
		{"bound to what is not known", map[string]any{"cnf": map[string]any{"jkt": "x"}}, false},
	} {
		a.body, a.forms = answer(tt.change), nil
		token := fmt.Sprint("opaque-", i)
		for range 3 {
			if _, err := d.ask(t, token); (err == nil) != tt.ok {
				t.Errorf("%s: got %v, want good %v", tt.name, err, tt.ok)
			} else if err != nil && refusal(t, err).Code != "invalid_token" {
				t.Errorf("%s: got %v, want invalid_token", tt.name, err)
			}
		}
		if want := 1; tt.name != "of an unknown client" && len(a.forms) != want {
			t.Errorf("%s: got %d questions, want %d for three requests", tt.name, len(a.forms), want)
		}
		if len(a.forms) > 0 && a.forms[0].Get("token") != token {
			t.Errorf("%s: got asked %v, want the token", tt.name, a.forms[0])
		}
	}
	if a.basic != [2]string{"tocsin", "s3cret%3A%25"} {
		t.Errorf("got credentials %v, want them form-urlencoded (RFC 6749 §2.3.1)", a.basic)
	}
	a.body, a.forms = answer(nil), nil
	if _, err := d.ask(t, "kept"); err != nil {
		t.Fatal(err)
	}
	a.body = answer(map[string]any{"active": false})
	d.now.Add(31)
	if _, err := d.ask(t, "kept"); refusal(t, err).Code != "invalid_token" || len(a.forms) != 2 {
		t.Errorf("revoked at the issuer: got %v after %d questions, want it refused within half a minute", err, len(a.forms))
	}
	a.forms = nil
	if _, err := d.ask(t, d.forge(t, key, "at+jwt", d.theirs(), nil)); err != nil || len(a.forms) != 0 {
		t.Errorf("a JWT: got %v after %d questions, want it good without one", err, len(a.forms))
	}
	for name, away := range map[string]asked{
		"500": {status: 500}, "401": {status: 401, body: `{"error":"invalid_client"}`}, "no JSON": {status: 200, body: "x"},
		"large": {status: 200, body: `{"x":"` + strings.Repeat("x", 65<<10) + `"}`}, "refused": {err: errors.New("connection refused")},
	} {
		*a = away
		_, err := d.ask(t, "away")
		var refused *auth.Error
		if err == nil || errors.As(err, &refused) || strings.Contains(err.Error(), "away") {
			t.Errorf("%s: got %v, want a failure without the token, no refusal", name, err)
		}
	}
}

func TestExternalIsChecked(t *testing.T) {
	d := newDesk(t, nil)
	_, err := auth.New(auth.Config{Store: d.store, Issuer: issuer, Signer: d.sign.Load, Keys: d.keys.Load, External: &auth.External{
		Issuer: issuer, Clients: map[string]string{"a": "b/c"}, Scopes: map[string][]auth.Scope{"x": {"openid"}}, Introspection: &auth.Introspection{},
	}})
	for _, field := range []string{"Issuer", "Audience", "Keys", "Clients", "Scopes", "ClientSecret"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want %s named", err, field)
		}
	}
}

// RFC 8705 §3: a token of another issuer that is bound to a certificate, by itself or by
// the issuer's word, is good with that; and a client may be one whose tokens must be.
func TestExternalBound(t *testing.T) {
	mine := edgetest.SelfSigned(t, nil)
	sum := sha256.Sum256(mine.Leaf.Raw)
	cnf := map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
	said, err := json.Marshal(map[string]any{"active": true, "aud": api, "client_id": "shop", "scope": "ssf.manage", "token_type": "Bearer", "cnf": cnf})
	if err != nil {
		t.Fatal(err)
	}
	a := &asked{status: 200, body: string(said)}
	d, key := abroad(t, func(e *auth.External) {
		e.Introspection = &auth.Introspection{
			URL:      func(context.Context) (string, error) { return theirs + "/introspect", nil },
			ClientID: "tocsin", ClientSecret: "s", HTTP: &http.Client{Transport: a},
		}
	})
	d.client(t, auth.Client{ID: "bound", Application: "shop", Scopes: []auth.Scope{"ssf.manage"}, External: true, BoundTokens: true})
	for _, tt := range []struct {
		name, token string
		with        []tls.Certificate
		ok          bool
	}{
		{"a JWT, with it", d.forge(t, key, "at+jwt", d.theirs(), map[string]any{"cnf": cnf}), []tls.Certificate{mine}, true},
		{"a JWT, without", d.forge(t, key, "at+jwt", d.theirs(), map[string]any{"cnf": cnf}), nil, false},
		{"a JWT, with another", d.forge(t, key, "at+jwt", d.theirs(), map[string]any{"cnf": cnf}), []tls.Certificate{edgetest.SelfSigned(t, nil)}, false},
		{"asked for, with it", "opaque", []tls.Certificate{mine}, true},
		{"asked for, without", "opaque", nil, false},
		{"asked for, with another", "opaque", []tls.Certificate{edgetest.SelfSigned(t, nil)}, false},
		{"of a client whose tokens must be", d.forge(t, key, "at+jwt", d.theirs(), map[string]any{"client_id": "bound", "cnf": cnf}), []tls.Certificate{mine}, true},
		{"and is not", d.forge(t, key, "at+jwt", d.theirs(), map[string]any{"client_id": "bound"}), []tls.Certificate{mine}, false},
		{"a bearer's", d.forge(t, key, "at+jwt", d.theirs(), nil), nil, true},
	} {
		for range 2 {
			r := httptest.NewRequest(http.MethodPost, "/ssf/streams", nil)
			r.Header.Set("Authorization", "Bearer "+tt.token)
			with(tt.with...)(r)
			if _, err := d.Check(r, auth.OpCreateStream); (err == nil) != tt.ok || err != nil && refusal(t, err).Code != "invalid_token" {
				t.Errorf("%s: got %v, want good %t", tt.name, err, tt.ok)
			}
		}
	}
}
