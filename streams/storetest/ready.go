package storetest

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// readyCases are about Ready. In each the stream has no cause left; Ready
// waits, the cause comes, and Ready must tell of it at once.
func readyCases() []testCase {
	told := func(prepare func(*fixture), cause func(*fixture)) func(*fixture) {
		return func(x *fixture) {
			x.stream("s1")
			x.stream("idle")
			prepare(x)
			x.ready()
			done := make(chan string, 1)
			go func() {
				ids, err := x.store.Ready(x.ctx, 10)
				done <- fmt.Sprint(ids, err)
			}()
			synctest.Wait()
			select {
			case got := <-done:
				x.Fatalf("before the cause: got %s, want Ready to wait", got)
			default:
			}
			cause(x)
			select {
			case got := <-done:
				equal(x, "Ready", got, "[s1] <nil>")
			case <-time.After(patience):
				x.Errorf("got nothing, want s1 at once")
			}
		}
	}
	backOff := func(x *fixture, d time.Duration) {
		h := streams.Health{Failures: 1}
		if d > 0 {
			h.NextDue = time.Now().Add(d)
		}
		_, err := x.store.Settle(x.ctx, "s1", nil, &h)
		x.must(err)
	}
	nothing := func(*fixture) {}
	return []testCase{
		{"TellsOfAPut", told(nothing, func(x *fixture) { x.events("s1", 1) })},
		{"TellsOfAControlPut", told(nothing, func(x *fixture) { x.put(control("s1", "c1")) })},
		{"TellsOfAReturn", told(func(x *fixture) { x.events("s1", 1); x.items("s1", 1) },
			func(x *fixture) { x.settle("s1", streams.Failed, "e1") })},
		{"TellsOfAKeyThatIsFree", told(func(x *fixture) { x.put(event("s1", 1, "a"), event("s1", 2, "a")); x.items("s1", 1) },
			func(x *fixture) { x.settle("s1", streams.Delivered, "e1") })},
		{"TellsOfAnEndedLease", told(func(x *fixture) { x.events("s1", 1); x.items("s1", 1) },
			func(*fixture) { time.Sleep(lease) })},
		{"TellsOfAnEndOfAfter", told(func(x *fixture) {
			x.events("s1", 1)
			_, err := x.store.Settle(x.ctx, "s1", []streams.Outcome{{ID: "e1", Verdict: streams.Failed, After: time.Hour}}, nil)
			x.must(err)
		}, func(*fixture) { time.Sleep(time.Hour) })},
		{"TellsOfNextDue", told(func(x *fixture) { x.events("s1", 1); backOff(x, time.Hour) },
			func(*fixture) { time.Sleep(time.Hour) })},
		{"TellsOfNextDueAfterARestart", told(func(x *fixture) { x.events("s1", 1); backOff(x, time.Hour); x.reopen(true) },
			func(*fixture) { time.Sleep(time.Hour) })},
		{"TellsWhenBackOffIsLifted", told(func(x *fixture) { x.events("s1", 1); backOff(x, time.Hour) },
			func(x *fixture) { backOff(x, 0) })},
		{"TellsOfEnable", told(func(x *fixture) { x.setStatus("s1", streams.Paused); x.events("s1", 1) },
			func(x *fixture) { x.setStatus("s1", streams.Enabled) })},
		{"TellsOfPush", told(func(x *fixture) { x.update("s1", poll); x.events("s1", 1) },
			func(x *fixture) { x.update("s1", func(s *streams.Stream) { s.Delivery.Method = delivery.MethodPush }) })},
		{"TellsOfAWebhook", told(func(x *fixture) { x.update("s1", poll); x.events("s1", 1) },
			func(x *fixture) {
				x.update("s1", func(s *streams.Stream) { s.Delivery.Method = streams.MethodWebhook })
			})},
		{"TellsOfStreamUpdated", told(nothing, func(x *fixture) {
			_, err := x.store.Update(x.ctx, "s1", func(s *streams.Stream) ([]streams.Item, error) {
				s.Status = streams.Disabled
				return []streams.Item{updated("s1", "u1")}, nil
			})
			x.must(err)
		})},
		{"TellsOfAResend", told(func(x *fixture) { x.events("s1", 1); x.settle("s1", streams.Refused, "e1") },
			func(x *fixture) { x.must(x.store.Resend(x.ctx, "s1", "e1")) })},
		{"TellsOfWorkWhenOpened", func(x *fixture) {
			for _, id := range []string{"s1", "s2", "empty", "held"} {
				x.stream(id)
			}
			x.stream("poll", poll)
			x.put(event("s1", 1, ""), event("s2", 1, ""), event("poll", 1, ""), event("held", 1, ""))
			x.setStatus("held", streams.Paused)
			equal(x, "Ready", x.ready(), "s1 s2")
			x.items("s1", 1)
			x.reopen(false)
			equal(x, "Ready after a restart", x.ready(), "s1 s2")
			x.reopen(true)
			equal(x, "Ready after a kill", x.ready(), "s1 s2")
		}},
		{"OncePerCauseAndUpToMax", func(x *fixture) {
			for i := range 5 {
				x.stream(fmt.Sprint("s", i))
				x.events(fmt.Sprint("s", i), 1)
			}
			seen := make(map[string]int)
			for _, want := range []int{2, 2, 1} {
				ids, err := x.store.Ready(x.ctx, 2)
				x.must(err)
				equal(x, "streams", len(ids), want)
				for _, id := range ids {
					seen[id]++
				}
			}
			equal(x, "different streams", len(seen), 5)
			equal(x, "without a new cause", x.ready(), "")
			x.events("s3", 2)
			equal(x, "with a new cause", x.ready(), "s3")
		}},
		{"NotWhileBackingOff", func(x *fixture) {
			x.stream("s1")
			backOff(x, time.Hour)
			x.events("s1", 1)
			equal(x, "Ready", x.ready(), "")
			equal(x, "a Take is free to probe", x.take("s1", 1), "e1")
		}},
		{"NotForPollOrWithoutWork", func(x *fixture) {
			x.stream("poll", poll)
			x.stream("held", paused)
			x.stream("s1")
			x.put(event("poll", 1, ""), event("held", 1, ""), event("s1", 1, ""))
			x.items("s1", 1)
			equal(x, "Ready", x.ready(), "")
		}},
		{"EndsWithTheContext", func(x *fixture) {
			ctx, cancel := context.WithTimeout(x.ctx, time.Hour)
			defer cancel()
			_, err := x.store.Ready(ctx, 1)
			x.is("Ready", err, context.DeadlineExceeded)
		}},
		{"SeveralWaitersShareTheWork", func(x *fixture) {
			const n = 8
			got := make(chan string, n)
			for range n {
				go func() {
					ids, err := x.store.Ready(x.ctx, 1)
					if err == nil {
						got <- ids[0]
					}
				}()
			}
			var items []streams.Item
			for i := range n {
				id := fmt.Sprint("s", i)
				x.stream(id)
				items = append(items, event(id, 1, ""))
			}
			synctest.Wait()
			x.put(items...)
			seen := make(map[string]bool)
			for range n {
				select {
				case id := <-got:
					seen[id] = true
				case <-time.After(patience):
					x.Fatalf("got %d streams, want %d", len(seen), n)
				}
			}
			equal(x, "different streams", len(seen), n)
		}},
	}
}
