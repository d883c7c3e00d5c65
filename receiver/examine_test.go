package receiver_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Examine says what would become of a SET; nothing is kept and no hook is run.
func TestExamine(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Mux.Default(func(context.Context, receiver.Delivery) error {
		t.Error("got a hook run, want none")
		return nil
	})
	r := build(t, cfg)
	running(t, r)
	d, err := r.Examine(t.Context(), []byte(sign(t, builder("a"))))
	if err != nil || d.ID != "a" || d.Attempt != 1 || d.EventTime.Before(d.Token.IssuedAt) {
		t.Errorf("got %+v and %v, want the event as a hook gets it", d, err)
	}
	foreign := builder("b")
	foreign.Audience = []string{"https://somebody.example"}
	_, err = r.Examine(t.Context(), []byte(sign(t, foreign)))
	if refusal, ok := errors.AsType[*set.Error](err); !ok || refusal.Code != delivery.CodeInvalidAudience {
		t.Errorf("for another: got %v, want invalid_audience", err)
	}
	if n := counts(t, cfg.Inbox); n.Waiting != 0 {
		t.Errorf("got %+v, want nothing kept", n)
	}
}
