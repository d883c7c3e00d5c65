package receiver_test

import (
	"context"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Hooks see the SET that was verified: read again from the inbox it has the
// types and the subject that it was accepted with.
func TestHooksSeeWhatWasVerified(t *testing.T) {
	parse := func(raw string) subject.Identifier {
		id, err := subject.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	const former = "https://schemas.openid.net/secevent/caep/event-type/token-claims-changed"
	unknown := builder("b")
	unknown.Subject = parse(`{"format":"iss-sub","iss":"https://idp.example","sub":"1"}`)
	other := builder("c")
	other.Subject = parse(`{"format":"phone-number","value":"1"}`) // a format we do not know
	for _, c := range []struct {
		name       string
		set        set.Builder
		tolerances set.Tolerances
		typ        string
	}{
		{"former type", event(builder("a"), former, `{"claims":{"role":"ro"}}`), set.Tolerances{FormerEventTypes: true}, caep.TokenClaimsChangeType},
		{"unknown format", unknown, set.Tolerances{}, caep.SessionRevokedType},
		{"unknown format that looks like a known one", other, set.Tolerances{}, caep.SessionRevokedType},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			cfg.Tolerances = c.tolerances
			got := make(chan receiver.Delivery, 1)
			cfg.Mux.Handle(receiver.OnType(c.typ, func(_ context.Context, d receiver.Delivery) error {
				got <- d
				return nil
			}))
			r := build(t, cfg)
			wantAccepted(t, push(r, sign(t, c.set)))
			running(t, r)
			select {
			case d := <-got:
				if !d.Subject.Equal(c.set.Subject) {
					t.Errorf("got subject %s, want %s as verified", d.Subject.Raw(), c.set.Subject.Raw())
				}
			case <-time.After(3 * time.Second):
				t.Errorf("got no run of the hook (%+v), want one", counts(t, cfg.Inbox))
			}
		})
	}
}
