package storetest

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

func takeCases() []testCase {
	return append(waitCases(), []testCase{
		{"ControlFirstThenByPosition", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2)
			x.put(control("s1", "c2"), updated("s1", "c1"))
			x.events("s1", 3)
			equal(x, "Take", x.take("s1", 10), "c2 c1 e1 e2 e3")
		}},
		{"LeasedItemsAreHiddenAndReturnToTheirPlace", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3, 4)
			equal(x, "first", x.take("s1", 2), "e1 e2")
			time.Sleep(lease / 2)
			equal(x, "second", x.take("s1", 1), "e3")
			time.Sleep(lease/2 - time.Second)
			equal(x, "before the end", x.take("s1", 1), "e4")
			x.settle("s1", streams.Released, "e4")
			time.Sleep(time.Second)
			equal(x, "at the end of the first lease", x.take("s1", 10), "e1 e2 e4")
		}},
		{"LongQueuesKeepTheirOrder", func(x *fixture) {
			x.stream("s1")
			const n = 2500 // more than a store holds in memory for one queue
			var items []streams.Item
			for i := range n {
				items = append(items, event("s1", uint64(i+1), fmt.Sprint(i%7)))
			}
			x.put(items...)
			next := 1
			for next <= n {
				got := x.items("s1", 97)
				if len(got) == 0 {
					x.Fatalf("got nothing at item %d, want the rest", next)
				}
				var out []streams.Outcome
				for _, it := range got {
					if next <= n {
						equal(x, "item", it.Pos.Seq, uint64(next))
					}
					next++
					out = append(out, streams.Outcome{ID: it.ID})
				}
				_, err := x.store.Settle(x.ctx, "s1", out, nil)
				x.must(err)
				if next%5 == 0 {
					x.put(event("s1", uint64(n+next), "late"))
				}
				if next > n/2 && next < n/2+98 {
					x.reopen(true)
				}
			}
		}},
		{"ABlockedKeyHoldsBackNoOther", func(x *fixture) {
			x.stream("s1")
			const n = 3000
			var items []streams.Item
			for i := range n {
				items = append(items, event("s1", uint64(i+1), "hot"))
			}
			x.put(append(items, event("s1", n+1, "cold"))...)
			equal(x, "first", x.take("s1", 1), "e1")
			equal(x, "second", x.take("s1", 1), fmt.Sprint("e", n+1))
			x.put(event("s1", n+2, "hot"), event("s1", n+3, "cool"))
			equal(x, "third", x.take("s1", 1), fmt.Sprint("e", n+3))
			x.settle("s1", streams.Delivered, "e1")
			equal(x, "fourth", x.take("s1", 2), "e2 e3")
			x.settle("s1", streams.Released, "e2", "e3")
			for seq := 2; seq <= n+1; { // n+1 is out
				got := x.items("s1", 500)
				var ids []string
				for _, it := range got {
					if seq == n+1 {
						seq++
					}
					if it.Pos.Seq != uint64(seq) {
						x.Fatalf("got item %d, want %d", it.Pos.Seq, seq)
					}
					seq++
					ids = append(ids, it.ID)
				}
				if len(ids) == 0 {
					break
				}
				x.settle("s1", streams.Delivered, ids...)
			}
			equal(x, "left", x.depth("s1").Items, 2)
		}},
		// contracts.md §4: order per order key.
		{"NoItemWhileAnEarlierOneWithItsKeyIsOut", func(x *fixture) {
			x.stream("s1")
			x.put(event("s1", 1, "a"), event("s1", 2, "a"), event("s1", 3, "b"), event("s1", 4, ""), event("s1", 5, "b"), event("s1", 6, ""))
			equal(x, "first", x.take("s1", 1), "e1")
			equal(x, "others", x.take("s1", 2), "e3 e4")
			equal(x, "no key, no order", x.take("s1", 10), "e6")
			x.settle("s1", streams.Delivered, "e3")
			equal(x, "after b", x.take("s1", 10), "e5")
			time.Sleep(lease)
			equal(x, "after the leases", x.take("s1", 10), "e1 e2 e4 e5 e6")
		}},
		{"AnEarlierItemMayFollowALaterOne", func(x *fixture) {
			x.stream("s1")
			x.put(event("s1", 1, "a"), event("s1", 2, "a"), event("s1", 3, "a"))
			equal(x, "one answer", x.take("s1", 2), "e1 e2")
			x.settle("s1", streams.Failed, "e1")
			equal(x, "the earlier one", x.take("s1", 10), "e1")
		}},
		{"PausedHandsOutStreamUpdatedOnly", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1)
			x.put(control("s1", "c1"), updated("s1", "u1"), updated("s1", "u2"))
			x.setStatus("s1", streams.Paused)
			equal(x, "More", x.more("s1"), true)
			equal(x, "Take", x.take("s1", 10), "u1 u2")
			equal(x, "More at the end", x.more("s1"), false)
			x.setStatus("s1", streams.Enabled)
			equal(x, "Take when enabled", x.take("s1", 10), "c1 e1")
		}},
		{"AnEventOfThatTypeIsNoControlItem", func(x *fixture) {
			x.stream("s1", paused)
			e := event("s1", 1, "")
			e.Type = streams.TypeStreamUpdated
			x.put(e)
			equal(x, "Take", x.take("s1", 10), "")
		}},
		{"LeasesDoNotOutliveTheProcess", func(x *fixture) {
			x.stream("s1")
			x.put(event("s1", 1, "a"), event("s1", 2, "a"), event("s1", 3, ""))
			for _, kill := range []bool{false, true} {
				equal(x, "Take", x.take("s1", 3), "e1 e2 e3")
				x.reopen(kill)
			}
			equal(x, "Take at last", x.take("s1", 1), "e1")
		}},
		{"ExtendPutsTheEndOff", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3)
			x.items("s1", 2)
			time.Sleep(lease - time.Second)
			x.must(x.store.Extend(x.ctx, "s1", []string{"e1", "e3", "unknown"}, lease))
			time.Sleep(2 * time.Second)
			equal(x, "Take", x.take("s1", 10), "e2 e3")
			time.Sleep(lease - 2*time.Second)
			equal(x, "Take at its end", x.take("s1", 10), "e1")
		}},
		{"MoreTellsWhetherTakeWouldGive", func(x *fixture) {
			x.stream("s1")
			equal(x, "empty", x.more("s1"), false)
			x.put(event("s1", 1, "a"), event("s1", 2, "a"))
			equal(x, "two", x.more("s1"), true)
			equal(x, "two, and More takes nothing", x.take("s1", 1), "e1")
			equal(x, "held back", x.more("s1"), false)
			x.settle("s1", streams.Delivered, "e1")
			equal(x, "free", x.more("s1"), true)
		}},
	}...)
}

