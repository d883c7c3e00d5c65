package transmitter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// assertion returns the form of a token request by a client with a key.
func assertion(t *testing.T, key *jose.PrivateKey, id, aud, jti string) string {
	t.Helper()
	signer, err := jose.NewSigner(key, "client-authentication+jwt")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": id, "sub": id, "aud": aud, "jti": jti, "exp": time.Now().Unix() + 60})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {signed},
	}.Encode()
}

// RFC 7523, RFC 8414 §2: a client that publishes its keys gets a token by an assertion
// for the endpoint that metadata names, made as metadata says.
func TestClientThatPublishesItsKeys(t *testing.T) {
	key, err := jose.Generate(jose.PS256)
	if err != nil {
		t.Fatal(err)
	}
	var fetched atomic.Int32
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_ = json.NewEncoder(w).Encode(jose.NewKeySet(key.Public()))
	}))
	t.Cleanup(keys.Close)
	h := open(t, func(s *setup) { s.idle = true })
	operator := h.operator(h.SocketHandler())
	made := operator.must(http.StatusCreated, http.MethodPost, "/admin/clients", "",
		`{"id":"shop","audience":"https://shop.example","scope":"ssf.read","jwks_uri":"`+keys.URL+`/jwks"}`)
	if strings.Contains(made.body, "secret") {
		t.Errorf("got %s, want no secret", made.body)
	}
	doc := h.must(http.StatusOK, http.MethodGet, "/.well-known/oauth-authorization-server", "", "")
	for member, want := range map[string]string{
		"token_endpoint_auth_methods_supported":                 `["client_secret_basic","client_secret_post","private_key_jwt"]`,
		"revocation_endpoint_auth_methods_supported":            `["client_secret_basic","client_secret_post","private_key_jwt"]`,
		"token_endpoint_auth_signing_alg_values_supported":      `["RS256","PS256","ES256","EdDSA"]`,
		"revocation_endpoint_auth_signing_alg_values_supported": `["RS256","PS256","ES256","EdDSA"]`,
	} {
		if got := doc.member(member); got != want {
			t.Errorf("RFC 8414 %s: got %s, want %s", member, got, want)
		}
	}
	for i, aud := range []string{h.issuer, doc.member("token_endpoint")} {
		token := h.must(http.StatusOK, http.MethodPost, "/oauth/token", "", assertion(t, key, "shop", aud, fmt.Sprint(i)),
			"Content-Type", "application/x-www-form-urlencoded").member("access_token")
		h.must(http.StatusOK, http.MethodGet, "/ssf/streams", token, "")
	}
	if got := fetched.Load(); got != 1 {
		t.Errorf("got %d fetches of the keys, want one that is kept", got)
	}
	listed := operator.must(http.StatusOK, http.MethodGet, "/admin/clients", "", "").body
	if !strings.Contains(listed, `"jwks_uri":"`+keys.URL+`/jwks"`) {
		t.Errorf("list: got %s, want the jwks_uri in it", listed)
	}
}

// SEC-01: where a client publishes its keys is judged as any address that others name,
// when it is said and when it is called.
func TestClientKeysAreGuarded(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	operator := h.operator(h.SocketHandler())
	for _, raw := range []string{"http://rp.example/jwks", "https://10.0.0.1/jwks", "https://169.254.169.254/latest", "https://u:p@rp.example/", "file:///etc/passwd"} {
		a := operator.do(http.MethodPost, "/admin/clients", "", `{"id":"x","audience":"https://x.example","scope":"ssf.read","jwks_uri":"`+raw+`"}`)
		if a.status != http.StatusBadRequest || a.member("member") != "jwks_uri" {
			t.Errorf("%s: got %d %s, want jwks_uri refused", raw, a.status, a.body)
		}
	}
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	// One that was put in another way is not called either.
	if _, err := h.apps.AddApplication(t.Context(), auth.Application{ID: "rp", Audience: []string{"https://rp.example"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.apps.AddClient(t.Context(), auth.Client{ID: "inside", Application: "rp", Scopes: []auth.Scope{"ssf.read"}, JWKSURI: "https://10.0.0.1/jwks"}); err != nil {
		t.Fatal(err)
	}
	a := h.do(http.MethodPost, "/oauth/token", "", assertion(t, key, "inside", h.issuer, "1"), "Content-Type", "application/x-www-form-urlencoded")
	if a.status != http.StatusServiceUnavailable || !strings.Contains(h.logs.String(), "not allowed") {
		t.Errorf("got %d %s and %s, want 503 and why in the log", a.status, a.body, h.logs)
	}
}

// A client's secrets are replaced while it works: the admin API gives new ones once, says
// until when the old ones are good, and shows how old they are.
func TestClientRotated(t *testing.T) {
	now := time.Now()
	h := open(t, func(s *setup) { s.idle = true; s.Now = func() time.Time { return now } })
	operator := h.operator(h.SocketHandler())
	old := h.credentials("shop", "ssf.read")
	rotate := func(body string) answer {
		t.Helper()
		return operator.do(http.MethodPost, "/admin/clients/"+old.ClientID+"/rotate", "", body)
	}
	made := rotate(`{"keep_seconds":3600}`)
	if made.status != http.StatusCreated || made.member("client_secret") == "" || made.member("access_token") == "" || made.member("old_until") == "" {
		t.Fatalf("got %d %s, want new secrets and until when the old ones are good", made.status, made.body)
	}
	for name, token := range map[string]string{"old": old.AccessToken, "new": made.member("access_token"), "by the old secret": h.jwt(old)} {
		if got := h.do(http.MethodGet, "/ssf/streams", token, ""); got.status != http.StatusOK {
			t.Errorf("%s: got %d, want 200", name, got.status)
		}
	}
	listed := operator.must(http.StatusOK, http.MethodGet, "/admin/clients", "", "").body
	if !strings.Contains(listed, `"rotated":"`) || !strings.Contains(listed, `"old_until":"`) {
		t.Errorf("list: got %s, want rotated and old_until", listed)
	}
	for _, secret := range []string{old.Secret, old.AccessToken, made.member("client_secret"), made.member("access_token")} {
		if strings.Contains(listed, secret) || strings.Contains(h.logs.String(), secret) {
			t.Error("SEC-04: a secret is listed or logged")
		}
	}
	now = now.Add(time.Hour)
	if got := h.do(http.MethodGet, "/ssf/streams", old.AccessToken, ""); got.status != http.StatusUnauthorized {
		t.Errorf("afterwards: got %d, want 401", got.status)
	}
	for member, body := range map[string]string{
		"keep_seconds": `{"keep_seconds":2592001}`, "jwks_uri": `{"jwks_uri":"https://10.0.0.1/"}`, "jwks": `{"jwks":{"keys":[]}}`,
	} {
		if got := rotate(body); got.status != http.StatusBadRequest || got.member("member") != member {
			t.Errorf("%s: got %d %s, want %s refused", body, got.status, got.body, member)
		}
	}
	if got := operator.do(http.MethodPost, "/admin/clients/nobody/rotate", "", `{}`); got.status != http.StatusNotFound {
		t.Errorf("unknown: got %d, want 404", got.status)
	}
}
