package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// documented are the variables that the pages of docs/receivers tell to set.
func documented() []string {
	return []string{
		"IDME_JWKS_URL=https://keys.example/idme", "IDME_AUDIENCE=https://example.com", "IDME_TLS_CERT=cert.pem", "IDME_TLS_KEY=key.pem",
		"OKTA_ISSUER=https://acme.okta.com", "OKTA_AUDIENCE=https://signals.example.com", "APPLE_CLIENT_ID=com.example.app", "TLS_CERT=cert.pem", "TLS_KEY=key.pem",
		"KEYCLOAK_ISSUER=https://kc.example/realms/shop", "KEYCLOAK_AUDIENCE=https://shop.example", "KEYCLOAK_CLIENT=shop", "KEYCLOAK_SECRET=secret",
		"GOOGLE_CLIENT_ID=123.apps.googleusercontent.com", "GOOGLE_TLS_CERT=cert.pem", "GOOGLE_TLS_KEY=key.pem",
	}
}

// Every configuration that is documented is one that the daemon takes.
func TestDocumentedReceivers(t *testing.T) {
	for file, issuer := range map[string]string{"idme.yaml": "idme", "google.yaml": "google", "okta.yaml": "okta", "apple.yaml": "apple", "keycloak.yaml": "keycloak"} {
		path := filepath.Join(root, "docs/receivers", file)
		var out, errOut bytes.Buffer
		code := main.Run(t.Context(), []string{"receive", "check", "--json", "--config", path}, documented(), strings.NewReader(""), &out, &errOut)
		var found receive.Checked
		if code != 0 || json.Unmarshal(out.Bytes(), &found) != nil || len(found.Issuers) != 1 || found.Issuers[0] != issuer || found.Failed() != 0 {
			t.Errorf("%s: got exit code %d, %s%s, want the issuer %s", file, code, &out, &errOut, issuer)
		}
		out.Reset()
		errOut.Reset()
		if code := main.Run(t.Context(), []string{"receive", "check", "--config", path}, nil, strings.NewReader(""), &out, &errOut); code != 2 || !strings.Contains(errOut.String(), "is not set") {
			t.Errorf("%s without its variables: got exit code %d and %s, want 2 and what is not set", file, code, &errOut)
		}
		of := strings.TrimSuffix(path, ".yaml") + ".md"
		if _, err := os.Stat(of); err != nil {
			of = filepath.Join(root, "docs/guides/receive.md")
		}
		page, err := os.ReadFile(of)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\$\{([A-Z_]+)\}`).FindAllStringSubmatch(string(raw), -1) {
			if !strings.Contains(string(page), name[1]) && name[1] != "SHOP_DSN" {
				t.Errorf("%s: got %s in the file, want it on its page", file, name[1])
			}
		}
	}
}

// The whole file in docs/receiving.md is one that the daemon takes.
func TestDocumentedConfiguration(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/receiving.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\nlisten:")
	text, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("got no block of YAML that begins with listen, want one")
	}
	path := filepath.Join(t.TempDir(), "receive.yaml")
	if err := os.WriteFile(path, []byte("listen:"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if code := main.Run(t.Context(), []string{"receive", "check", "--config", path}, nil, strings.NewReader(""), &out, &errOut); code != 0 {
		t.Errorf("got exit code %d and %s, want 0", code, &errOut)
	}
}