// waitCases are about Take with Wait. Each waits, checks that it does, then
// lets the cause come and expects the item at once.
func waitCases() []testCase {
	woken := func(prepare func(*fixture), cause func(*fixture), want string) func(*fixture) {
		return func(x *fixture) {
			x.stream("s1")
			prepare(x)
			first, second := x.eventually("s1"), x.eventually("s1")
			synctest.Wait()
			cause(x)
			a := first()
			b := second()
			if b == want { // either of them may be the lucky one
				a, b = b, a
			}
			equal(x, "the taker that waited", a, want)
			if want != streams.ErrNotFound.Error() {
				equal(x, "the other", b, "nothing: still waiting")
			}
		}
	}
	nothing := func(*fixture) {}
	return []testCase{
		{"WaitWakesOnPut", woken(nothing, func(x *fixture) { x.events("s1", 1) }, "e1")},
		{"WaitWakesOnControlPut", woken(nothing, func(x *fixture) { x.put(control("s1", "c1")) }, "c1")},
		{"WaitWakesOnReturn", woken(func(x *fixture) { x.events("s1", 1); x.items("s1", 1) },
			func(x *fixture) { x.settle("s1", streams.Failed, "e1") }, "e1")},
		{"WaitWakesWhenAKeyIsFree", woken(func(x *fixture) { x.put(event("s1", 1, "a"), event("s1", 2, "a")); x.items("s1", 1) },
			func(x *fixture) { x.settle("s1", streams.Delivered, "e1") }, "e2")},
		{"WaitWakesAtTheEndOfALease", woken(func(x *fixture) { x.put(event("s1", 1, "a"), event("s1", 2, "a")); x.items("s1", 1) },
			func(x *fixture) { time.Sleep(lease) }, "e1 e2")},
		{"WaitWakesOnEnable", woken(func(x *fixture) { x.setStatus("s1", streams.Paused); x.events("s1", 1) },
			func(x *fixture) { x.setStatus("s1", streams.Enabled) }, "e1")},
		{"WaitWakesOnItemsOfUpdate", woken(nothing, func(x *fixture) {
			_, err := x.store.Update(x.ctx, "s1", func(s *streams.Stream) ([]streams.Item, error) {
				s.Status = streams.Paused
				return []streams.Item{updated("s1", "u1")}, nil
			})
			x.must(err)
		}, "u1")},
		{"WaitWakesOnResend", woken(func(x *fixture) { x.events("s1", 1); x.settle("s1", streams.Refused, "e1") },
			func(x *fixture) { x.must(x.store.Resend(x.ctx, "s1", "e1")) }, "e1")},
		{"WaitEndsOnDelete", woken(nothing, func(x *fixture) { x.must(x.store.Delete(x.ctx, "s1")) }, streams.ErrNotFound.Error())},
		{"WaitEndsWithTheContext", func(x *fixture) {
			x.stream("s1")
			ctx, cancel := context.WithTimeout(x.ctx, time.Hour)
			defer cancel()
			begin := time.Now()
			_, err := x.store.Take(ctx, "s1", streams.TakeOptions{Max: 1, Lease: lease, Wait: true})
			x.is("Take", err, context.DeadlineExceeded)
			equal(x, "waited", time.Since(begin), time.Hour)
		}},
		{"WithoutWaitReturnsAtOnce", func(x *fixture) {
			x.stream("s1")
			begin := time.Now()
			equal(x, "Take", x.take("s1", 1), "")
			equal(x, "waited", time.Since(begin), 0)
		}},
	}
}
