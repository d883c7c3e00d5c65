package transmitter_test

import (
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

// What a node does with keys by its schedule is in the log as its own act, with its outcome;
// what the log does not take is not done.
func TestScheduleIsAnAct(t *testing.T) {
	admin, err := auth.Open(t.Context(), filepath.Join(t.TempDir(), "keys.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	ring := func(ago time.Duration) *keys.Ring {
		r, err := keys.Open(t.Context(), keys.Config{
			Store: keys.NewStore(admin.DB()), Algorithm: jose.ES256, RotateEvery: time.Hour, PublishAhead: time.Hour, RetireAfter: 25 * time.Hour,
			Now: func() time.Time { return time.Now().Add(-ago) }, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := ring(2 * time.Hour).List()[0].ID
	h := open(t, func(s *setup) { s.Keys, s.Node = ring(0), "n1" })
	o := h.operator(h.SocketHandler())
	var list []act
	until(t, "an act of the node", func() bool {
		list, _ = o.acts("", "?by=node:n1")
		return len(list) > 0 && list[0].Outcome != "open"
	})
	made := slices.DeleteFunc(h.keys.List(), func(k keys.Key) bool { return k.ID == first })
	if len(made) != 1 || !made[0].Next {
		t.Fatalf("got %v beside %s, want a next key", made, first)
	}
	a := list[0]
	if len(list) != 1 || a.Act != "key.announce" || a.Outcome != "done" || a.From != "schedule" || a.Objects["key"] != made[0].ID || a.Asked == 0 || a.By.Client != "" {
		t.Errorf("got %+v, want one key.announce of %s by the node alone", list, made[0].ID)
	}
	if found, _ := o.acts("", "?object="+made[0].ID); len(found) != 1 {
		t.Errorf("by the key: got %+v, want the act", found)
	}
}
