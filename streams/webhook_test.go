package streams_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// The owner of webhooks leads back to the application, and an application's
// own owner is not taken for it.
func TestWebhookOwner(t *testing.T) {
	for owner, want := range map[string]struct {
		application string
		webhooks    bool
	}{
		streams.WebhookOwner("shop"): {"shop", true},
		"shop":                       {"shop", false},
		"webhook":                    {"webhook", false},
	} {
		if application, webhooks := streams.ApplicationOf(owner); application != want.application || webhooks != want.webhooks {
			t.Errorf("%s: got %s %t, want %+v", owner, application, webhooks, want)
		}
	}
}

// Each part of a key counts, and none runs into the next.
func TestEventKey(t *testing.T) {
	seen := map[string]bool{}
	for _, parts := range [][3]string{
		{"", "", "a"}, {"", "a", ""}, {"a", "", ""}, {"", "", "*"}, {"a", "b", "c"}, {"ab", "", "c"}, {"", "ab", "c"}, {"", "b c", "d"}, {"", "b", "c d"},
	} {
		key := streams.EventKey(parts[0], parts[1], parts[2])
		if seen[key] {
			t.Errorf("%q: got the key of another", parts)
		}
		seen[key] = true
	}
}

func TestPushed(t *testing.T) {
	for method, want := range map[string]bool{delivery.MethodPush: true, streams.MethodWebhook: true, delivery.MethodPoll: false} {
		if got := (streams.Delivery{Method: method}).Pushed(); got != want {
			t.Errorf("%s: got %t, want %t", method, got, want)
		}
	}
}
