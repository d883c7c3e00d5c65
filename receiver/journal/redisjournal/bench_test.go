package redisjournal_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/redisjournal"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// BenchmarkJournal records entries one by one, each after what is known of its event was
// asked, as hooks come. It reports the server's CPU and memory for each.
func BenchmarkJournal(b *testing.B) {
	s := redistest.Start(b)
	c := s.Client(b)
	db, err := redisdb.Open(b.Context(), redisdb.Config{URL: "redis://" + s.Addr, Volatile: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	j, err := redisjournal.New(redisjournal.Config{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	memory, cpu := redistest.Memory(b, c), redistest.CPU(b, c)
	for i := range b.N {
		e := journal.Entry{
			Event: journal.Event{Feed: "okta", Issuer: "https://transmitter.example", ID: "event-" + strconv.Itoa(i)},
			Type:  "https://schemas.openid.net/secevent/caep/event-type/session-revoked", TransactionID: "transaction-" + strconv.Itoa(i),
			Scope: "user", Time: time.Now(), Rule: "session-revoked", Hook: "redis", Effect: "end", Verdict: journal.Done, Attempt: 1, Ended: 1,
			Detail: "1 key deleted", At: time.Now(), Took: 12 * time.Millisecond,
		}
		if _, err := j.Of(b.Context(), e.Event); err != nil {
			b.Fatal(err)
		}
		if err := j.Record(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N)
	// What repeated calls would get again ends by itself.
	answers, err := c.Keys(b.Context(), "*:answer:*").Result()
	if err != nil {
		b.Fatal(err)
	}
	used := redistest.CPU(b, c) - cpu
	for part := range slices.Chunk(answers, 1000) {
		if err := c.Del(b.Context(), part...).Err(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((redistest.Memory(b, c)-memory)/n, "B/entry")
	b.ReportMetric(used*1e6/n, "cpu-µs/entry")
}
