package auth_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// RFC 8725 §3.11: what is good when it is signed is nothing when it is encrypted, although
// SETs may be: neither an access token nor a client's assertion.
func TestEncryptedIsNoCredential(t *testing.T) {
	d := newDesk(t, nil)
	key := keyOf(t, jose.ES256)
	given := d.client(t, auth.Client{ID: "secret", Scopes: []auth.Scope{"ssf.read"}})
	d.client(t, auth.Client{ID: "key", Scopes: []auth.Scope{"ssf.read"}, JWKS: jwks(t, key.Public())})
	token := d.token(t, given, "ssf.read")
	assertion := d.forge(t, key, "JWT", map[string]any{"iss": "key", "sub": "key", "aud": issuer, "exp": d.now.Load() + 60, "jti": "1"}, nil)
	// Keys that sign encrypt, too, if somebody says so.
	var member map[string]any
	raw, err := json.Marshal(key.Public())
	if err == nil {
		err = json.Unmarshal(raw, &member)
	}
	if err != nil {
		t.Fatal(err)
	}
	delete(member, "alg")
	member["use"] = "enc"
	if raw, err = json.Marshal(member); err != nil {
		t.Fatal(err)
	}
	to, err := jose.ParseEncryptionKey(raw, "", jose.ECDHES)
	if err != nil {
		t.Fatal(err)
	}
	e, err := jose.NewEncrypter(to, "")
	if err != nil {
		t.Fatal(err)
	}
	encrypted := func(compact string) string {
		t.Helper()
		sealed, err := e.Encrypt(compact)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	if _, err := d.ask(t, encrypted(token)); refusal(t, err).Code != "invalid_token" {
		t.Errorf("an access token: got %v, want invalid_token", err)
	}
	if _, err := d.ask(t, token); err != nil {
		t.Errorf("the token itself: got %v", err)
	}
	if got := post(d.TokenHandler(), "/oauth/token", asserting(encrypted(assertion))); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("an assertion: got %d, want 401", got.StatusCode)
	}
	if got := post(d.TokenHandler(), "/oauth/token", asserting(assertion)); got.StatusCode != http.StatusOK {
		t.Errorf("the assertion itself: got %d", got.StatusCode)
	}
}
