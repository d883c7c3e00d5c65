package receive_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge/edgetest"
)

// What of an issuer's certificate cannot be meant, or cannot be used, is told by its name;
// paths begin in the folder of the configuration, as others do.
func TestIssuerCertificate(t *testing.T) {
	dir := t.TempDir()
	edgetest.Write(t, dir, "one", edgetest.SelfSigned(t, nil))
	edgetest.Write(t, dir, "two", edgetest.SelfSigned(t, nil))
	_, loose := edgetest.Write(t, dir, "loose", edgetest.SelfSigned(t, nil))
	if err := os.Chmod(loose, 0o640); err != nil {
		t.Fatal(err)
	}
	for credentials, want := range map[string]string{
		"client: {id: shop}, certificate_file: one.pem, certificate_key_file: one.key":                 "",
		"client: {id: shop, secret_file: s}, certificate_file: one.pem, certificate_key_file: one.key": "",
		"certificate_file: one.pem, certificate_key_file: one.key":                                     "",
		"client: {id: shop}":                            "client.secret_file: it is missing",
		"client: {id: shop}, certificate_file: one.pem": "certificate_file and certificate_key_file belong together",
		"certificate_key_file: one.key":                 "certificate_file and certificate_key_file belong together",
		"client: {id: shop}, certificate_file: one.pem, certificate_key_file: two.key":     "private key does not match public key",
		"client: {id: shop}, certificate_file: none.pem, certificate_key_file: one.key":    "none.pem: no such file",
		"client: {id: shop}, certificate_file: loose.pem, certificate_key_file: loose.key": "chmod 600",
	} {
		file := filepath.Join(dir, "receive.yaml")
		text := "public_url: https://rp.example\nissuers: [{name: idp, issuer: \"https://idp.example\", audience: https://app.example, delivery: {method: poll}, credentials: {" + credentials + "}}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := receive.Read(file, nil, nil)
		if err == nil {
			_, err = cfg.Issuers[0].HTTPClient(false)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", credentials, err, want)
		}
	}
}
