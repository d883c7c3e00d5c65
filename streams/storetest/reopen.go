package storetest

import (
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
)

func reopenCases() []testCase {
	return []testCase{
		{"CursorsAreKept", func(x *fixture) {
			cursor := func(name string) uint64 {
				n, err := x.store.Cursor(x.ctx, name)
				x.must(err)
				return n
			}
			equal(x, "at first", cursor("fanout"), 0)
			x.must(x.store.SaveCursor(x.ctx, "fanout", 42))
			x.must(x.store.SaveCursor(x.ctx, "other", 7))
			x.must(x.store.SaveCursor(x.ctx, "fanout", 40))
			for _, kill := range []bool{false, true} {
				equal(x, "fanout", cursor("fanout"), 40)
				equal(x, "other", cursor("other"), 7)
				x.reopen(kill)
			}
		}},
		// contracts.md §7: what a log that was put back must reach.
		{"HighestIsOfCursorsQueuesAndFrom", func(x *fixture) {
			highest := func(what string, want uint64) {
				for range 2 {
					got, err := x.store.Highest(x.ctx)
					x.must(err)
					equal(x, what, got, want)
					x.reopen(true)
				}
			}
			highest("at first", 0)
			x.must(x.store.SaveCursor(x.ctx, "fanout", 3))
			highest("of a cursor", 3)
			x.stream("s1")
			x.events("s1", 5)
			x.settle("s1", streams.Delivered, "e5")
			highest("of a queue, delivered or not", 5)
			x.stream("s2", func(s *streams.Stream) { s.From = 7 })
			highest("of a stream's From", 7)
			x.put(control("s1", "c1"))
			x.must(x.store.SaveCursor(x.ctx, "other", 6))
			highest("of them all", 7)
		}},
		// contracts.md §3: putting again changes nothing.
		{"FanOutMayBeginAgain", func(x *fixture) {
			x.stream("s1")
			x.stream("s2")
			feed := func() {
				for seq := uint64(1); seq <= 20; seq++ {
					x.put(event("s1", seq, fmt.Sprint(seq%3)), event("s2", seq, ""))
				}
			}
			feed()
			for _, it := range x.items("s1", 5) {
				x.settle("s1", streams.Delivered, it.ID)
			}
			x.reopen(true)
			feed()
			equal(x, "items of s1", x.depth("s1").Items, 15)
			equal(x, "items of s2", x.depth("s2").Items, 20)
			equal(x, "Take", x.take("s1", 3), "e6 e7 e8")
		}},
		{"ManyRestarts", func(x *fixture) {
			x.stream("s1")
			want := 1
			for round := range 10 {
				x.events("s1", uint64(2*round+1), uint64(2*round+2))
				got := x.items("s1", 1)
				equal(x, "Take", jtis(got), fmt.Sprint("e", want))
				x.settle("s1", streams.Delivered, fmt.Sprint("e", want))
				want++
				x.reopen(round%2 == 0)
			}
			equal(x, "items", x.depth("s1").Items, 10)
		}},
		{"NumbersAreNotReused", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2)
			x.must(x.store.Delete(x.ctx, "s1"))
			x.reopen(true)
			x.stream("s2")
			equal(x, "items of a new stream", x.depth("s2").Items, 0)
			equal(x, "Put", report(x.events("s2", 1)), "kept 1 seen 0 gone 0 full map[]")
			x.reopen(false)
			equal(x, "Take", x.take("s2", 10), "e1")
		}},
	}
}
