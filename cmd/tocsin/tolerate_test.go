package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// set verify reads an issuer's departures where they are tolerated by name, and says so
// where a name is none.
func TestSetVerifyTolerate(t *testing.T) {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jose.NewKeySet(key.Public()).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	jwks := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(jwks, public, 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, "JWT")
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signer.Sign([]byte(`{"iss":"https://idp.example/","aud":"https://rp.example/push","iat":1763999940,"jti":"1",` +
		`"events":{"https://schemas.openid.net/secevent/caep/event-type/session-revoked":{"subject":{"format":"opaque","id":"1"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tolerate string
		code     int
		want     string
	}{
		{"issuer_slash,subject_in_event,typ_jwt,aud_is_url_of_push", 0, `"verified"`},
		{"issuer_slash,subject_in_event,typ_jwt", 1, "aud does not name this receiver"},
		{"issuer_slash,subject_in_event,aud_is_url_of_push", 1, "typ must be"},
		{"subject_in_event,typ_jwt,aud_is_url_of_push", 1, "issuer_slash"},
		{"subject_in_events", 2, "--tolerate"},
	} {
		var out, errOut bytes.Buffer
		code := main.Run(t.Context(), []string{
			"set", "verify", "--issuer", "https://idp.example/", "--audience", "https://rp.example",
			"--push-url", "https://rp.example/push", "--jwks", jwks, "--tolerate", c.tolerate, "-",
		}, nil, strings.NewReader(compact), &out, &errOut)
		if code != c.code || !strings.Contains(out.String()+errOut.String(), c.want) {
			t.Errorf("%s: got %d %s%s, want %d and %q", c.tolerate, code, &out, &errOut, c.code, c.want)
		}
	}
}
