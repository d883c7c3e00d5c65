package redisjournal_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
	memory, cpu := info(b, c, "used_memory"), info(b, c, "used_cpu_user")+info(b, c, "used_cpu_sys")
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
	used := info(b, c, "used_cpu_user") + info(b, c, "used_cpu_sys") - cpu
	for part := range slices.Chunk(answers, 1000) {
		if err := c.Del(b.Context(), part...).Err(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((info(b, c, "used_memory")-memory)/n, "B/entry")
	b.ReportMetric(used*1e6/n, "cpu-µs/entry")
}

func info(b *testing.B, c redis.UniversalClient, name string) float64 {
	b.Helper()
	raw, err := c.Info(b.Context()).Result()
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.Split(raw, "\r\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+":") })
	if i < 0 {
		b.Fatalf("got no %s from the server", name)
	}
	v, err := strconv.ParseFloat(strings.TrimPrefix(lines[i], name+":"), 64)
	if err != nil {
		b.Fatal(err)
	}
	return v
}
