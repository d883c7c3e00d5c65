package fanout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/fanout"
)

// contracts.md §6: a replay sends from a time on again what the stream matches,
// in order, before what comes later, under jtis of its own round.
func TestReplay(t *testing.T) {
	g := newGated(t, t.TempDir())
	g.stream("shop", func(s *streams.Stream) { s.EventsDelivered = []string{purged} })
	g.stream("mail")
	jo, al := subject.Email("jo@example.com"), subject.Email("al@example.com")
	old := g.emitAbout([]subject.Identifier{jo})
	g.clock.Add(60)
	from := g.now()
	one := g.emitAbout([]subject.Identifier{jo})
	gone := g.emitAbout([]subject.Identifier{al})
	g.emitAbout([]subject.Identifier{jo}, "mail") // not for shop
	g.follow("", 0)
	if n := len(g.take("shop")); n != 3 {
		t.Fatalf("got %d SETs, want 3", n)
	}
	if _, err := g.log.Erase(t.Context(), gone.Seq); err != nil {
		t.Fatal(err)
	}
	g.replay("shop", "shop", from)
	next := g.emitAbout([]subject.Identifier{jo})
	g.replay("shop", "shop", time.Time{})
	g.follow("", 0)
	var got, ids []string
	for _, it := range g.take("shop") {
		got = append(got, it.Type)
		ids = append(ids, it.ID)
	}
	want := []string{one.JTI("shop", 3), next.JTI("shop", 1), old.JTI("shop", 5), one.JTI("shop", 5), next.JTI("shop", 5)}
	if !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if strings.Join(slices.Compact(got), " ") != purged {
		t.Errorf("types: got %v, want %s alone", got, purged)
	}
	if n := g.depth("mail"); n != 10 {
		t.Errorf("another stream: got %d SETs, want each once", n)
	}
	// What it was not sent, or before it began anew, is not replayed.
	if _, err := g.store.Update(t.Context(), "shop", func(s *streams.Stream) ([]streams.Item, error) {
		s.Epoch++
		s.From = next.Seq
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	g.replay("shop", "shop", time.Time{})
	g.replay("nobody", "shop", time.Time{})
	g.follow("", 0)
	if n := g.depth("shop"); n != 0 {
		t.Errorf("what was before it was enabled: got %d SETs, want none", n)
	}
}

// A replay that is interrupted anywhere ends with each SET queued once.
func TestReplayInterrupted(t *testing.T) {
	for _, point := range []string{fanout.CrashBeforeReplayPut, fanout.CrashAfterReplayPut} {
		g := newGated(t, t.TempDir())
		g.stream("shop")
		var want []string
		for range 600 {
			rec := g.emitAbout([]subject.Identifier{subject.Opaque("jo")})
			want = append(want, rec.JTI("shop", 2), rec.JTI("shop", 3))
		}
		g.follow("", 0)
		if n := len(g.take("shop")); n != 1200 {
			t.Fatalf("got %d SETs, want 1200", n)
		}
		g.replay("shop", "shop", time.Time{})
		if g.follow(point, 2) {
			t.Fatalf("%s: the fan-out did not come there", point)
		}
		if err := g.store.SaveCursor(t.Context(), "fanout", 0); err != nil { // a power cut
			t.Fatal(err)
		}
		g.follow("", 0)
		if got := g.queue("shop"); !slices.Equal(got, want) {
			t.Errorf("%s: got %d SETs, want %d", point, len(got), len(want))
		}
	}
}
