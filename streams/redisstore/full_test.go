package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// Where the server's memory is full nothing is put, and what waits still leaves, by who
// holds the partition: else the memory would be full for ever.
func TestFullMemoryDrains(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	j := join(t, redisdb.Config{URL: server.URL() + poolSize, Volatile: true}, redisstore.Config{Lease: time.Second, Look: 50 * time.Millisecond})
	must(t, j.Create(t.Context(), streamOf("s"), 0))
	begun := j.works(t, "s")
	p := <-begun
	_, err := p.Put(t.Context(), eventOf("s", 1, 1), eventOf("s", 2, 2), eventOf("s", 3, 3))
	must(t, err)

	must(t, c.ConfigSet(t.Context(), "maxmemory", "1mb").Err()) // it uses more by itself
	t.Cleanup(func() { _ = c.ConfigSet(t.Context(), "maxmemory", "0").Err() })
	if _, err := p.Put(t.Context(), eventOf("s", 4, 4)); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("got %v of a Put while memory is full, want a refusal", err)
	}
	if ids, err := p.Ready(t.Context(), 9); len(ids) != 1 || err != nil {
		t.Errorf("got %v, %v ready, want the stream", ids, err)
	}
	until := leaseEnd(t, j, "s")
	for n := range 2 {
		items, err := p.Take(t.Context(), "s", streams.TakeOptions{Max: 1, Lease: lease})
		must(t, err)
		if len(items) != 1 {
			t.Fatalf("got %d items, want one", len(items))
		}
		verdict := streams.Outcome{ID: items[0].ID, Verdict: streams.Delivered}
		if n == 1 {
			verdict.Verdict = streams.Refused
		}
		_, err = p.Settle(t.Context(), "s", []streams.Outcome{verdict}, &streams.Health{Refusals: n})
		must(t, err)
	}
	must(t, p.SaveCursor(t.Context(), "f", 3))
	set(t, j, "s", func(s *streams.Stream) { s.Status = streams.Paused })
	if n, err := j.Purge(t.Context(), "s"); n != 1 || err != nil {
		t.Errorf("got %d purged, %v, want one", n, err)
	}
	for end := time.Now().Add(10 * time.Second); leaseEnd(t, j, "s") == until; <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("got the lease not renewed while memory is full, want it renewed")
		}
	}
	select {
	case <-p.ctx.Done():
		t.Error("got the partition lost, want it held")
	default:
	}
	must(t, j.Delete(t.Context(), "s"))
}

// leaseEnd is when the lease of a stream's partition ends, as the server has it.
func leaseEnd(t *testing.T, j *joined, stream string) string {
	t.Helper()
	end, err := j.db.Client().HGet(t.Context(), redisstore.LeaseKey(j.Store, stream), "until").Result()
	must(t, err)
	return end
}
