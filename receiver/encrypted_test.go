package receiver_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

func decryption(t testing.TB, keys ...*jose.DecryptionKey) *jose.DecryptionKeys {
	t.Helper()
	set, err := jose.NewDecryptionKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newDecryptionKey(t testing.TB) (*jose.DecryptionKey, *jose.Encrypter) {
	t.Helper()
	key, err := jose.GenerateDecryptionKey(jose.ECDHES, jose.X25519)
	if err != nil {
		t.Fatal(err)
	}
	e, err := jose.NewEncrypter(key.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	return key, e
}

// SET-5.1-01: what came encrypted is kept as the signed SET that it held: the key may be
// gone when hooks run. One that comes again, in whatever form, is the same one.
func TestEncryptedIsKeptReadable(t *testing.T) {
	key, e := newDecryptionKey(t)
	dir := t.TempDir()
	cfg := config(t, dir)
	cfg.Decryption = decryption(t, key)
	r := build(t, cfg)
	signed := sign(t, builder("one"))
	encrypt := func() string {
		sealed, err := e.Encrypt(signed)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	wantAccepted(t, push(r, encrypt()))
	for name, again := range map[string]string{"encrypted": encrypt(), "signed alone": signed} {
		if repeat, err := r.Accept(t.Context(), []byte(again)); err != nil || !repeat {
			t.Errorf("%s again: got %v, %v, want a repeat", name, repeat, err)
		}
	}
	if d, err := r.Examine(t.Context(), []byte(encrypt())); err != nil || d.Token.Compact() != signed {
		t.Errorf("Examine: got %v, %v", d, err)
	}
	if w := push(build(t, func() receiver.Config { c := cfg; c.RequireEncryption = true; return c }()), sign(t, builder("two"))); w.Code != 400 || !strings.Contains(w.Body.String(), "invalid_key") {
		t.Errorf("in clear, and must not be: got %d %s", w.Code, w.Body)
	}
	// The next process has another key.
	other, _ := newDecryptionKey(t)
	cfg.Decryption, cfg.RequireEncryption = decryption(t, other), true
	cfg.Mux = receiver.NewMux()
	got := make(chan receiver.Delivery, 1)
	cfg.Mux.Handle(receiver.OnType(caep.SessionRevokedType, func(_ context.Context, d receiver.Delivery) error {
		got <- d
		return nil
	}))
	next := build(t, cfg)
	running(t, next)
	if d := <-got; d.ID != "one" || d.Token.Compact() != signed {
		t.Errorf("got %s, %s, want the signed SET", d.ID, d.Token.Compact())
	}
	if w := push(next, encrypt()); w.Code != 400 || !strings.Contains(w.Body.String(), "no decryption key of this kid") {
		t.Errorf("to the key that is gone: got %d %s", w.Code, w.Body)
	}
}
