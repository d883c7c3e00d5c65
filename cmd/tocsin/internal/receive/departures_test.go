package receive_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// Issuers that send otherwise, by the name of their profile alone: notifications of Sign
// in with Apple beside SETs of login.gov, which name no key and our push endpoint.
func TestDepartures(t *testing.T) {
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"k","alg":"RS256","e":"AQAB","n":%q}]}`,
		base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
	keys := filepath.Join(dir, "keys.json")
	if err := os.WriteFile(keys, public, 0o600); err != nil {
		t.Fatal(err)
	}
	const address = "https://rp.example"
	cfg, err := receive.Config{
		Data: filepath.Join(dir, "data"),
		Issuers: []receive.Issuer{
			{Name: "apple", Profile: "apple-sign-in", Audience: []string{"com.example.app"}, KeyFile: keys},
			{Name: "gov", Profile: "login.gov", Issuer: "https://secure.login.gov/", Audience: []string{address + "/push/gov"}, KeyFile: keys},
		},
	}.Complete(receive.Flags)
	if err != nil {
		t.Fatal(err)
	}
	d, err := receive.Open(t.Context(), cfg, receive.Options{Address: address, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	push := func(path, media, body string) (int, string) {
		req := httptest.NewRequest(http.MethodPost, address+path, strings.NewReader(body))
		req.Header.Set("Content-Type", media)
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	now := time.Now().Unix()
	apple := sign(t, key, `{"alg":"RS256","kid":"k"}`, fmt.Sprintf(
		`{"iss":"https://appleid.apple.com","aud":"com.example.app","iat":%d,"jti":"1","events":"{\"type\":\"account-delete\",\"sub\":\"1\"}"}`, now))
	gov := sign(t, key, `{"alg":"RS256","typ":"secevent+jwt"}`, fmt.Sprintf(
		`{"iss":"https://secure.login.gov/","aud":%q,"iat":%d,"exp":%d,"jti":"1","events":{"https://schemas.openid.net/secevent/risc/event-type/account-purged":`+
			`{"subject":{"subject_type":"iss-sub","iss":"https://secure.login.gov/","sub":"1"}}}}`, address+"/push/gov", now, now+43200))
	for _, c := range []struct {
		path, media, body string
		want              int
	}{
		{"/push/apple", "application/json", `{"payload":"` + apple + `"}`, http.StatusOK},
		{"/push/gov", "application/secevent+jwt", gov, http.StatusAccepted},
		{"/push/apple", "application/secevent+jwt", gov, http.StatusUnsupportedMediaType},
		{"/push/gov", "application/secevent+jwt", apple, http.StatusBadRequest},
	} {
		if code, body := push(c.path, c.media, c.body); code != c.want {
			t.Errorf("%s: got %d %s, want %d", c.path, code, body, c.want)
		}
	}
}

// sign makes a compact JWS with any header.
func sign(t *testing.T, key *rsa.PrivateKey, header, claims string) string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	input := enc([]byte(header)) + "." + enc([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + enc(signature)
}
