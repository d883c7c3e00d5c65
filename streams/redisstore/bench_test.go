package redisstore_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

const typeA = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

// opened is a store on a server of its own.
func opened(t testing.TB, cfg redisstore.Config) (*redisstore.Store, redis.UniversalClient) {
	t.Helper()
	server := redistest.Start(t)
	db, err := redisdb.Open(t.Context(), redisdb.Config{URL: "redis://" + server.Addr, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	cfg.DB = db
	s, err := redisstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		_ = db.Close()
	})
	return s, server.Client(t)
}

// streamOf is an enabled push stream as applications have them.
func streamOf(id string, change ...func(*streams.Stream)) streams.Stream {
	types := []string{typeA, "https://schemas.openid.net/secevent/caep/event-type/credential-change", "https://schemas.openid.net/secevent/risc/event-type/account-disabled"}
	s := streams.Stream{
		ID: id, Owner: "app-" + id, Issuer: "https://tx.example", Audience: []string{"https://rx.example"},
		EventsSupported: types, EventsRequested: types, EventsDelivered: types,
		Delivery:        streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://rx.example/events", AuthorizationHeader: "Bearer 0123456789abcdef0123456789abcdef"},
		DefaultSubjects: streams.SubjectsNone, Status: streams.Enabled, StatusBy: streams.ByReceiver, Epoch: 1,
		Created: time.Now().UTC(), Active: time.Now().UTC(),
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

// eventOf is an item as fan-out puts it: a jti of a keyed hash, the subject as order key.
func eventOf(stream string, seq uint64, who int) streams.Item {
	jti := make([]byte, 32)
	for i := range jti {
		jti[i] = byte(rand.IntN(256))
	}
	return streams.Item{
		Stream: stream, Epoch: 1, Pos: streams.Position{Seq: seq}, ID: base64.RawURLEncoding.EncodeToString(jti), Type: typeA,
		OrderKey: subject.Email(fmt.Sprintf("user%d@example.com", who)).Canonical(), Added: time.Now(),
	}
}

// BenchmarkQueue puts events on 20 queues in batches of 256 and drains them as push does,
// 32 at a time. It reports the server's CPU for each, and its memory for one that waits.
func BenchmarkQueue(b *testing.B) {
	for _, keys := range []struct {
		name string
		of   func(i int) int
	}{
		{"subjects", func(i int) int { return i }},
		{"hot", func(int) int { return 0 }}, // one subject
	} {
		b.Run(keys.name, func(b *testing.B) {
			s, c := opened(b, redisstore.Config{})
			var ids []string
			for i := range 20 {
				ids = append(ids, fmt.Sprint("stream-", i))
				must(b, s.Create(b.Context(), streamOf(ids[i]), 0))
			}
			empty, cpu := memory(b, c), redistest.CPU(b, c)
			var batch []streams.Item
			for i := range b.N {
				batch = append(batch, eventOf(ids[i%len(ids)], uint64(i+1), keys.of(i)))
				if len(batch) == 256 || i == b.N-1 {
					_, err := s.Put(b.Context(), batch...)
					must(b, err)
					batch = batch[:0]
				}
			}
			put := redistest.CPU(b, c)
			full := memory(b, c)
			for _, id := range ids {
				for {
					items, err := s.Take(b.Context(), id, streams.TakeOptions{Max: 32, Lease: time.Minute})
					must(b, err)
					if len(items) == 0 {
						break
					}
					var outcomes []streams.Outcome
					for _, it := range items {
						outcomes = append(outcomes, streams.Outcome{ID: it.ID})
					}
					_, err = s.Settle(b.Context(), id, outcomes, nil)
					must(b, err)
				}
			}
			n := float64(b.N)
			b.ReportMetric((full-empty)/n, "B/item")
			b.ReportMetric((put-cpu)*1e6/n, "cpu-µs/put")
			b.ReportMetric((redistest.CPU(b, c)-put)*1e6/n, "cpu-µs/take+settle")
		})
	}
}

// BenchmarkStreams reports the server's memory for a stream, and for a subject of one.
func BenchmarkStreams(b *testing.B) {
	s, c := opened(b, redisstore.Config{})
	empty := memory(b, c)
	for i := range b.N {
		must(b, s.Create(b.Context(), streamOf(fmt.Sprintf("stream-%022d", i)), 0))
	}
	b.ReportMetric((memory(b, c)-empty)/float64(b.N), "B/stream")
}

func BenchmarkSubjects(b *testing.B) {
	s, c := opened(b, redisstore.Config{})
	must(b, s.Create(b.Context(), streamOf("s"), 0))
	for _, kind := range []struct {
		name string
		of   func(i int) subject.Identifier
	}{
		{"email", func(i int) subject.Identifier { return subject.Email(fmt.Sprintf("user%d@example.com", i)) }},
		{"complex", func(i int) subject.Identifier {
			id, err := subject.Complex(map[string]subject.Identifier{"user": subject.Email(fmt.Sprintf("user%d@example.com", i)), "tenant": subject.Opaque("t1")})
			must(b, err)
			return id
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			empty, cpu := memory(b, c), redistest.CPU(b, c)
			for i := range b.N {
				must(b, s.Add(b.Context(), "s", kind.of(i), 0))
			}
			b.ReportMetric((memory(b, c)-empty)/float64(b.N), "B/subject")
			b.ReportMetric((redistest.CPU(b, c)-cpu)*1e6/float64(b.N), "cpu-µs/add")
			cpu = redistest.CPU(b, c)
			for i := range b.N {
				found, err := s.Match(b.Context(), streams.Query{Seq: 1, Type: typeA, Subjects: []subject.Identifier{kind.of(i)}})
				must(b, err)
				if len(found) != 1 {
					b.Fatalf("got %d streams, want one", len(found))
				}
			}
			b.ReportMetric((redistest.CPU(b, c)-cpu)*1e6/float64(b.N), "cpu-µs/match16")
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory is what the server needs, without answers that it forgets soon.
func memory(t testing.TB, c redis.UniversalClient) float64 {
	t.Helper()
	list, err := c.Keys(t.Context(), "*:answer:*").Result()
	must(t, err)
	for part := range slices.Chunk(list, 1000) {
		must(t, c.Del(t.Context(), part...).Err())
	}
	return redistest.Memory(t, c)
}
