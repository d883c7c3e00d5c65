package keyfile_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/keyfile"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

func secret(t *testing.T, fill string) *vault.Secret {
	t.Helper()
	s, err := vault.Key([]byte(strings.Repeat(fill, vault.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

// A key is read as it was written, encrypted or not; without its secret, or with another,
// it is not, and the file shows nothing of it.
func TestWriteAndRead(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.MarshalPrivateJWK()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	clear, hidden := filepath.Join(dir, "clear"), filepath.Join(dir, "hidden")
	if err := keyfile.Write(t.Context(), clear, key, nil); err != nil {
		t.Fatal(err)
	}
	if err := keyfile.Write(t.Context(), hidden, key, secret(t, "a")); err != nil {
		t.Fatal(err)
	}
	if err := keyfile.Write(t.Context(), clear, key, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: got %v, want an error", err)
	}
	if raw, err := os.ReadFile(hidden); err != nil || bytes.Contains(raw, private[:40]) || bytes.Contains(raw, []byte(`"d"`)) {
		t.Errorf("got %s (%v), want nothing of the key", raw, err)
	}
	for _, tt := range []struct {
		path   string
		secret *vault.Secret
		alg    jose.Algorithm
		want   string // of the error; "": none
	}{
		{clear, nil, "", ""},
		{clear, secret(t, "a"), jose.ES256, ""},
		{clear, nil, jose.EdDSA, "is for ES256, not for EdDSA"},
		{hidden, secret(t, "a"), "", ""},
		{hidden, secret(t, "b"), "", "another passphrase or key"},
		{hidden, nil, "", "--key-file"},
	} {
		got, err := keyfile.Read(t.Context(), tt.path, tt.alg, tt.secret)
		if tt.want == "" && (err != nil || got.ID() != key.ID()) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v (%v), want the key or %q", filepath.Base(tt.path), got, err, tt.want)
		}
	}
}

// PEM is read too, for another algorithm of its type where one is named; what others may
// read, or is no key, or no file, is refused.
func TestRead(t *testing.T) {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.Raw())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := keyfile.Read(t.Context(), path, jose.PS256, nil); err != nil || got.Algorithm() != jose.PS256 {
		t.Errorf("got %v (%v), want a key for PS256", got, err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Read(t.Context(), path, "", nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %#o: got %v, want it refused", mode, err)
		}
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "is no file", large: "larger than", filepath.Join(dir, "none"): "no such file"} {
		if _, err := keyfile.Read(t.Context(), path, "", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}
