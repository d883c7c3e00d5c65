package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
	"github.com/tocsin-ssf/tocsin/transmitter/vault/vaulttest"
)

// kept is a store in memory.
type kept struct{ header []byte }

func (k *kept) Header(context.Context) ([]byte, error) { return k.header, nil }

func (k *kept) Replace(_ context.Context, from, to []byte) error {
	if !bytes.Equal(k.header, from) {
		return vault.ErrChanged
	}
	k.header = to
	return nil
}

func passphrase(t *testing.T, text string) *vault.Secret {
	t.Helper()
	s, err := vault.Passphrase([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func key(t *testing.T, b byte) *vault.Secret {
	t.Helper()
	s, err := vault.Key(bytes.Repeat([]byte{b}, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func open(t *testing.T, s vault.Store, secret *vault.Secret) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.Context(), vault.Config{Store: s, Secret: secret, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seal(t *testing.T, v *vault.Vault, name, value string) []byte {
	t.Helper()
	stored, err := v.Seal(name, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func TestContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) (vault.Store, func() vault.Store) {
		admin, err := auth.Open(t.Context(), filepath.Join(t.TempDir(), "admin.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = admin.Close() })
		again := func() vault.Store { return vault.NewStore(admin.DB()) }
		return again(), again
	})
}

// A value opens under its own name with the secret of its store, and in no other way.
func TestSealed(t *testing.T) {
	for name, secrets := range map[string][2]*vault.Secret{
		"passphrase": {passphrase(t, "correct horse battery"), passphrase(t, "correct horse batterz")},
		"key":        {key(t, 1), key(t, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			store := &kept{}
			stored := seal(t, open(t, store, secrets[0]), "a", "a secret")
			if !vault.Sealed(stored) || bytes.Contains(stored, []byte("a secret")) {
				t.Errorf("got %q, want it sealed", stored)
			}
			v := open(t, store, secrets[0])
			if got, err := v.Open("a", stored); err != nil || string(got) != "a secret" {
				t.Errorf("got %q, %v, want the secret", got, err)
			}
			if _, err := v.Open("b", stored); !errors.Is(err, vault.ErrDamaged) {
				t.Errorf("under another name: got %v, want ErrDamaged", err)
			}
			for i := range stored {
				forged := bytes.Clone(stored)
				forged[i] ^= 1
				if got, err := v.Open("a", forged); err == nil && string(got) != string(forged) {
					t.Fatalf("byte %d changed: got %q, want an error", i, got)
				}
			}
			if bytes.Equal(stored, seal(t, v, "a", "a secret")) {
				t.Error("sealed twice: got the same bytes, want another nonce")
			}
			for _, other := range []*vault.Secret{secrets[1], passphrase(t, "another of this kind"), key(t, 3)} {
				if _, err := vault.Open(t.Context(), vault.Config{Store: store, Secret: other}); !errors.Is(err, vault.ErrWrong) {
					t.Errorf("with another secret: got %v, want ErrWrong", err)
				}
			}
			if _, err := vault.Open(t.Context(), vault.Config{Store: store}); !errors.Is(err, vault.ErrLocked) {
				t.Errorf("without one: got %v, want ErrLocked", err)
			}
			if got, err := open(t, &kept{}, secrets[0]).Open("a", stored); !errors.Is(err, vault.ErrDamaged) {
				t.Errorf("in another store: got %q, %v, want ErrDamaged", got, err)
			}
		})
	}
}

func TestRewrap(t *testing.T) {
	store, old, next := &kept{}, passphrase(t, "correct horse battery"), key(t, 1)
	if err := vault.Rewrap(t.Context(), store, *old, *next); !errors.Is(err, vault.ErrNone) {
		t.Errorf("of nothing: got %v, want ErrNone", err)
	}
	running := open(t, store, old)
	stored := seal(t, running, "a", "before")
	if err := vault.Rewrap(t.Context(), store, *next, *key(t, 2)); !errors.Is(err, vault.ErrWrong) {
		t.Errorf("with the wrong one: got %v, want ErrWrong", err)
	}
	if err := vault.Rewrap(t.Context(), store, *old, *next); err != nil {
		t.Fatal(err)
	}
	// Who did not hear the answer does it again, and is told that it is done.
	sealed := string(store.header)
	if err := vault.Rewrap(t.Context(), store, *old, *next); err != nil || string(store.header) != sealed {
		t.Errorf("again: got %v, want it done already", err)
	}
	if err := vault.Rewrap(t.Context(), store, *old, *key(t, 2)); !errors.Is(err, vault.ErrWrong) {
		t.Errorf("to a third one from the first: got %v, want ErrWrong", err)
	}
	if _, err := vault.Open(t.Context(), vault.Config{Store: store, Secret: old}); !errors.Is(err, vault.ErrWrong) {
		t.Errorf("the one before: got %v, want ErrWrong", err)
	}
	for _, value := range [][]byte{stored, seal(t, running, "a", "before")} {
		if got, err := open(t, store, next).Open("a", value); err != nil || string(got) != "before" {
			t.Errorf("got %q, %v, want what was sealed before and meanwhile", got, err)
		}
	}
}

// Without a secret all stays as it is; locked nothing is sealed in clear by mistake.
func TestNilAndLocked(t *testing.T) {
	if v := open(t, &kept{}, nil); v != nil || v.Seals() || v.Opens() {
		t.Errorf("got %v, want the nil vault", v)
	}
	var none *vault.Vault
	if got := seal(t, none, "a", "x"); string(got) != "x" {
		t.Errorf("got %q, want it as it is", got)
	}
	store := &kept{}
	stored := seal(t, open(t, store, key(t, 1)), "a", "x")
	locked, err := vault.Open(t.Context(), vault.Config{Store: store, Locked: true})
	if err != nil || locked.Opens() || !locked.Seals() {
		t.Fatalf("got %v (%v), want a locked one", locked, err)
	}
	_, err = locked.Seal("a", []byte("x"))
	_, err1 := locked.Open("a", stored)
	_, err2 := none.Open("a", stored)
	for _, err := range []error{err, err1, err2} {
		if !errors.Is(err, vault.ErrLocked) {
			t.Errorf("got %v, want ErrLocked", err)
		}
	}
	if got, err := locked.Open("a", []byte("in clear")); err != nil || string(got) != "in clear" {
		t.Errorf("got %q, %v, want it as it is", got, err)
	}
}

// What a stranger stored makes no work, and secrets do not print.
func TestBounds(t *testing.T) {
	for _, header := range []string{
		`{"by":"argon2id","time":4000000,"memory_kib":65536,"threads":4,"salt":"AAAA","box":"tocsin-sealed:1:AAAA"}`,
		`{"by":"argon2id","time":3,"memory_kib":4000000000,"threads":4,"salt":"AAAA","box":"tocsin-sealed:1:AAAA"}`,
		`{"by":"argon2id","time":3,"memory_kib":65536,"threads":0,"box":"tocsin-sealed:1:AAAA"}`,
		`{"by":"rot13","box":"tocsin-sealed:1:AAAA"}`, `{}`, `x`, strings.Repeat(" ", 5000) + "{}",
	} {
		if _, err := vault.Open(t.Context(), vault.Config{Store: &kept{[]byte(header)}, Secret: passphrase(t, "correct horse battery")}); err == nil {
			t.Errorf("%.60s: got no error, want one", header)
		}
	}
	for _, text := range []string{"short", strings.Repeat("x", vault.MaxPassphrase+1)} {
		if _, err := vault.Passphrase([]byte(text)); err == nil {
			t.Errorf("a passphrase of %d: got no error, want one", len(text))
		}
	}
	if _, err := vault.Key(make([]byte, 31)); err == nil {
		t.Error("a key of 31 bytes: got no error, want one")
	}
	s := passphrase(t, "correct horse battery")
	var lines bytes.Buffer
	slog.New(slog.NewTextHandler(&lines, nil)).Info("x", "s", s, "v", open(t, &kept{}, s))
	if out := fmt.Sprintf("%v %+v %#v %s %v", s, *s, *s, &lines, open(t, &kept{}, key(t, 65))); strings.Contains(out, "horse") || strings.Contains(out, "AAA") || strings.Contains(out, "65") {
		t.Errorf("got %s, want nothing of the secret", out)
	}
}
