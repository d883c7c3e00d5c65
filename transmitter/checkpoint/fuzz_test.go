package checkpoint_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
)

// No text is a checkpoint but what the key has signed, with what others wrote below it;
// none is taken for a cosignature of a witness that it is not of.
func FuzzParse(f *testing.F) {
	h := newHouse(f)
	h.add(3)
	k := h.keeper()
	good, err := k.Sign(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	key, err := k.Verifier()
	if err != nil {
		f.Fatal(err)
	}
	head, _, _ := strings.Cut(string(good.Text), "\n\n")
	f.Add(good.Text, key)
	f.Add(append(bytes.Clone(good.Text), "— witness AAAA\n"...), key)
	f.Add([]byte(strings.Replace(string(good.Text), "\n3\n", "\n03\n", 1)), key+"\n")
	f.Add([]byte("ssf.example/log\n99999999999999999999\nAAAA\n\n— x y\n"), "a+b+c")
	f.Fuzz(func(t *testing.T, text []byte, verifier string) {
		c, err := checkpoint.Parse(text, verifier)
		if err != nil {
			if c.Text != nil || c.Size != 0 || !errors.Is(err, checkpoint.ErrSignature) && !errors.Is(err, checkpoint.ErrKey) {
				t.Fatalf("got %+v, %v", c, err)
			}
		} else if strings.TrimSpace(verifier) == key && (c.Tree != good.Tree || !strings.HasPrefix(string(text), head+"\n\n")) {
			t.Fatalf("%q: got %+v, want nothing that was not signed", text, c)
		}
		if n, err := k.Cosign(t.Context(), text); err == nil || n != 0 {
			t.Fatalf("%q: got %d cosignatures taken (%v), and there are no witnesses", text, n, err)
		}
	})
}

// A key is what is stored of it, and of what is not whole there is none.
func FuzzParseKey(f *testing.F) {
	f.Add(checkpoint.NewKey().Stored())
	f.Add([]byte(`{"public":"` + strings.Repeat("A", 43) + `=","sealed":"tocsin-sealed:1:AAAA"}`))
	f.Add([]byte(`{"public":"AA==","sealed":"x"}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		k, err := checkpoint.ParseKey(stored)
		if err != nil {
			if k != (checkpoint.Key{}) || len(err.Error()) > 200 {
				t.Fatalf("got a key beside %v", err)
			}
			return
		}
		again, err := checkpoint.ParseKey(k.Stored())
		if err != nil || again != k || again.Verifier("o") != k.Verifier("o") {
			t.Fatalf("got %v, want the key as it was stored", err)
		}
	})
}
