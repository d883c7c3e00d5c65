package storetest

import (
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

func depthCases() []testCase {
	return []testCase{
		{"CountsBothLanesLeasedAndDead", func(x *fixture) {
			x.stream("s1")
			equal(x, "empty", x.depth("s1"), streams.Depth{})
			begin := time.Now()
			x.events("s1", 1)
			time.Sleep(time.Second)
			x.events("s1", 2, 3)
			x.put(control("s1", "c1"))
			x.items("s1", 2)
			d := x.depth("s1")
			same(x, "depth", d, streams.Depth{Items: 4, Leased: 2, Oldest: begin})
			x.settle("s1", streams.Refused, "e1")
			same(x, "depth", x.depth("s1"), streams.Depth{Items: 3, Leased: 1, Dead: 1, Oldest: begin.Add(time.Second)})
			x.reopen(true)
			same(x, "depth after a kill", x.depth("s1"), streams.Depth{Items: 3, Dead: 1, Oldest: begin.Add(time.Second)})
			x.settle("s1", streams.Delivered, "e2", "e3", "c1")
			equal(x, "depth at the end", x.depth("s1"), streams.Depth{Dead: 1})
		}},
		{"DepthsSumAndTop", func(x *fixture) {
			begin := time.Now()
			for i := range 4 {
				x.stream(fmt.Sprint("s", i))
				for n := range i {
					x.events(fmt.Sprint("s", i), uint64(n+1))
				}
				time.Sleep(time.Second)
			}
			x.items("s3", 1)
			x.settle("s2", streams.Refused, "e1")
			for _, leased := range []int{1, 0} {
				total, top, err := x.store.Depths(x.ctx, 2)
				x.must(err)
				same(x, "total", total, streams.Depth{Items: 5, Leased: leased, Dead: 1, Oldest: begin.Add(time.Second)})
				equal(x, "top", len(top), 2)
				same(x, "s3", top["s3"], streams.Depth{Items: 3, Leased: leased, Oldest: begin.Add(3 * time.Second)})
				x.reopen(true)
			}
		}},
		{"PurgeDropsAllButDeadLetters", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3)
			x.put(control("s1", "c1"), updated("s1", "u1"))
			x.settle("s1", streams.Refused, "e1")
			x.items("s1", 2)
			n, err := x.store.Purge(x.ctx, "s1")
			x.must(err)
			equal(x, "purged", n, 4)
			equal(x, "late acknowledgement", jtis(x.settle("s1", streams.Delivered, "e2", "c1")), "")
			for range 2 {
				equal(x, "depth", x.depth("s1"), streams.Depth{Dead: 1})
				equal(x, "Take", x.take("s1", 10), "")
				equal(x, "dead letters", x.dead("s1"), "e1")
				x.reopen(true)
			}
			x.events("s1", 4)
			equal(x, "Take of what came after", x.take("s1", 10), "e4")
		}},
		{"ExpireMakesDeadLetters", func(x *fixture) {
			x.stream("s1")
			x.stream("s2", paused)
			x.put(event("s1", 1, ""), event("s1", 2, ""), event("s2", 1, ""), control("s1", "c1"))
			time.Sleep(time.Hour)
			before := time.Now()
			x.events("s1", 3)
			equal(x, "Take", x.take("s1", 2), "c1 e1")
			expire := func(max int) string {
				n, err := x.store.Expire(x.ctx, before, max)
				x.must(err)
				return fmt.Sprint(n)
			}
			x.must(x.store.Extend(x.ctx, "s1", []string{"e1", "c1"}, lease))
			equal(x, "expired", expire(10), "map[s1:1 s2:1]")
			equal(x, "again", expire(10), "map[]")
			equal(x, "dead letters", x.dead("s1"), "e2")
			page, _, err := x.store.DeadLetters(x.ctx, "s2", "", 10)
			x.must(err)
			if len(page) != 1 || page[0].Code != "expired" || page[0].Attempts != 0 {
				x.Errorf("got %+v, want one with code expired and no attempt", page)
			}
			time.Sleep(lease)
			equal(x, "expired after the lease, up to max", expire(1), "map[s1:1]")
			x.reopen(true)
			equal(x, "expired after a kill", expire(10), "map[s1:1]")
			equal(x, "Take", x.take("s1", 10), "e3")
		}},
	}
}

