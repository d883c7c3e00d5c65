package transmitter_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// login is an authorization server that publishes as OpenID Connect has it.
type login struct {
	*httptest.Server
	t    *testing.T
	key  *jose.PrivateKey
	away atomic.Bool
}

func newLogin(t *testing.T) *login {
	t.Helper()
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	l := &login{t: t, key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /realm/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": l.issuer(), "jwks_uri": l.URL + "/keys", "introspection_endpoint": l.URL + "/introspect",
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.NewKeySet(key.Public()))
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "tocsin" || secret != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"active": r.FormValue("token") == "opaque", "aud": "https://ssf.example", "client_id": "shop", "scope": "ssf.read",
		})
	})
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *login) issuer() string { return l.URL + "/realm" }

// sign signs claims over those of a good access token.
func (l *login) sign(typ string, change map[string]any) string {
	l.t.Helper()
	claims := map[string]any{
		"iss": l.issuer(), "aud": "https://ssf.example", "sub": "x", "client_id": "shop", "scope": "ssf.manage ssf.read events.write",
		"iat": time.Now().Unix(), "exp": time.Now().Unix() + 600, "jti": "1",
	}
	for name, value := range change {
		claims[name] = value
	}
	signer, err := jose.NewSigner(l.key, typ)
	if err != nil {
		l.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// ownKeys are those that a house publishes.
type ownKeys struct{ *house }

func (k ownKeys) Key(_ context.Context, _, kid string, alg jose.Algorithm) (*jose.PublicKey, error) {
	return k.keys.KeySet().Find(kid, alg)
}

func openBehind(t *testing.T, l *login) *house {
	t.Helper()
	h := open(t, func(s *setup) {
		s.TokenIssuer = &auth.External{
			Issuer: l.issuer(), Audience: []string{"https://ssf.example"},
			Introspection: &auth.Introspection{ClientID: "tocsin", ClientSecret: "s3cret"},
		}
	})
	made := h.operator(h.SocketHandler()).must(http.StatusCreated, http.MethodPost, "/admin/clients", "",
		`{"id":"shop","audience":"https://shop.example","scope":"ssf.manage ssf.read events.write","external":true}`)
	if strings.Contains(made.body, "secret") {
		t.Errorf("got %s, want no secret", made.body)
	}
	return h
}

// RFC 9728 §2, RFC 9068, RFC 7662, PRM-5.1-01: an authorization server of somebody else's
// in place of ours. Metadata names it, and there is no token endpoint.
func TestTokenIssuer(t *testing.T) {
	l := newLogin(t)
	h := openBehind(t, l)
	refused := h.do(http.MethodGet, "/ssf/streams", "", "")
	if got := refused.header.Get("WWW-Authenticate"); !strings.Contains(got, "/.well-known/oauth-protected-resource/ssf/streams") {
		t.Errorf("PRM-5.1-01: got %q, want the resource's metadata", got)
	}
	doc := h.must(http.StatusOK, http.MethodGet, "/.well-known/oauth-protected-resource/ssf/streams", "", "")
	if got, want := doc.member("authorization_servers"), `["`+l.issuer()+`"]`; got != want {
		t.Errorf("authorization_servers: got %s, want %s", got, want)
	}
	for method, path := range map[string]string{
		http.MethodPost + " token": "/oauth/token", http.MethodPost + " revoke": "/oauth/revoke", http.MethodGet + " metadata": "/.well-known/oauth-authorization-server",
	} {
		method, _, _ = strings.Cut(method, " ")
		h.must(http.StatusNotFound, method, path, "", "")
	}
	token := l.sign("at+jwt", nil)
	stream := h.stream(token, "")
	id := h.emit(token, "jo")
	if ids, _ := h.poll(token, stream, `{"maxEvents":1}`); len(ids) != 1 || id == "" {
		t.Errorf("got %v, want the SET", ids)
	}
	h.must(http.StatusOK, http.MethodGet, "/ssf/streams?stream_id="+stream, "opaque", "")
	h.must(http.StatusUnauthorized, http.MethodGet, "/ssf/streams", "opaque-of-nobody", "")
	h.must(http.StatusForbidden, http.MethodPost, "/ssf/verify", "opaque", `{"stream_id":"`+stream+`"}`)
	h.must(http.StatusOK, http.MethodGet, "/ssf/streams", h.client("other", "ssf.read"), "") // a static one of ours
}

// A token issuer that is away is no fault of a token: 503, and nothing is refused for good.
func TestTokenIssuerAway(t *testing.T) {
	l := newLogin(t)
	l.away.Store(true)
	h := openBehind(t, l)
	a := h.do(http.MethodGet, "/ssf/streams", l.sign("at+jwt", nil), "")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s, want 503 with Retry-After", a.status, a.body)
	}
	until(t, "it is told in the log", func() bool { return strings.Contains(h.logs.String(), "token issuer") })
}

// SET-4-01: no SET passes for an access token, and no access token for a SET, whoever
// signed either.
func TestTokensAndSETs(t *testing.T) {
	l := newLogin(t)
	h := openBehind(t, l)
	own := open(t)
	c := own.credentials("shop", everyScope)
	access := own.jwt(c)
	stream := own.stream(access, "")
	own.emit(access, "jo")
	_, sets := own.poll(access, stream, `{"maxEvents":1}`)
	if len(sets) != 1 {
		t.Fatalf("got %d SETs, want one", len(sets))
	}
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := set.Builder{
		Issuer: l.issuer(), ID: "x", Audience: []string{"https://ssf.example"}, IssuedAt: time.Now(),
		Subject: subject.Email("a@example.com"), Event: set.Event{Type: sessionRevoked},
	}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]struct {
		h     *house
		token string
	}{
		"our SET at home":                   {own, sets[0]},
		"our SET behind the issuer":         {h, sets[0]},
		"a SET of its name":                 {h, foreign},
		"the issuer's SET":                  {h, l.sign("secevent+jwt", map[string]any{"events": map[string]any{sessionRevoked: map[string]any{}}})},
		"the issuer's SET typed as a token": {h, l.sign("at+jwt", map[string]any{"events": map[string]any{sessionRevoked: map[string]any{}}})},
		"an ID token":                       {h, l.sign("JWT", map[string]any{"nonce": "n"})},
		"our access token":                  {h, access},
	} {
		if a := at.h.do(http.MethodGet, "/ssf/streams", at.token, ""); a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("SET-4-01 %s: got %d %s, want 401 invalid_token", name, a.status, a.body)
		}
	}
	verifier, err := set.NewVerifier(set.VerifierConfig{
		Issuer: own.issuer, Audience: []string{own.issuer, audience("shop")}, Keys: ownKeys{own}, Algorithms: []jose.Algorithm{jose.ES256},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), []byte(sets[0])); err != nil {
		t.Errorf("our SET: got %v, want it good", err)
	}
	if _, err := verifier.Verify(t.Context(), []byte(access)); err == nil {
		t.Error("SET-4-01 our access token as a SET for us: got nil, want an error")
	}
}
