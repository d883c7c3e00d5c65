package redisstore_test

import (
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// A receiver that polls and acknowledges nothing has as much out as it likes. What it costs
// the server when all of that returns, because leases end or the process that gave it out
// begins anew, is spread over calls: none of them keeps the server from all others.
func TestMuchThatReturns(t *testing.T) {
	const n, perCall = 3000, 1024 + 512 // a page of a scan may be larger than asked
	for _, tt := range []struct {
		name    string
		returns func(now *time.Time, store func() *redisstore.Store) *redisstore.Store
	}{
		{"leases end", func(now *time.Time, store func() *redisstore.Store) *redisstore.Store {
			*now = now.Add(2 * lease)
			return store()
		}},
		{"a process begins anew", func(_ *time.Time, store func() *redisstore.Store) *redisstore.Store { return store() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, now := redistest.Start(t), time.Now()
			open := func() *redisstore.Store {
				return on(t, server, redisstore.Config{Node: "a", Now: func() time.Time { return now }})
			}
			s := open()
			must(t, s.Create(t.Context(), streamOf("s"), 0))
			items := make([]streams.Item, n)
			for i := range items {
				items[i] = eventOf("s", uint64(i+1), i%2500)
			}
			_, err := s.Put(t.Context(), items...)
			must(t, err)
			for out := 0; out < n; {
				some := take(t, s, "s", 1000)
				if len(some) == 0 {
					break // the others are blocked
				}
				out += len(some)
			}
			before, err := s.Depth(t.Context(), "s")
			must(t, err)
			if before.Leased <= perCall {
				t.Fatalf("got %d out, want more than one call returns", before.Leased)
			}
			s = tt.returns(&now, open)
			leased := before.Leased
			for leased > 0 {
				d, err := s.Depth(t.Context(), "s")
				must(t, err)
				if back := leased - d.Leased; back > perCall || back == 0 {
					t.Fatalf("got %d items back in one call, want some, and at most %d", back, perCall)
				}
				leased = d.Leased
			}
			got, last := 0, map[string]uint64{}
			for got < n {
				some := take(t, s, "s", 1000)
				if len(some) == 0 {
					t.Fatalf("got %d items, want all %d", got, n)
				}
				var outcomes []streams.Outcome
				for _, it := range some {
					if it.Pos.Seq <= last[it.OrderKey] {
						t.Fatalf("got %d after %d of one key", it.Pos.Seq, last[it.OrderKey])
					}
					last[it.OrderKey] = it.Pos.Seq
					outcomes = append(outcomes, streams.Outcome{ID: it.ID})
				}
				got += len(some)
				_, err := s.Settle(t.Context(), "s", outcomes, nil)
				must(t, err)
			}
		})
	}
}