func deadLetterCases() []testCase {
	return []testCase{
		{"PagesOldestFirst", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3, 4, 5)
			for _, id := range []string{"e4", "e2", "e5", "e1", "e3"} {
				x.settle("s1", streams.Refused, id)
				time.Sleep(time.Second)
			}
			for range 2 {
				equal(x, "dead letters", x.dead("s1"), "e4 e2 e5 e1 e3")
				page, next, err := x.store.DeadLetters(x.ctx, "s1", "", 5)
				x.must(err)
				equal(x, "a whole page", len(page), 5)
				equal(x, "next at the end", next, "")
				x.reopen(true)
			}
		}},
		// contracts.md §4: it gives its order up and says so; §6: its jti stays.
		{"ResendGoesAheadWithoutOrder", func(x *fixture) {
			x.stream("s1")
			x.put(event("s1", 1, "a"), event("s1", 2, "a"), event("s1", 3, "a"), event("s1", 4, "a"))
			x.settle("s1", streams.Refused, "e2")
			equal(x, "Take", x.take("s1", 1), "e1")
			x.must(x.store.Resend(x.ctx, "s1", "e2"))
			x.is("again", x.store.Resend(x.ctx, "s1", "e2"), streams.ErrNotFound)
			x.put(control("s1", "c1"))
			for range 2 {
				got := x.items("s1", 2)
				equal(x, "Take", jtis(got), "c1 e2")
				if len(got) == 2 {
					equal(x, "resent", got[1].Resent, true)
					equal(x, "order key", got[1].OrderKey, "")
					equal(x, "position", got[1].Pos, streams.Position{Seq: 2})
					equal(x, "lane", got[1].Lane, streams.LaneEvents)
				}
				x.reopen(true)
			}
			equal(x, "settled", jtis(x.settle("s1", streams.Delivered, "e2")), "e2")
			equal(x, "Take", x.take("s1", 10), "c1 e1 e3 e4")
			equal(x, "dead letters", x.dead("s1"), "")
			equal(x, "not put again", report(x.events("s1", 2)), "kept 0 seen 1 gone 0 full map[]")
		}},
		{"ResendOfAControlItem", func(x *fixture) {
			x.stream("s1")
			x.put(control("s1", "c1"))
			x.events("s1", 1)
			x.settle("s1", streams.Refused, "c1")
			x.must(x.store.Resend(x.ctx, "s1", "c1"))
			x.reopen(true)
			got := x.items("s1", 10)
			equal(x, "Take", jtis(got), "c1 e1")
			equal(x, "lane", got[0].Lane, streams.LaneControl)
			equal(x, "payload", string(got[0].Payload), `{"state":"x"}`)
		}},
		{"RefusedTwiceIsOneDeadLetter", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2)
			x.settle("s1", streams.Refused, "e1", "e2")
			x.must(x.store.Resend(x.ctx, "s1", "e2"))
			x.must(x.store.Resend(x.ctx, "s1", "e1"))
			equal(x, "Take", sorted(x.items("s1", 10)), "e1 e2")
			x.settle("s1", streams.Refused, "e1")
			equal(x, "dead letters", x.dead("s1"), "e1")
			equal(x, "dead", x.depth("s1").Dead, 1)
		}},
		// contracts.md §4: nothing acknowledged comes back.
		{"DeliveredErasesADeadLetter", func(x *fixture) {
			x.stream("s1", poll)
			x.events("s1", 1, 2, 3)
			x.put(control("s1", "c1"))
			x.items("s1", 4)
			time.Sleep(lease) // the receiver is slow to acknowledge
			_, err := x.store.Expire(x.ctx, time.Now(), 10)
			x.must(err)
			equal(x, "expired", x.depth("s1").Dead, 4)
			equal(x, "left or returned", jtis(x.settle("s1", streams.Delivered, "e1", "c1", "unknown")), "")
			equal(x, "other verdicts", jtis(x.settle("s1", streams.Failed, "e2"))+jtis(x.settle("s1", streams.Refused, "e3")), "")
			for range 2 {
				equal(x, "depth", x.depth("s1"), streams.Depth{Dead: 2})
				equal(x, "dead letters", x.dead("s1"), "e2 e3")
				x.is("Resend", x.store.Resend(x.ctx, "s1", "e1"), streams.ErrNotFound)
				x.is("Resend", x.store.Resend(x.ctx, "s1", "c1"), streams.ErrNotFound)
				equal(x, "Take", x.take("s1", 10), "")
				x.reopen(true)
			}
		}},
		{"DropErases", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2)
			x.settle("s1", streams.Refused, "e1", "e2")
			x.must(x.store.Drop(x.ctx, "s1", "e1"))
			x.is("again", x.store.Drop(x.ctx, "s1", "e1"), streams.ErrNotFound)
			x.reopen(true)
			equal(x, "dead letters", x.dead("s1"), "e2")
			equal(x, "depth", x.depth("s1"), streams.Depth{Dead: 1})
		}},
		{"ResentItemsDoNotExpireAtOnce", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1)
			time.Sleep(time.Hour)
			before := time.Now()
			_, err := x.store.Expire(x.ctx, before, 10)
			x.must(err)
			x.must(x.store.Resend(x.ctx, "s1", "e1"))
			n, err := x.store.Expire(x.ctx, before, 10)
			x.must(err)
			equal(x, "expired", len(n), 0)
		}},
	}
}
