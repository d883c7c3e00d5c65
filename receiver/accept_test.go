package receiver_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// A SET that comes another way is judged and kept as a pushed one is.
func TestAccept(t *testing.T) {
	cfg := config(t, t.TempDir())
	var by []string
	cfg.Observer.Arrived = func(how string, _ bool, _ error) { by = append(by, how) }
	r := build(t, cfg)
	compact := []byte(sign(t, builder("a")))
	if repeat, err := r.Accept(t.Context(), compact); repeat || err != nil {
		t.Errorf("got repeat %v, %v, want neither", repeat, err)
	}
	for i := range compact {
		compact[i] = 0 // the caller's to use again
	}
	if repeat, err := r.Accept(t.Context(), []byte(sign(t, builder("a")))); !repeat || err != nil {
		t.Errorf("again: got repeat %v, %v, want true and none", repeat, err)
	}
	got, err := cfg.Inbox.Take(t.Context(), issuer, 2)
	if err != nil || len(got) != 1 || got[0].ID != "a" || !strings.HasPrefix(string(got[0].SET), "ey") {
		t.Errorf("got %v, %v, want the one SET whole", got, err)
	}
	for name, bad := range map[string]string{"garbage": "a.b.c", "too long": strings.Repeat("a", delivery.MaxPushBodyBytes+1)} {
		var refused *set.Error
		if _, err := r.Accept(t.Context(), []byte(bad)); !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want a *set.Error", name, err)
		}
	}
	if len(by) != 3 || by[0] != receiver.ByCall {
		t.Errorf("the observer was told of %v, want three by call", by)
	}
}
