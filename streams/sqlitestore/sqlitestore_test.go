package sqlitestore_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
)

func open(t testing.TB) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(t.TempDir(), "state.db")})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestFirstWay(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Create(ctx, streams.Stream{ID: "a", Owner: "o", EventsDelivered: []string{"t"}, Status: streams.Enabled,
		DefaultSubjects: streams.SubjectsNone, Delivery: streams.Delivery{Method: delivery.MethodPush}}, 0))
	must(s.Add(ctx, "a", subject.Email("x@example.com"), 0))
	c, err := s.Match(ctx, streams.Query{Seq: 1, Type: "t", Subjects: []subject.Identifier{subject.Opaque("z"), subject.Email("x@example.com")}})
	must(err)
	if len(c) != 1 || c[0].Subject != 1 {
		t.Fatalf("got %+v, want stream a by subject 1", c)
	}
	for i := range 10 {
		_, err = s.Put(ctx, streams.Item{Stream: "a", Pos: streams.Position{Seq: uint64(i + 1)}, ID: fmt.Sprint("j", i), Type: "t", OrderKey: fmt.Sprint(i % 3), Added: time.Now()})
		must(err)
	}
	ids, err := s.Ready(ctx, 5)
	must(err)
	if len(ids) != 1 {
		t.Fatalf("got %v, want one ready stream", ids)
	}
	got, err := s.Take(ctx, "a", streams.TakeOptions{Max: 4, Lease: time.Minute})
	must(err)
	if len(got) != 4 {
		t.Fatalf("got %d items, want 4", len(got))
	}
	var outcomes []streams.Outcome
	for _, it := range got {
		outcomes = append(outcomes, streams.Outcome{ID: it.ID})
	}
	_, err = s.Settle(ctx, "a", outcomes, nil)
	must(err)
	d, err := s.Depth(ctx, "a")
	must(err)
	if d.Items != 6 || d.Leased != 0 {
		t.Fatalf("got %+v, want 6 items", d)
	}
}

func BenchmarkPutTakeSettle(b *testing.B) {
	s := open(b)
	ctx := b.Context()
	const batch, nstreams = 128, 20
	for i := range nstreams {
		if err := s.Create(ctx, streams.Stream{ID: fmt.Sprint("s", i), Owner: "o", Status: streams.Enabled, Delivery: streams.Delivery{Method: delivery.MethodPush}}, 0); err != nil {
			b.Fatal(err)
		}
	}
	seq := uint64(0)
	b.ReportAllocs()
	for n := 0; n < b.N; n += batch {
		items := make([]streams.Item, batch)
		per := map[string]bool{}
		for i := range items {
			seq++
			id := fmt.Sprint("s", i%nstreams)
			per[id] = true
			items[i] = streams.Item{Stream: id, Pos: streams.Position{Seq: seq}, ID: fmt.Sprintf("abcdefghijklmnopqrstuvwxyz0123456789%08d", seq),
				Type: "https://schemas.openid.net/secevent/caep/event-type/session-revoked", OrderKey: fmt.Sprintf(`{"format":"email","email":"user%d@example.com"}`, seq), Added: time.Now()}
		}
		if _, err := s.Put(ctx, items...); err != nil {
			b.Fatal(err)
		}
		for id := range per {
			got, err := s.Take(ctx, id, streams.TakeOptions{Max: 32, Lease: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			outcomes := make([]streams.Outcome, len(got))
			for i := range got {
				outcomes[i].ID = got[i].ID
			}
			if _, err := s.Settle(ctx, id, outcomes, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
}
