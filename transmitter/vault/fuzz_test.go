package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// heldKey is a store of one data key.
type heldKey []byte

func (h *heldKey) Header(context.Context) ([]byte, error) { return *h, nil }

func (h *heldKey) Replace(_ context.Context, _, to []byte) error {
	*h = to
	return nil
}

// Whatever stands where the data key is kept, a vault opens nothing with it but what was
// sealed by its secret; a strange cost of the passphrase's hash stops nobody's machine.
func FuzzOpen(f *testing.F) {
	secret, err := vault.Key(bytes.Repeat([]byte{7}, vault.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	phrase, err := vault.Passphrase([]byte("a passphrase of ours"))
	if err != nil {
		f.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	var good heldKey
	v, err := vault.Open(context.Background(), vault.Config{Store: &good, Secret: &secret, Logger: quiet})
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := v.Seal("n", []byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(good), sealed, "n")
	f.Add([]byte(`{"by":"argon2id","time":0,"memory_kib":0,"threads":0,"salt":"AAAA","box":"tocsin-sealed:1:AAAA"}`), []byte("value"), "n")
	f.Add([]byte(`{"by":"argon2id","time":4294967295,"memory_kib":4294967295,"threads":255,"salt":"","box":"tocsin-sealed:1:"}`), []byte("tocsin-sealed:1:!"), "")
	f.Add([]byte(`{"by":"key"}`), []byte("tocsin-sealed:1:"), "m")
	f.Fuzz(func(t *testing.T, header, stored []byte, name string) {
		if value, err := v.Open(name, stored); err == nil && vault.Sealed(stored) && (name != "n" || string(value) != "value") || err != nil && (value != nil || !errors.Is(err, vault.ErrDamaged)) {
			t.Fatalf("%q of %q: got %q, %v", stored, name, value, err)
		}
		if header == nil {
			return
		}
		var cost struct {
			Time      uint32 `json:"time"`
			MemoryKiB uint32 `json:"memory_kib"`
		}
		_ = json.Unmarshal(header, &cost)
		secrets := []*vault.Secret{&secret, &phrase}
		if cost.Time <= 16 && cost.MemoryKiB > 1<<10 && cost.MemoryKiB <= 1<<20 {
			secrets = secrets[:1] // it may cost as much, and would here
		}
		for _, s := range secrets {
			held := heldKey(bytes.Clone(header))
			opened, err := vault.Open(t.Context(), vault.Config{Store: &held, Secret: s, Logger: quiet})
			if (opened == nil) != (err != nil) || !bytes.Equal(held, header) {
				t.Fatalf("%q: got %v, %v, and then %q stored", header, opened, err, held)
			}
			if err == nil && !bytes.Contains(header, []byte("tocsin-sealed:1:")) {
				t.Fatalf("%q: got it opened", header)
			}
		}
	})
}
