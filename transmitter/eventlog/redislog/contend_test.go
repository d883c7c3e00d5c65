package redislog_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// Processes that append without a pause all get on, also one that is farther from the
// server than the others: every append of it meets a log that has grown meanwhile.
func TestContention(t *testing.T) {
	server := redistest.Start(t)
	far := server.StartLine(t)
	far.Delay(t, 3*time.Millisecond)
	var logs []*redislog.Log
	for _, addr := range []string{server.Addr, server.Addr, far.Addr} {
		logs = append(logs, open(t, redisdb.Config{URL: "redis://" + addr, Volatile: true}, redislog.Config{}))
	}
	const total = 600
	var all atomic.Int64
	shares, slowest := make([]int, len(logs)), make([]time.Duration, len(logs))
	var wg sync.WaitGroup
	began := time.Now()
	for i, l := range logs {
		wg.Go(func() {
			for n := 0; all.Add(1) <= total; n++ {
				began := time.Now()
				if _, err := l.Append(t.Context(), event(10_000*i+n)); err != nil {
					t.Errorf("process %d: got %v, want no error", i, err)
					return
				}
				shares[i]++
				slowest[i] = max(slowest[i], time.Since(began))
			}
		})
	}
	wg.Wait()
	t.Logf("%d appends in %v: %v of each process, the slowest took %v", total, time.Since(began), shares, slowest)
	// An append of the far one takes two exchanges of 3 ms at the least.
	for i, least := range []int{total / 4, total / 4, total / 60} {
		if shares[i] < least {
			t.Errorf("process %d: got %d of %d appends, want %d or more", i, shares[i], total, least)
		}
	}
}

// BenchmarkContention measures the appends per second of processes that append without a
// pause, each for 64 callers.
func BenchmarkContention(b *testing.B) {
	for _, processes := range []int{1, 2, 3} {
		b.Run(fmt.Sprint("processes=", processes), func(b *testing.B) {
			server := redistest.Start(b)
			var logs []*redislog.Log
			for range processes {
				logs = append(logs, open(b, plain(server), redislog.Config{}))
			}
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for _, l := range logs {
				for range 64 {
					wg.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if _, err := l.Append(b.Context(), event(int(n))); err != nil {
								b.Error(err)
							}
						}
					})
				}
			}
			wg.Wait()
			b.ReportMetric(redistest.CPU(b, server.Client(b))*1e6/float64(b.N), "server-µs/event")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// A process that died when it was its turn holds the others up for a moment alone.
func TestTurnOfTheDead(t *testing.T) {
	server := redistest.Start(t)
	l := open(t, plain(server), redislog.Config{})
	add(t, l, event(1))
	began := time.Now()
	if err := server.Client(t).Set(t.Context(), "tocsin:{log}:turn", "the dead", 100*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if a := add(t, l, event(2)); a.Seq != 2 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("got %+v after %v, want it appended when the turn has passed", a, time.Since(began))
	}
}
