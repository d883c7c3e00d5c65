package acmecert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
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
// what is no certificate of the name is put aside, told, and no fault.
func TestFolder(t *testing.T) {
	ended := made(t, host, time.Now().Add(-time.Minute))
	other := made(t, host, time.Now().Add(time.Hour))
	swapped := append(append([]byte{}, ended[:strings.Index(string(ended), "-----BEGIN PRIVATE")]...), other[strings.Index(string(other), "-----BEGIN PRIVATE"):]...)
	sealed := pem.EncodeToMemory(&pem.Block{Type: "TOCSIN SEALED PRIVATE KEY", Bytes: []byte("tocsin-sealed:1:" + strings.Repeat("A", 300))})
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
		{"a sealed key that was changed", sealed, false},
		{"too long", make([]byte, 2<<20), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, host+".pem")
			left := filepath.Join(dir, "."+host+".pem.new") // of a process that was killed
			for _, one := range []string{path, left} {
				if err := os.WriteFile(one, tt.file, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var said log
			m, err := acmecert.New(acmecert.Config{
				Domains: []string{host}, Dir: dir, Vault: newVault(t), Client: guard.NewClient(guard.Policy{}),
				Logger: slog.New(slog.NewTextHandler(&said, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{host, ""} {
				if cert, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); (cert != nil) != tt.want || err != nil {
					t.Errorf("%q: got %v (%v), want one: %v", name, cert, err, tt.want)
				}
			}
			if !tt.want {
				path += ".damaged"
			}
			if text, err := os.ReadFile(path); err != nil || tt.want && strings.Contains(string(text), "BEGIN PRIVATE KEY") {
				t.Errorf("got %s (%v), want a sealed key", text, err)
			}
			if told := strings.Contains(said.String(), "DAMAGED"); told == tt.want {
				t.Errorf("got %q, want damage told: %v", said.String(), !tt.want)
			}
			if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what a killed process has left: got %v, want it gone", err)
			}
		})
	}
}

// A damaged key of the account is put aside: a server that has a good certificate starts.
func TestDamagedAccount(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "account.key")
	if err := os.WriteFile(path, []byte("-----BEGIN PRIV"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said log
	for range 2 {
		if _, err := acmecert.New(acmecert.Config{
			Domains: []string{host}, Dir: dir, Client: guard.NewClient(guard.Policy{}), Logger: slog.New(slog.NewTextHandler(&said, nil)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(said.String(), "DAMAGED"); got != 1 {
		t.Errorf("got it told %d times, want once\n%s", got, said.String())
	}
	if text, err := os.ReadFile(path + ".damaged"); err != nil || string(text) != "-----BEGIN PRIV" {
		t.Errorf("got %q (%v), want it put aside", text, err)
	}
}

// A client that names nothing gets a certificate although another name has none yet, which
// the metric tells of.
func TestOneNameOfTwo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, host+".pem"), made(t, host, time.Now().Add(time.Hour)), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := acmecert.New(acmecert.Config{Domains: []string{host, "b.example.com"}, Dir: dir, Client: guard.NewClient(guard.Policy{})})
	if err != nil {
		t.Fatal(err)
	}
	if cert, err := m.GetCertificate(&tls.ClientHelloInfo{}); cert == nil || err != nil {
		t.Errorf("got %v (%v), want the certificate that there is", cert, err)
	}
	if cert := m.First(); cert != nil {
		t.Errorf("got %v, want none while one is missing", cert)
	}
}
