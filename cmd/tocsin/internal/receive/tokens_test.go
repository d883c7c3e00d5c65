package receive_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// The keys of tokens come from a server that is not public only if its address is allowed
// by name, and with an authority of its own.
func TestTokensOfPrivateIssuer(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	idp := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.NewKeySet(key.Public()))
	}))
	defer idp.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp.Certificate().Raw})))
	signer, err := jose.NewSigner(key, "at+jwt")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": idp.URL, "sub": "jo", "aud": "app", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := func(settings string) (http.Handler, error) {
		cfg, err := receive.Read(write("receive.yaml", `
listen: 127.0.0.1:0
public_url: https://rp.example
issuers: [{name: kc, issuer: "https://kc.example", audience: "https://rp.example"}]
gate:
  fail: closed
`+settings), nil, nil)
		if err != nil {
			return nil, err
		}
		return receive.NewCheck(cfg)
	}
	tokens := `  check: {listen: "127.0.0.1:0", tokens: {issuers: [{issuer: "` + idp.URL + `", jwks_url: "` + idp.URL + `/keys"}], audiences: [app]}}
`
	for settings, want := range map[string]int{
		tokens:                              503,
		tokens + "  allow: [127.0.0.0/8]\n": 503,
		tokens + "  ca: ca.pem\n":           503,
		tokens + "  allow: [127.0.0.0/8]\n  ca: ca.pem\n": 200,
	} {
		h, err := endpoint(settings)
		if err != nil {
			t.Fatalf("%s: %v", settings, err)
		}
		r, w := httptest.NewRequest(http.MethodGet, "/check", nil), httptest.NewRecorder()
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Authorization", "Bearer "+token)
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: got %d, want %d", settings, w.Code, want)
		}
	}
	for settings, want := range map[string]string{"  allow: [127.0.0.0/8]\n": "check.tokens", tokens + "  ca: none.pem\n": "none.pem", tokens + "  allow: [here]\n": "allow"} {
		if _, err := endpoint(settings); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", settings, err, want)
		}
	}
}
