package sqlitestore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
)

const (
	typeA = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	typeB = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
)

// populate creates n streams with many calls at once.
func populate(t testing.TB, s *sqlitestore.Store, n int, make func(i int) streams.Stream, then func(id string, i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	next := newCounter(n)
	for range 64 {
		wg.Go(func() {
			for i, ok := next(); ok; i, ok = next() {
				st := make(i)
				if err := s.Create(t.Context(), st, 0); err != nil {
					t.Errorf("create: %v", err)
					return
				}
				if then == nil {
					continue
				}
				if err := then(st.ID, i); err != nil {
					t.Errorf("fill: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// newCounter hands out 0 to n-1.
func newCounter(n int) func() (int, bool) {
	var mu sync.Mutex
	i := -1
	return func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		i++
		return i, i < n
	}
}

// user is the subject of the i-th stream.
func user(i int) subject.Identifier { return subject.Email(fmt.Sprintf("user%d@example.com", i)) }

// crowd makes n streams that an event of typeA about user(-1) does not match.
func crowd(t testing.TB, s *sqlitestore.Store, n int) {
	populate(t, s, n, func(i int) streams.Stream {
		st := streams.Stream{
			ID: fmt.Sprint("crowd", i), Owner: fmt.Sprint("app", i%100), Audience: []string{"a"}, Status: streams.Enabled,
			EventsDelivered: []string{typeA}, DefaultSubjects: streams.SubjectsNone, Delivery: streams.Delivery{Method: delivery.MethodPush},
		}
		if i%2 == 0 {
			st.DefaultSubjects, st.EventsDelivered = streams.SubjectsAll, []string{typeB}
		}
		return st
	}, func(id string, i int) error {
		if i%2 == 0 {
			return nil
		}
		return s.Add(t.Context(), id, user(i), 0)
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("others=%d", n), func(b *testing.B) {
			s := open(b)
			crowd(b, s, n)
			populate(b, s, 2, func(i int) streams.Stream {
				st := streams.Stream{
					ID: fmt.Sprint("mine", i), Owner: "mine", Audience: []string{"a"}, Status: streams.Enabled,
					EventsDelivered: []string{typeA}, DefaultSubjects: streams.SubjectsAll,
				}
				if i == 1 {
					st.DefaultSubjects = streams.SubjectsNone
				}
				return st
			}, func(id string, i int) error {
				if i == 0 {
					return nil
				}
				return s.Add(b.Context(), id, user(-1), 0)
			})
			q := streams.Query{Seq: 1, Type: typeA, Subjects: []subject.Identifier{subject.Opaque("42"), user(-1)}}
			b.ReportAllocs()
			for b.Loop() {
				found, err := s.Match(b.Context(), q)
				if err != nil || len(found) != 2 {
					b.Fatalf("got %v, %v, want two streams", found, err)
				}
			}
		})
	}
}

// BenchmarkPutTakeSettle is the way of one item through a queue, in batches
// as fan-out and sender make them.
func BenchmarkPutTakeSettle(b *testing.B) {
	const batch, nstreams = 128, 20
	for _, backlog := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("backlog=%d", backlog), func(b *testing.B) {
			s := open(b)
			populate(b, s, nstreams, func(i int) streams.Stream {
				return streams.Stream{ID: fmt.Sprint("s", i), Owner: "o", Status: streams.Enabled, Delivery: streams.Delivery{Method: delivery.MethodPush}}
			}, nil)
			seq := uint64(0)
			put := func() {
				items := make([]streams.Item, batch)
				for i := range items {
					seq++
					items[i] = streams.Item{
						Stream: fmt.Sprint("s", i%nstreams), Pos: streams.Position{Seq: seq}, Type: typeA,
						ID:       fmt.Sprintf("abcdefghijklmnopqrstuvwxyz0123456789%08d", seq),
						OrderKey: user(int(seq)).Canonical(), Added: time.Now(),
					}
				}
				if _, err := s.Put(b.Context(), items...); err != nil {
					b.Fatal(err)
				}
			}
			for int(seq) < backlog {
				put()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batch {
				put()
				for i := range nstreams {
					id := fmt.Sprint("s", i)
					got, err := s.Take(b.Context(), id, streams.TakeOptions{Max: 7, Lease: time.Minute})
					if err != nil {
						b.Fatal(err)
					}
					outcomes := make([]streams.Outcome, len(got))
					for i := range got {
						outcomes[i].ID = got[i].ID
					}
					if _, err := s.Settle(b.Context(), id, outcomes, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
