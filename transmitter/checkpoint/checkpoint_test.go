package checkpoint_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
)

func TestOriginOf(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://ssf.example":         "ssf.example/log",
		"https://ssf.example/":        "ssf.example/log",
		"https://ssf.example/tenant":  "ssf.example/tenant/log",
		"http://127.0.0.1:8080":       "127.0.0.1:8080/log",
		"https://[2001:db8::1]:8443/": "[2001:db8::1]:8443/log",
	} {
		if got := checkpoint.OriginOf(issuer); got != want {
			t.Errorf("%s: got %s, want %s", issuer, got, want)
		}
	}
}

// What is signed reads as a checkpoint of C2SP and verifies with the library
// that defined signed notes; anything else is refused.
func TestParse(t *testing.T) {
	h := newHouse(t)
	h.add(3)
	k := h.keeper()
	c, err := k.Sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := k.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatalf("the verifier key: got %v, want no error", err)
	}
	n, err := note.Open(c.Text, note.VerifierList(v))
	if err != nil || !strings.HasPrefix(n.Text, "ssf.example/log\n3\n") || strings.Count(n.Text, "\n") != 3 {
		t.Fatalf("got %q (%v), want origin, size and root", n.Text, err)
	}
	got, err := checkpoint.Parse(c.Text, key+"\n")
	if err != nil || got.Tree != c.Tree || got.Origin != "ssf.example/log" {
		t.Errorf("Parse: got %+v (%v), want %+v", got, err, c)
	}
	otherKey := checkpoint.NewKey().Verifier("ssf.example/log")
	for name, tt := range map[string]struct{ text, key string }{
		"nothing":       {"", key},
		"no note":       {"ssf.example/log\n3\n", key},
		"another size":  {strings.Replace(string(c.Text), "\n3\n", "\n2\n", 1), key},
		"another key":   {string(c.Text), otherKey},
		"too long":      {string(c.Text) + strings.Repeat("x", checkpoint.MaxBytes), key},
		"unsigned line": {strings.Replace(string(c.Text), "\n\n", "\nmore\n\n", 1), key},
	} {
		if _, err := checkpoint.Parse([]byte(tt.text), tt.key); !errors.Is(err, checkpoint.ErrSignature) {
			t.Errorf("%s: got %v, want ErrSignature", name, err)
		}
	}
	for _, key := range []string{"", "x", "a+b+c", strings.Replace(key, "ssf", "sss", 1)} {
		if _, err := checkpoint.Parse(c.Text, key); !errors.Is(err, checkpoint.ErrKey) {
			t.Errorf("key %q: got %v, want ErrKey", key, err)
		}
	}
}

// The key shows itself nowhere.
func TestKeyIsSecret(t *testing.T) {
	var out strings.Builder
	k := checkpoint.NewKey()
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", k)
	fmt.Fprintf(&out, "%v %+v %s", k, k, k)
	if got := out.String(); strings.Count(got, "key of a log") != 4 || len(got) > 200 {
		t.Errorf("got %s, want no key", got)
	}
}

var epoch = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
