package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// The commands of docs/tokens.md run as they stand: by secret, key and certificate, rotated,
// revoked, and as the tokens of another issuer.
func TestTokensPage(t *testing.T) {
	needCurl(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatalf("got no openssl, want it (.ci/needs): %v", err)
	}
	raw, err := os.ReadFile(filepath.Join(root, "docs/tokens.md"))
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{dir: t.TempDir(), port: freePort(t)}
	bin := filepath.Join(w.dir, "bin")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.Symlink(proctest.Binary(t), filepath.Join(bin, "tocsin"))); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	script := "PATH=$PWD/bin:$PATH\n"
	parts := strings.Split(string(raw), "```")
	blocks := 0
	for i := 1; i < len(parts); i += 2 {
		if code, ok := strings.CutPrefix(parts[i], "sh\n"); ok {
			blocks++
			script += code
		}
	}
	out := w.run(t, strings.NewReplacer("8445", freePort(t), "8446", freePort(t)).Replace(script))
	for _, want := range []string{
		"[]", "keys, 0 days old", "secret, 0 days old, the one before until ",
		"certificate (tls_client_auth), 0 days old", "certificate (self_signed_tls_client_auth), 0 days old", "invalid_token", `"authorization_servers":["https://127.0.0.1:` + w.port + `"]`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %s in\n%s", want, out)
		}
	}
	if blocks < 6 || strings.Count(out, "[]") != 4 {
		t.Errorf("got %d blocks and\n%s, want all, and streams listed at all three", blocks, out)
	}
	token, err := os.ReadFile(filepath.Join(w.dir, "by-key.json"))
	if err != nil || !strings.Contains(string(token), `"access_token":"`) {
		t.Errorf("by a key: got %s (%v), want a token", token, err)
	}
}
