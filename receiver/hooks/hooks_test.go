package hooks_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func delivery(id string) receiver.Delivery {
	return receiver.Delivery{
		Issuer: "https://transmitter.example", ID: id, Type: caep.SessionRevokedType,
		Subject: subject.Email("jo@example.com"), EventTime: time.Unix(1700000000, 0),
		Token: &set.Token{Events: []set.Event{{Type: caep.SessionRevokedType, Payload: []byte(`{}`)}}},
	}
}

// The key is the same at every attempt, and another for another event, hook or effect.
func TestActionKey(t *testing.T) {
	first := hooks.NewAction(delivery("a"), "redis", hooks.End)
	again := delivery("a")
	again.Attempt = 7
	if got := hooks.NewAction(again, "redis", hooks.End).Key; got != first.Key {
		t.Errorf("another attempt: got key %q, want %q", got, first.Key)
	}
	for name, other := range map[string]hooks.Action{
		"event":  hooks.NewAction(delivery("b"), "redis", hooks.End),
		"hook":   hooks.NewAction(delivery("a"), "sql", hooks.End),
		"effect": hooks.NewAction(delivery("a"), "redis", hooks.Deny),
	} {
		if other.Key == first.Key {
			t.Errorf("another %s: got the same key, want another", name)
		}
	}
}

func TestRoute(t *testing.T) {
	failure := errors.New("down")
	for _, tt := range []struct {
		name      string
		err, want error
	}{
		{"done", nil, nil},
		{"not applicable", hooks.ErrNotApplicable, nil},
		{"failed", failure, failure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got hooks.Action
			mux := receiver.NewMux()
			mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hooks.Func(
				func(_ context.Context, a hooks.Action) (hooks.Outcome, error) {
					got = a
					return hooks.Outcome{}, tt.err
				},
			)))
			d := delivery("a")
			if err := mux.Dispatch(t.Context(), d); !errors.Is(err, tt.want) {
				t.Errorf("error: got %v, want %v", err, tt.want)
			}
			if got.Effect != hooks.End || !got.Until.Equal(d.EventTime) || got.Scope.Kind() != "user" || got.Key == "" {
				t.Errorf("action: got %+v, want end of a user's sessions until the event's time, with a key", got)
			}
		})
	}
}
