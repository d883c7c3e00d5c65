package main_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
)

// A certificate that is renewed in its files is served without a restart; half of a
// pair, or nothing, leaves the one before in force.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	at := time.Now().Add(-time.Hour)
	write := func(both bool) []byte {
		t.Helper()
		pair, _, err := localca.Certificate(dir, []string{"localhost"})
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})}
		if both {
			files[key] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		}
		at = at.Add(time.Minute)
		for name, text := range files {
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, at, at); err != nil {
				t.Fatal(err)
			}
		}
		return pair.Certificate[0]
	}
	first := write(true)
	get, look, err := main.CertFiles(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	want := func(step string, der []byte) {
		t.Helper()
		look()
		got, err := get()
		if err != nil || !bytes.Equal(got.Certificate[0], der) {
			t.Errorf("%s: got another certificate (%v), want the one in force", step, err)
		}
	}
	want("at first", first)
	write(false)
	want("half of a pair", first)
	second := write(true)
	want("renewed", second)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	want("a file is gone", second)
	if _, _, err := main.CertFiles(cert, key); err == nil {
		t.Error("a start without a key: got no error")
	}
}
