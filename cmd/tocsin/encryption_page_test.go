package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// The commands of docs/encryption.md run as they stand, with a SET that a server encrypted,
// and its settings are those of a receiver.
func TestEncryptionPage(t *testing.T) {
	needCurl(t)
	raw, err := os.ReadFile(filepath.Join(root, "docs/encryption.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	w := &walk{dir: t.TempDir(), port: freePort(t)}
	bin := filepath.Join(w.dir, "bin")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.Symlink(proctest.Binary(t), filepath.Join(bin, "tocsin"))); err != nil {
		t.Fatal(err)
	}
	blocks := func(kind string) (all []string) {
		parts := strings.Split(page, "```")
		for i := 1; i < len(parts); i += 2 {
			if code, ok := strings.CutPrefix(parts[i], kind+"\n"); ok {
				all = append(all, code)
			}
		}
		return all
	}
	code, settings := blocks("sh"), blocks("yaml")
	_, section, _ := strings.Cut(page, "## Another key")
	section, _, _ = strings.Cut(section, "## ")
	var another []string
	for _, found := range regexp.MustCompile("`(tocsin (?:key|stream) [^`]+)`").FindAllStringSubmatch(section, -1) {
		another = append(another, found[1])
	}
	if len(code) != 2 || len(settings) != 1 || len(another) != 2 {
		t.Fatalf("got %d blocks, %d of settings and %q, want 2, 1 and 2 commands", len(code), len(settings), another)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "receive.yaml"), []byte(settings[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	ours := strings.NewReplacer( // the SET is of this server
		"set verify --decryption-key shop-2027.jwk --issuer https://ssf.example --audience https://shop.example",
		"set verify --decryption-key shop-2027.jwk --issuer https://127.0.0.1:8443 --ca tocsin-data/ca.pem --audience https://acme.example")
	out := w.run(t, strings.ReplaceAll(before+code[0]+between+strings.Join(another, "\n")+"\n"+ours.Replace(code[1]), "STREAM_ID", "$STREAM"))
	for _, want := range []string{`"encryption": null`, `"verified": true`, `"verified": false`, `"encrypted_to"`, `"email": "jo@example.com"`} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %s in\n%s", want, out)
		}
	}
	if last := out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]; strings.Count(last, ".") != 4 { // set sign
		t.Errorf("got %s, want an encrypted SET", last)
	}
}

const (
	// before makes what the page speaks of.
	before = `PATH=$PWD/bin:$PATH
tocsin application add --id acme --audience https://acme.example >/dev/null
TOKEN=$(tocsin client add --id acme --application acme --scope "ssf.manage ssf.read events.write" --static | sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')
api() { curl -sS --fail-with-body --cacert tocsin-data/ca.pem -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" "$@"; }
api https://127.0.0.1:8443/ssf/streams -d '{"events_requested":["https://schemas.openid.net/secevent/caep/event-type/session-revoked"],"delivery":{"method":"urn:ietf:rfc:8936"}}' >stream.json
STREAM=$(sed -n 's/.*"stream_id":"\([^"]*\)".*/\1/p' stream.json)
POLL=$(sed -n 's/.*"endpoint_url":"\([^"]*\)".*/\1/p' stream.json)
`
	// between gets a SET from the server that is encrypted to the page's first key.
	between = `
tocsin stream encrypt $STREAM --encrypt-to shop-2027.jwks >/dev/null
tocsin event emit --type session.revoked --subject '{"format":"email","email":"jo@example.com"}' >/dev/null
api "$POLL" -d '{}' | sed -n 's/.*"\([A-Za-z0-9_-]*\.[^"]*\)".*/\1/p' >token.jwt
tocsin key make-decryption shop-2026.jwk >/dev/null
tocsin key make key.jwk >/dev/null
printf x >token; chmod 600 token
tocsin receive check --config receive.yaml >/dev/null
`
)
