package main_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// A signer without a key, with one that others may read, or with flags that mean nothing
// does not start, and says why.
func TestSignerUsage(t *testing.T) {
	dir := t.TempDir()
	key, open := filepath.Join(dir, "key"), filepath.Join(dir, "open")
	run := func(args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		code := main.Run(t.Context(), args, nil, strings.NewReader(""), &out, &errOut)
		return code, out.String(), errOut.String()
	}
	code, said, failed := run("key", "make", key, "--algorithm", "ES256")
	if public, err := jose.ParsePublicKey([]byte(said)); code != 0 || err != nil || public.Algorithm() != jose.ES256 || strings.Contains(said, `"d"`) {
		t.Fatalf("key make: got %d %s %s (%v), want the public half", code, said, failed, err)
	}
	if code, _, said := run("key", "make", key); code != 1 || !strings.Contains(said, "exists") {
		t.Errorf("key make over another: got %d %s, want an error", code, said)
	}
	raw, err := os.ReadFile(key)
	if err == nil {
		err = os.WriteFile(open, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "--key"},
		{[]string{"--key", open}, 1, "chmod 600"},
		{[]string{"--key", "EdDSA=" + key}, 1, "is for ES256, not for EdDSA"},
		{[]string{"--key", key, "--key", key}, 1, "two keys with the kid"},
		{[]string{"--key", key, "--allow", "no-such-user-here"}, 2, "--allow no-such-user-here"},
		{[]string{"--key", key, "--rate", "-1"}, 2, "--rate"},
		{[]string{"--key", key, "--pkcs11-key", "a"}, 2, "--pkcs11-module"},
		{[]string{"--pkcs11-module", "x", "--pkcs11-token", "y", "--pkcs11-pin-file", key}, 1, "built without PKCS #11"},
		{[]string{"--pkcs11-module", "x"}, 2, "--pkcs11"},
	} {
		code, _, said := run(append([]string{"signer", "--socket", socket}, tt.args...)...)
		if code != tt.code || !strings.Contains(said, tt.want) {
			t.Errorf("%q: got %d %s, want %d and %q", tt.args, code, said, tt.code, tt.want)
		}
	}
	if code, _, said := run("serve", "--signer", "/run/s", "--data", dir); code != 2 || !strings.Contains(said, "unix:") {
		t.Errorf("serve --signer without unix: got %d %s, want wrong usage", code, said)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got a socket (%v), want none", err)
	}
}
