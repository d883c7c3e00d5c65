package backchannel_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/backchannel"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// An action that was set aside and is sent again, since a party was mended, calls that
// party again, and those alone that it had not reached.
func TestSentAgain(t *testing.T) {
	k := newKey(t)
	good, refuses := &party{T: t, key: k, clientID: "good"}, &party{T: t, key: k, clientID: "refuses", status: 400}
	h := newHook(t, backchannel.Config{Key: k.jwk, Parties: []backchannel.Party{
		{ClientID: "good", URL: serve(t, good)}, {ClientID: "refuses", URL: serve(t, refuses)},
	}})
	a := action(subject.IssSub(idp, "jo"), hooks.End)
	if _, err := h.Act(t.Context(), a); !receiver.IsPermanent(err) {
		t.Fatalf("first: got %v, want a permanent error", err)
	}
	refuses.status = 0
	if _, err := h.Act(t.Context(), a); err != nil || len(refuses.logins) != 1 || good.calls != 1 {
		t.Errorf("sent again: got %v, %d logouts and %d calls of the other, want none, 1 and 1", err, len(refuses.logins), good.calls)
	}
}
