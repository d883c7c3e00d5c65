package config_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
)

// What does not go together is refused, by the setting that it is about.
func TestCheckACME(t *testing.T) {
	const name = "ssf.example.com"
	good := config.ACMESettings{ACMEDomain: []string{"SSF.example.com"}, ACMEAcceptTerms: true}
	beside := config.Beside{URL: "https://" + name + ":8443/a", URLKey: "issuer"}
	for want, change := range map[string]func(*config.ACMESettings, *config.Beside){
		"":                           func(*config.ACMESettings, *config.Beside) {},
		"acme_domain it is missing":  func(a *config.ACMESettings, _ *config.Beside) { a.ACMEDomain = nil },
		"acme_domain \"10.0.0.1\"":   func(a *config.ACMESettings, _ *config.Beside) { a.ACMEDomain = append(a.ACMEDomain, "10.0.0.1") },
		"acme_domain tls_cert":       func(_ *config.ACMESettings, b *config.Beside) { b.TLSCert = "c.pem" },
		"acme_domain with insecure":  func(_ *config.ACMESettings, b *config.Beside) { b.InsecureLoopback = true },
		"acme_domain several nodes":  func(_ *config.ACMESettings, b *config.Beside) { b.Redis = true },
		"acme_domain it does not":    func(_ *config.ACMESettings, b *config.Beside) { b.URL = "https://other.example.com" },
		"issuer it is missing":       func(_ *config.ACMESettings, b *config.Beside) { b.URL = "" },
		"acme_accept_terms it is":    func(a *config.ACMESettings, _ *config.Beside) { a.ACMEAcceptTerms = false },
		"acme_directory \"http://a":  func(a *config.ACMESettings, _ *config.Beside) { a.ACMEDirectory = "http://a.example/dir" },
		"acme_email \"root\"":        func(a *config.ACMESettings, _ *config.Beside) { a.ACMEEmail = "root" },
		"acme_eab_kid acme_eab_kid":  func(a *config.ACMESettings, _ *config.Beside) { a.ACMEEABKid = "k" },
		"acme_eab_key name the file": func(a *config.ACMESettings, _ *config.Beside) { a.ACMEEABKid, a.ACMEEABKey = "k", "c2VjcmV0" },
	} {
		a, b := good, beside
		a.ACMEDomain = append([]string{}, good.ACMEDomain...)
		change(&a, &b)
		key, err := a.CheckACME(b)
		got := key
		if err != nil {
			got += " " + err.Error()
		}
		if !strings.HasPrefix(got, want) || (want == "") != (err == nil) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if key, err := (config.ACMESettings{}).CheckACME(config.Beside{TLSCert: "c.pem", Redis: true}); err != nil {
		t.Errorf("nothing said: got %s %v, want no fault", key, err)
	}
}

func TestBinding(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for text, want := range map[string]string{
		base64.RawURLEncoding.EncodeToString([]byte("a\xffb?key")) + "\n": "a\xffb?key",
		base64.URLEncoding.EncodeToString([]byte("abcd")):                 "abcd",
		"%": "", "": "", strings.Repeat("a", 5000): "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.ACMESettings{ACMEEABKid: "kid", ACMEEABKey: "@" + path}.Binding()
		if (err == nil) != (want != "") || err == nil && (got.KID != "kid" || string(got.Key) != want) {
			t.Errorf("%.20q: got %v (%v), want %q", text, got, err, want)
		}
	}
	if got, err := (config.ACMESettings{}).Binding(); got != nil || err != nil {
		t.Errorf("none: got %v (%v)", got, err)
	}
}
