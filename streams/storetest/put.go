package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/tocsin-ssf/tocsin/streams"
)

func putCases() []testCase {
	return []testCase{
		// contracts.md §4: nothing acknowledged comes back.
		{"AtOrBelowTheHighestPositionDoesNothing", func(x *fixture) {
			x.stream("s1")
			equal(x, "first", report(x.events("s1", 5)), "kept 1 seen 0 gone 0 full map[]")
			equal(x, "same and below", report(x.events("s1", 4, 5)), "kept 0 seen 2 gone 0 full map[]")
			x.items("s1", 1)
			x.settle("s1", streams.Delivered, "e5")
			equal(x, "after acknowledgement", report(x.events("s1", 5)), "kept 0 seen 1 gone 0 full map[]")
			x.events("s1", 6)
			_, err := x.store.Purge(x.ctx, "s1")
			x.must(err)
			equal(x, "after purge", report(x.events("s1", 6)), "kept 0 seen 1 gone 0 full map[]")
			for _, kill := range []bool{false, true} {
				x.reopen(kill)
				equal(x, "after a restart", report(x.events("s1", 3, 5, 6)), "kept 0 seen 3 gone 0 full map[]")
			}
			equal(x, "items", x.take("s1", 10), "")
			equal(x, "next", report(x.events("s1", 7)), "kept 1 seen 0 gone 0 full map[]")
		}},
		{"PositionsOfOneRecordDifferByN", func(x *fixture) {
			x.stream("s1")
			a, b := event("s1", 5, ""), event("s1", 5, "")
			b.Pos.N, b.ID = 1, "e5b"
			equal(x, "both", report(x.put(a, b)), "kept 2 seen 0 gone 0 full map[]")
			equal(x, "again", report(x.put(b)), "kept 0 seen 1 gone 0 full map[]")
			equal(x, "Take", x.take("s1", 10), "e5 e5b")
		}},
		{"ItemsOfAnotherRecordAreInTheOrderOfTheirRefs", func(x *fixture) {
			x.stream("s1")
			equal(x, "before", report(x.events("s1", 5)), "kept 1 seen 0 gone 0 full map[]")
			equal(x, "three", report(x.put(released("s1", 9, 1, 0), released("s1", 9, 1, 1), released("s1", 9, 3, 0))), "kept 3 seen 0 gone 0 full map[]")
			x.items("s1", 2)
			x.settle("s1", streams.Delivered, "e5", "r1.0")
			for _, kill := range []bool{false, true} {
				// Begun anew, without what was erased meanwhile.
				equal(x, "again", report(x.put(released("s1", 9, 1, 1), released("s1", 9, 3, 0))), "kept 0 seen 2 gone 0 full map[]")
				x.reopen(kill)
			}
			equal(x, "the rest", report(x.put(released("s1", 9, 3, 0), released("s1", 9, 4, 2))), "kept 1 seen 1 gone 0 full map[]")
			equal(x, "what comes after", report(x.put(event("s1", 10, ""), released("s1", 11, 2, 0))), "kept 2 seen 0 gone 0 full map[]")
			equal(x, "of an earlier record", report(x.put(released("s1", 9, 6, 0), released("s1", 11, 1, 0))), "kept 0 seen 2 gone 0 full map[]")
			for _, when := range []string{"at once", "after a kill"} {
				var got []string
				for _, it := range x.items("s1", 10) {
					got = append(got, fmt.Sprintf("%s%v%v", it.ID, it.Pos, it.Event()))
				}
				equal(x, when, strings.Join(got, " "), "r1.1{9 1}{1 1} r3.0{9 2}{3 0} r4.2{9 3}{4 2} e10{10 0}{10 0} r2.0{11 0}{2 0}")
				x.reopen(true)
			}
			x.items("s1", 1)
			x.settle("s1", streams.Refused, "r1.1")
			page, _, err := x.store.DeadLetters(x.ctx, "s1", "", 1)
			x.must(err)
			equal(x, "as a dead letter", page[0].Event(), streams.Position{Seq: 1, N: 1})
			x.must(x.store.Resend(x.ctx, "s1", "r1.1"))
			x.reopen(true)
			again := x.items("s1", 1)
			equal(x, "resent", again[0].ID, "r1.1")
			equal(x, "resent", again[0].Event(), streams.Position{Seq: 1, N: 1})
		}},
		{"FullCountsRefsAsPut", func(x *fixture) {
			x.bound(1)
			x.stream("s1")
			equal(x, "above the bound", report(x.put(released("s1", 9, 1, 0), released("s1", 9, 2, 0))), "kept 1 seen 0 gone 0 full map[s1:1]")
			x.settle("s1", streams.Delivered, "r1.0")
			x.reopen(true)
			equal(x, "what was not kept", report(x.put(released("s1", 9, 2, 0), released("s1", 9, 3, 0))), "kept 1 seen 1 gone 0 full map[]")
			equal(x, "Take", x.take("s1", 10), "r3.0")
		}},
		// contracts.md §4: dead letters are part of what a queue has.
		{"DeadLettersCountToTheBound", func(x *fixture) {
			x.bound(3)
			x.stream("s1")
			equal(x, "up to the bound", report(x.events("s1", 1, 2, 3)), "kept 3 seen 0 gone 0 full map[]")
			x.items("s1", 3)
			x.settle("s1", streams.Refused, "e1", "e2")
			for i, kill := range []bool{false, true} {
				x.reopen(kill)
				equal(x, "with dead letters", report(x.events("s1", uint64(4+i))), "kept 0 seen 0 gone 0 full map[s1:1]")
				equal(x, "none is lost", x.depth("s1").Dead, 2)
			}
			x.must(x.store.Resend(x.ctx, "s1", "e1"))
			equal(x, "one sent again", report(x.events("s1", 10)), "kept 0 seen 0 gone 0 full map[s1:1]")
			x.must(x.store.Drop(x.ctx, "s1", "e2"))
			equal(x, "one dropped", report(x.events("s1", 11, 12)), "kept 1 seen 0 gone 0 full map[s1:1]")
		}},
		{"KnownControlJTIDoesNothing", func(x *fixture) {
			x.stream("s1")
			equal(x, "twice in one Put", report(x.put(control("s1", "c1"), control("s1", "c1"))), "kept 1 seen 1 gone 0 full map[]")
			equal(x, "again", report(x.put(control("s1", "c1"))), "kept 0 seen 1 gone 0 full map[]")
			x.settle("s1", streams.Refused, "c1")
			equal(x, "as a dead letter", report(x.put(control("s1", "c1"))), "kept 0 seen 1 gone 0 full map[]")
			equal(x, "items", x.take("s1", 10), "")
		}},
		// contracts.md §3: an older epoch does nothing.
		{"AnotherEpochIsGone", func(x *fixture) {
			x.stream("s1")
			x.disable("s1")
			x.setStatus("s1", streams.Enabled)
			equal(x, "older epoch", report(x.events("s1", 1)), "kept 0 seen 0 gone 1 full map[]")
			next := event("s1", 1, "")
			next.Epoch = 3
			equal(x, "later epoch", report(x.put(next)), "kept 0 seen 0 gone 1 full map[]")
			next.Epoch = 2
			equal(x, "its epoch, at the same position", report(x.put(next)), "kept 1 seen 0 gone 0 full map[]")
			x.reopen(true)
			equal(x, "older epoch after a kill", report(x.events("s1", 2)), "kept 0 seen 0 gone 1 full map[]")
		}},
		// SSF-8.1.2.1-06, and paused streams hold.
		{"DisabledKeepsNothingPausedHolds", func(x *fixture) {
			x.stream("off", func(s *streams.Stream) { s.Status = streams.Disabled })
			x.stream("held", paused)
			equal(x, "disabled", report(x.put(event("off", 1, ""), control("off", "c1"))), "kept 0 seen 0 gone 2 full map[]")
			equal(x, "paused", report(x.put(event("held", 1, ""), control("held", "c1"))), "kept 2 seen 0 gone 0 full map[]")
			x.setStatus("held", streams.Enabled)
			equal(x, "Take after the pause", x.take("held", 10), "c1 e1")
		}},
		{"FullCountsPositionsAsPut", func(x *fixture) {
			x.bound(3)
			x.stream("s1")
			x.stream("s2")
			x.put(control("s1", "c1"))
			r := x.put(event("s1", 1, ""), event("s1", 2, ""), event("s2", 1, ""), event("s1", 3, ""), event("s1", 4, ""), event("s1", 5, ""))
			equal(x, "above the bound", report(r), "kept 4 seen 0 gone 0 full map[s1:2]")
			x.settle("s1", streams.Delivered, "e1", "e2", "e3")
			equal(x, "positions that were not kept", report(x.events("s1", 4, 5)), "kept 0 seen 2 gone 0 full map[]")
			x.reopen(true)
			equal(x, "after a kill", report(x.events("s1", 5, 6)), "kept 1 seen 1 gone 0 full map[]")
			equal(x, "Take", x.take("s1", 10), "c1 e6")
		}},
		{"BoundHoldsAfterARestart", func(x *fixture) {
			x.bound(2)
			x.stream("s1")
			x.events("s1", 1, 2)
			x.reopen(true)
			equal(x, "at the bound", report(x.events("s1", 3)), "kept 0 seen 0 gone 0 full map[s1:1]")
		}},
		{"ItemsComeBackAsTheyWerePut", func(x *fixture) {
			x.stream("s1")
			e := event("s1", 1<<40, `{"format":"opaque","id":"é"}`)
			e.Pos.N, e.Subject = 1<<31, 3
			c := control("s1", "c1")
			c.OrderKey = "k"
			x.put(e, c)
			want := []streams.Item{c, e}
			want[0].Epoch = 0 // means nothing in the control lane
			for _, when := range []string{"at once", "after a clean end", "after a kill"} {
				got := x.items("s1", 2)
				if len(got) != 2 {
					x.Fatalf("%s: got %d items, want 2", when, len(got))
				}
				got[0].Epoch = 0
				same(x, when, got, want)
				x.reopen(when != "at once")
			}
		}},
		{"UnknownStreamsHarmNoOther", func(x *fixture) {
			x.stream("s1")
			equal(x, "mixed", report(x.put(event("no", 1, ""), event("s1", 1, ""), control("no", "c"))), "kept 1 seen 0 gone 2 full map[]")
		}},
		{"EndedContextPutsNothing", func(x *fixture) {
			x.stream("s1")
			ctx, cancel := context.WithCancel(x.ctx)
			cancel()
			_, err := x.store.Put(ctx, event("s1", 1, ""))
			x.is("Put", err, context.Canceled)
			equal(x, "items", x.depth("s1").Items, 0)
			equal(x, "again", report(x.events("s1", 1)), "kept 1 seen 0 gone 0 full map[]")
		}},
	}
}
