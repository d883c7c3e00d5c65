package receive_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
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

// What explain says is what is done: issuers are read with their own tolerances and
// adapter, and what they are not trusted for reaches no hook. So says the file alone.
func TestExplainAsReal(t *testing.T) {
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"k","alg":"RS256","e":"AQAB","n":%q}]}`, base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
	keys := filepath.Join(dir, "keys.json")
	if err := os.WriteFile(keys, public, 0o600); err != nil {
		t.Fatal(err)
	}
	const issuer, aud = "https://idp.example", "https://rp.example"
	cfg, err := receive.Config{
		Data: filepath.Join(dir, "data"),
		Issuers: []receive.Issuer{
			{Name: "apple", Profile: "apple-sign-in", Audience: []string{"com.example.app"}, KeyFile: keys},
			{Name: "idp", Issuer: issuer, Audience: []string{aud}, KeyFile: keys, Events: []string{"session-revoked"}, SubjectIssuers: []string{issuer}},
		},
	}.Complete(receive.Flags)
	if err != nil {
		t.Fatal(err)
	}
	d, err := receive.Open(t.Context(), cfg, receive.Options{Address: aud, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	now := time.Now().Unix()
	set := func(subject, events string) string {
		return sign(t, key, `{"alg":"RS256","kid":"k","typ":"secevent+jwt"}`, fmt.Sprintf(
			`{"iss":%q,"aud":%q,"iat":%d,"jti":"1",%s"events":{%s}}`, issuer, aud, now, subject, events))
	}
	event := func(name, payload string) string {
		return `"https://schemas.openid.net/secevent/` + name + `":` + payload
	}
	who := func(iss string) string { return fmt.Sprintf(`"sub_id":{"format":"iss_sub","iss":%q,"sub":"1"},`, iss) }
	revoked, purged := event("caep/event-type/session-revoked", `{}`), event("risc/event-type/account-purged", `{}`)
	apple := sign(t, key, `{"alg":"RS256","kid":"k"}`, fmt.Sprintf(
		`{"iss":"https://appleid.apple.com","aud":"com.example.app","iat":%d,"jti":"1","events":"{\"type\":\"account-delete\",\"sub\":\"1\"}"}`, now))
	for name, c := range map[string]struct{ compact, issuer, want, not string }{
		"trusted":           {set(who(issuer), revoked), "idp", "(rule session-revoked)", "left"},
		"Apple's JWS":       {apple, "apple", "(rule account-purged)", "left"},
		"Apple's body":      {`{"payload":"` + apple + `"}`, "apple", "(rule account-purged)", "left"},
		"another type":      {set(who(issuer), purged), "idp", "left: the issuer is not trusted for account-purged", "(rule "},
		"another type, too": {set(who(issuer), purged+","+revoked), "idp", "(rule session-revoked)", "(rule account-purged)"},
		"another's subject": {set(who("https://else.example"), revoked), "idp", "left: the issuer is not trusted for the subject's issuer", "(rule "},
		"not tolerated": {
			set("", event("caep/event-type/session-revoked", `{"subject":{"format":"email","email":"jo@example.com"}}`)), "idp",
			"refused: invalid_request: sub_id is missing", "(rule ",
		},
	} {
		for how, explain := range map[string]func(context.Context, string, []byte) (receive.Explained, error){
			"daemon": d.Explain,
			"file": func(ctx context.Context, name string, compact []byte) (receive.Explained, error) {
				return receive.Explain(ctx, cfg, name, compact)
			},
		} {
			x, err := explain(t.Context(), "", []byte(c.compact))
			if err != nil {
				t.Errorf("%s, %s: %v", name, how, err)
				continue
			}
			var b bytes.Buffer
			if _, err := x.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			if got := b.String(); x.Name != c.issuer || !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
				t.Errorf("%s, %s: got %s: %s, want of %s %q and no %q", name, how, x.Name, got, c.issuer, c.want, c.not)
			}
		}
	}
	// The endpoint takes Apple's body, too.
	w := httptest.NewRecorder()
	d.SocketHandler(nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/admin/explain", strings.NewReader(`{"payload":"`+apple+`"}`)))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"verified":true`) {
		t.Errorf("got %d %s, want it explained", w.Code, w.Body)
	}
}
