package storetest

import (
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

func glanceCases() []testCase {
	return []testCase{
		{"ManyAtOnce", func(x *fixture) {
			for i := range 5 {
				x.stream(fmt.Sprint("s", i), func(s *streams.Stream) { s.Owner = fmt.Sprint("owner", i/2) })
				time.Sleep(time.Second)
			}
			x.events("s1", 1, 2)
			x.events("s3", 1)
			x.items("s3", 1)
			x.settle("s3", streams.Refused, "e1")
			x.events("s4", 1)
			x.items("s4", 1)
			health := streams.Health{Failures: 2, FirstFailure: time.Now(), LastError: "timeout"}
			_, err := x.store.Settle(x.ctx, "s4", []streams.Outcome{{ID: "e1", Verdict: streams.Failed}}, &health)
			x.must(err)
			owners := []string{"owner2", "nobody", "owner0"}
			all, err := streams.OwnedBy(x.ctx, x.store, owners)
			x.must(err)
			var want []streams.Stream
			for _, owner := range owners {
				list, err := x.store.Streams(x.ctx, owner)
				x.must(err)
				want = append(want, list...)
			}
			same(x, "streams of owners", all, want)
			equal(x, "how many", len(all), 3)
			ids := []string{"s4", "nothing", "s3", "s1", "s0"}
			standings, err := streams.Standings(x.ctx, x.store, ids)
			x.must(err)
			equal(x, "standings", len(standings), len(ids))
			for i, id := range ids {
				if id == "nothing" {
					equal(x, "of what is not there", standings[i] == nil, true)
					continue
				}
				depth, err := x.store.Depth(x.ctx, id)
				x.must(err)
				of, err := x.store.Health(x.ctx, id)
				x.must(err)
				one, err := x.store.Stream(x.ctx, id)
				x.must(err)
				same(x, "stream "+id, standings[i].Stream, one)
				same(x, "depth of "+id, standings[i].Depth, depth)
				same(x, "health of "+id, standings[i].Health, of)
			}
			equal(x, "failures", standings[0].Health.Failures, 2)
			equal(x, "dead letters", standings[2].Depth.Dead, 1)
			equal(x, "waiting", standings[3].Depth.Items, 2)
			none, err := streams.Standings(x.ctx, x.store, nil)
			x.must(err)
			equal(x, "none", len(none), 0)
		}},
		{"CountsAndWorstFirst", func(x *fixture) {
			stopped := func(by streams.Party) func(*streams.Stream) {
				return func(s *streams.Stream) { s.Status, s.StatusBy, s.Reason = streams.Paused, by, "because" }
			}
			x.stream("fine")
			x.stream("late")
			x.stream("letters")
			x.stream("quiet", stopped(streams.ByReceiver))
			x.stream("stopped", stopped(streams.ByPolicy), poll)
			x.stream("failing")
			x.stream("recovered")
			begin := time.Now()
			x.events("late", 1)
			time.Sleep(time.Second)
			x.events("letters", 1, 2)
			x.items("letters", 1)
			x.settle("letters", streams.Refused, "e1")
			x.events("quiet", 1)
			x.events("failing", 1)
			x.events("recovered", 1, 2)
			for _, id := range []string{"failing", "recovered"} {
				x.items(id, 1)
				health := streams.Health{Failures: 3, FirstFailure: begin, LastError: "timeout"}
				_, err := x.store.Settle(x.ctx, id, []streams.Outcome{{ID: "e1", Verdict: streams.Failed}}, &health)
				x.must(err)
			}
			x.items("recovered", 1)
			_, err := x.store.Settle(x.ctx, "recovered", []streams.Outcome{{ID: "e1", Verdict: streams.Delivered}}, &streams.Health{})
			x.must(err)
			for range 2 {
				g, err := x.store.Glance(x.ctx, 4)
				x.must(err)
				equal(x, "streams", g.Streams, 7)
				equal(x, "concerns", fmt.Sprint(g.Concerns), fmt.Sprint(map[streams.Concern]int{
					streams.Failing: 1, streams.Stopped: 1, streams.Quiet: 1, streams.Letters: 1, streams.Fine: 3,
				}))
				worst := ""
				for _, l := range g.Worst {
					worst += fmt.Sprintf("%s %s, ", l.Stream.ID, l.Concern)
				}
				equal(x, "worst", worst, "failing failing, stopped stopped, quiet paused by its receiver, letters dead letters, ")
				equal(x, "failures", g.Worst[0].Health.Failures, 3)
				equal(x, "error", g.Worst[0].Health.LastError, "timeout")
				same(x, "depth", g.Worst[0].Depth, streams.Depth{Items: 1, Oldest: begin.Add(time.Second)})
				equal(x, "configuration", g.Worst[1].Stream.Reason, "because")
				same(x, "depth with letters", g.Worst[3].Depth, streams.Depth{Items: 1, Dead: 1, Oldest: begin.Add(time.Second)})
				x.reopen(true)
			}
			g, err := x.store.Glance(x.ctx, 100)
			x.must(err)
			equal(x, "all", len(g.Worst), 7)
			equal(x, "what waits for longest", g.Worst[4].Stream.ID, "late")
			equal(x, "nothing to say", g.Worst[6].Stream.ID, "fine")
			none, err := x.store.Glance(x.ctx, 0)
			x.must(err)
			equal(x, "none", len(none.Worst), 0)
			equal(x, "counted all the same", none.Streams, 7)
		}},
		{"WorstOfMany", func(x *fixture) {
			for i := range 60 {
				x.stream(fmt.Sprintf("s%02d", i))
			}
			for i := range 60 {
				id := fmt.Sprintf("s%02d", (i*37)%60)
				x.events(id, 1)
				time.Sleep(time.Second)
			}
			g, err := x.store.Glance(x.ctx, 3)
			x.must(err)
			equal(x, "streams", g.Streams, 60)
			got := ""
			for _, l := range g.Worst {
				got += l.Stream.ID + " "
			}
			equal(x, "what waits for longest", got, "s00 s37 s14 ")
			x.must(x.store.Delete(x.ctx, "s00"))
			g, err = x.store.Glance(x.ctx, 1)
			x.must(err)
			equal(x, "after a deletion", g.Worst[0].Stream.ID, "s37")
			equal(x, "streams left", g.Streams, 59)
		}},
	}
}
