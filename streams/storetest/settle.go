package storetest

import (
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

func settleCases() []testCase {
	return []testCase{
		{"InAnyOrderAndUnknownIgnored", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3)
			x.items("s1", 3)
			equal(x, "settled", sorted(x.settle("s1", streams.Delivered, "e3", "nonsense", "e1")), "e1 e3")
			equal(x, "again", jtis(x.settle("s1", streams.Delivered, "e3", "e1")), "")
			equal(x, "items", x.depth("s1").Items, 1)
			x.reopen(true)
			equal(x, "Take after a kill", x.take("s1", 10), "e2")
		}},
		{"WhetherOrNotTheLeaseStillRuns", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2)
			x.items("s1", 1)
			time.Sleep(2 * lease)
			equal(x, "settled", sorted(x.settle("s1", streams.Delivered, "e1", "e2")), "e1 e2")
			equal(x, "Take", x.take("s1", 10), "")
		}},
		{"AcknowledgementsOutliveARestart", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3)
			x.put(control("s1", "c1"))
			x.items("s1", 3)
			x.reopen(true)
			equal(x, "settled", sorted(x.settle("s1", streams.Delivered, "e2", "c1")), "c1 e2")
			equal(x, "Take", x.take("s1", 10), "e1 e3")
			x.settle("s1", streams.Delivered, "e3")
			equal(x, "items", x.depth("s1").Items, 1)
		}},
		{"RefusedIsADeadLetter", func(x *fixture) {
			x.stream("s1")
			x.put(event("s1", 1, "k"))
			want := x.items("s1", 1)[0]
			x.settle("s1", streams.Refused, "e1")
			want.Attempts = 1
			now := time.Now()
			x.reopen(true)
			page, next, err := x.store.DeadLetters(x.ctx, "s1", "", 10)
			x.must(err)
			equal(x, "next", next, "")
			same(x, "dead letters", page, []streams.DeadLetter{{Item: want, Code: "code", Description: "text", At: now}})
			equal(x, "Take", x.take("s1", 10), "")
		}},
		{"FailedCountsAnAttemptReleasedDoesNot", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3)
			x.items("s1", 2)
			equal(x, "returned", sorted(x.settle("s1", streams.Failed, "e1")), "e1")
			equal(x, "returned", sorted(x.settle("s1", streams.Released, "e2")), "e2")
			for range 2 {
				got := x.items("s1", 3)
				equal(x, "Take", jtis(got), "e1 e2 e3")
				equal(x, "attempts of e1", got[0].Attempts, 1)
				equal(x, "attempts of e2", got[1].Attempts, 0)
				x.reopen(true)
			}
		}},
		{"ExpiredLeaseCountsNoAttempt", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1)
			x.items("s1", 1)
			time.Sleep(lease)
			equal(x, "attempts", x.items("s1", 1)[0].Attempts, 0)
		}},
		{"FailedWithAfterHidesItemAndKey", func(x *fixture) {
			x.stream("s1")
			x.put(event("s1", 1, "a"), event("s1", 2, "a"), event("s1", 3, "b"))
			x.items("s1", 1)
			_, err := x.store.Settle(x.ctx, "s1", []streams.Outcome{{ID: "e1", Verdict: streams.Failed, After: 10 * time.Minute}}, nil)
			x.must(err)
			equal(x, "Take", x.take("s1", 10), "e3")
			x.settle("s1", streams.Delivered, "e3")
			time.Sleep(10*time.Minute - time.Second)
			equal(x, "Take before", x.take("s1", 10), "")
			got := x.eventually("s1")
			time.Sleep(time.Second)
			equal(x, "Take after", got(), "e1 e2")
			_, err = x.store.Settle(x.ctx, "s1", []streams.Outcome{{ID: "e1", Verdict: streams.Failed, After: time.Hour}}, nil)
			x.must(err)
			x.reopen(true)
			equal(x, "after a restart", x.take("s1", 10), "e1 e2")
		}},
		{"HealthIsReplacedAndDurable", func(x *fixture) {
			x.stream("s1")
			h, err := x.store.Health(x.ctx, "s1")
			x.must(err)
			equal(x, "health at first", h, streams.Health{})
			now := time.Now().UTC()
			want := streams.Health{Failures: 3, FirstFailure: now, NextDue: now.Add(time.Hour), Refusals: 2, LastError: "timeout"}
			_, err = x.store.Settle(x.ctx, "s1", nil, &want)
			x.must(err)
			x.settle("s1", streams.Failed, "unknown")
			for range 2 {
				h, err = x.store.Health(x.ctx, "s1")
				x.must(err)
				same(x, "health", h, want)
				x.reopen(true)
			}
			_, err = x.store.Settle(x.ctx, "s1", nil, &streams.Health{})
			x.must(err)
			x.reopen(true)
			h, err = x.store.Health(x.ctx, "s1")
			x.must(err)
			equal(x, "health at the end", h, streams.Health{})
		}},
		{"VerdictsTogether", func(x *fixture) {
			x.stream("s1")
			x.events("s1", 1, 2, 3, 4)
			x.items("s1", 4)
			items, err := x.store.Settle(x.ctx, "s1", []streams.Outcome{
				{ID: "e4", Verdict: streams.Released},
				{ID: "e1", Verdict: streams.Delivered},
				{ID: "e3", Verdict: streams.Failed},
				{ID: "e2", Verdict: streams.Refused},
			}, &streams.Health{Failures: 1})
			x.must(err)
			equal(x, "left or returned", sorted(items), "e1 e2 e3 e4")
			d := x.depth("s1")
			equal(x, "items", d.Items, 2)
			equal(x, "leased", d.Leased, 0)
			equal(x, "dead", d.Dead, 1)
			equal(x, "Take", x.take("s1", 10), "e3 e4")
		}},
	}
}
