package acmecert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acmecert"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// made is a file with a certificate of name and its key, in clear, that ends at end.
func made(t *testing.T, name string, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: end.Add(-time.Hour), NotAfter: end}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}

// A start serves what is in the folder, one that has ended too, and seals what is in clear;
// what is no certificate of the name is none, and no fault.
func TestFolder(t *testing.T) {
	ended := made(t, host, time.Now().Add(-time.Minute))
	other := made(t, host, time.Now().Add(time.Hour))
	swapped := append(append([]byte{}, ended[:strings.Index(string(ended), "-----BEGIN PRIVATE")]...), other[strings.Index(string(other), "-----BEGIN PRIVATE"):]...)
	for _, tt := range []struct {
		name string
		file []byte
		want bool
	}{
		{"ended", ended, true},
		{"good", other, true},
		{"another name", made(t, "other.example.com", time.Now().Add(time.Hour)), false},
		{"another key", swapped, false},
		{"half", ended[:len(ended)/2], false},
		{"empty", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, host+".pem")
			if err := os.WriteFile(path, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := acmecert.New(acmecert.Config{Domains: []string{host}, Dir: dir, Vault: newVault(t), Client: guard.NewClient(guard.Policy{})})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{host, ""} {
				if cert, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); (cert != nil) != tt.want || err != nil {
					t.Errorf("%q: got %v (%v), want one: %v", name, cert, err, tt.want)
				}
			}
			if text, err := os.ReadFile(path); err != nil || tt.want && strings.Contains(string(text), "BEGIN PRIVATE KEY") {
				t.Errorf("got %s (%v), want a sealed key", text, err)
			}
		})
	}
}
