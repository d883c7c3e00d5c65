package transmitters_test

import (
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/transmitters"
)

const minReason = 20 // bytes; less is no reason

// Every requirement that binds a transmitter is decided by a check, or stands in
// untestable.txt with the reason why nobody can see it; never both, and nothing else.
func TestCoverage(t *testing.T) {
	list, err := conformance.ReadChecklist()
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := transmitters.Untestable()
	if err != nil {
		t.Fatal(err)
	}
	decided := transmitters.Decided()
	binding := map[string]bool{}
	for _, r := range list.Requirements {
		binding[r.ID] = r.Binding(conformance.Transmitter)
		does, why := slices.Contains(decided, r.ID), reasons[r.ID]
		switch {
		case binding[r.ID] && !does && why == "":
			t.Errorf("%s: got no check that decides it and no reason, want one of them: %s", r.ID, r.Text)
		case does && why != "":
			t.Errorf("%s: got a check that decides it and a reason why none can", r.ID)
		case !binding[r.ID] && why != "":
			t.Errorf("%s: got a reason why it is not tested, but it does not bind a transmitter", r.ID)
		}
		delete(reasons, r.ID)
		if why != "" && len(why) < minReason {
			t.Errorf("%s: got reason %q, want one", r.ID, why)
		}
	}
	for id := range reasons {
		t.Errorf("%s: got a reason, want only ids of the checklist", id)
	}
	for _, id := range decided {
		if _, known := binding[id]; !known {
			t.Errorf("%s: got a check that decides it, want only ids of the checklist", id)
		}
	}
}
