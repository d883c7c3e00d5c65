// Package indextest is the suite that every index of the event log passes: the
// comments of eventlog.Index, each against a naive oracle on random events.
package indextest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Store is an empty log with its index under test, which nobody runs yet.
type Store struct {
	Log   eventlog.Log
	Index eventlog.Index
	// Kill ends both as a kill would, nothing closed or flushed, and opens what
	// is on the disk into Log and Index.
	Kill func()
}

// Factory makes an empty store; what it opens is closed by tb.Cleanup.
type Factory func(tb testing.TB) *Store

// Run runs the suite.
func Run(t *testing.T, make Factory) {
	for _, c := range []struct {
		name, rule string
		run        func(tb testing.TB, s *Store)
	}{
		{"oracle", "Search answers as a look at every event would, at whatever place the index is", searchOracle},
		{"paging", "Pages either way are the whole answer once, whatever arrives meanwhile", searchPaging},
		{"empty", "An empty log has no events, and an empty query wants all", searchEmpty},
		{"annotations", "Annotations count as soon as they are noted", searchAnnotations},
		{"views", "What an application said of an event is seen by it and by operators alone", searchViews},
		{"of", "Of returns what mentions a subject, in the order of the log, within bounds", of},
		{"forget", "What was erased and forgotten is not found, nor after a rebuild", forget},
		{"rebuild", "A rebuilt index answers as before", rebuild},
		{"kill", "A kill at any time loses nothing", kill},
		{"wait", "Wait returns once the record is indexed, or with its context", wait},
		{"cancel", "Search ends with its context", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("rule: %s", c.rule)
			c.run(t, make(t))
		})
	}
}

// patience bounds what must happen soon, on a slow machine too.
const patience = 60 * time.Second

// random returns a source of random numbers that a failure can be repeated with.
func random(tb testing.TB) *rand.Rand {
	seed := rand.Uint64()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("seed: %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

// catchUp runs the index until it has all of the log.
func catchUp(tb testing.TB, s *Store) {
	tb.Helper()
	stop := running(tb, s)
	defer stop()
	head, err := s.Log.Head(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := s.Index.Wait(ctx, head); err != nil {
		tb.Fatalf("Wait(%d): got %v at %d, want no error", head, err, s.Index.Place())
	}
}

// running runs the index until the returned function is called.
func running(tb testing.TB, s *Store) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	index := s.Index
	group.Go(func() {
		if err := index.Run(ctx); err != nil {
			tb.Errorf("Run: got %v, want no error", err)
		}
	})
	return sync.OnceFunc(func() { cancel(); group.Wait() })
}

func add(tb testing.TB, s *Store, events ...eventlog.Event) {
	tb.Helper()
	if _, err := s.Log.Append(tb.Context(), events...); err != nil {
		tb.Fatalf("Append: got %v, want no error", err)
	}
}

func search(tb testing.TB, s *Store, q eventlog.Query) eventlog.Page {
	tb.Helper()
	page, err := s.Index.Search(tb.Context(), &q)
	if err != nil {
		tb.Fatalf("Search(%+v): got %v, want no error", q, err)
	}
	return page
}

// pages goes through all pages; between is called after each.
func pages(tb testing.TB, s *Store, q eventlog.Query, between func()) []uint64 {
	tb.Helper()
	var all []uint64
	for {
		page := search(tb, s, q)
		if len(page.Hits) > q.Limit {
			tb.Fatalf("Search(%+v): got %d hits, want at most %d", q, len(page.Hits), q.Limit)
		}
		for _, h := range page.Hits {
			all = append(all, h.Seq)
		}
		if !page.More {
			return all
		}
		if len(page.Hits) == 0 {
			tb.Fatalf("Search(%+v): got an empty page and more, want hits", q)
		}
		q.After = &page.Hits[len(page.Hits)-1]
		if between != nil {
			between()
		}
	}
}

func searchOracle(tb testing.TB, s *Store) {
	rng := random(tb)
	for range 4 {
		add(tb, s, events(rng, 60)...) // at first nothing is indexed
		annotate(tb, s, rng, 10)
		check(tb, s, rng, 40)
		catchUp(tb, s)
		check(tb, s, rng, 40)
	}
}

// check compares random searches with the oracle.
func check(tb testing.TB, s *Store, rng *rand.Rand, times int) {
	tb.Helper()
	all := everything(tb, s.Log)
	matched := 0
	for range times {
		q := query(rng, all)
		want := answer(all, &q)
		matched += len(want)
		q.TotalHits = 1 + rng.IntN(80)
		page := search(tb, s, q)
		if total := min(q.TotalHits, len(want)); page.Total != total {
			tb.Errorf("Search(%s): got total %d, want %d", show(&q), page.Total, total)
		}
		q.TotalHits = 0
		if got := pages(tb, s, q, nil); !slices.Equal(got, want) {
			tb.Fatalf("Search(%s) with the index at %d: got %v, want %v", show(&q), s.Index.Place(), got, want)
		}
	}
	if matched == 0 {
		tb.Error("no search matched anything: the test shows nothing")
	}
}

func searchPaging(tb testing.TB, s *Store) {
	rng := random(tb)
	add(tb, s, events(rng, 200)...)
	stop := running(tb, s)
	defer stop()
	for range 12 {
		all := everything(tb, s.Log)
		q := query(rng, all)
		q.Head, q.Limit = all[len(all)-1].Seq, 10+rng.IntN(40)
		want := answer(all, &q)
		got := pages(tb, s, q, func() { add(tb, s, events(rng, 3)...) })
		if !slices.Equal(got, want) {
			tb.Fatalf("Search(%s): got %v, want %v", show(&q), got, want)
		}
	}
}

func searchEmpty(tb testing.TB, s *Store) {
	if page := search(tb, s, eventlog.Query{Limit: 10, TotalHits: 10}); len(page.Hits) != 0 || page.More || page.Total != 0 {
		tb.Errorf("an empty log: got %+v, want nothing", page)
	}
	rng := random(tb)
	add(tb, s, events(rng, 12)...)
	for range 2 {
		if page := search(tb, s, eventlog.Query{Limit: 10, TotalHits: 100}); len(page.Hits) != 10 || !page.More || page.Total != 12 {
			tb.Errorf("all: got %d hits, more %v, total %d, want 10, true, 12", len(page.Hits), page.More, page.Total)
		}
		if page := search(tb, s, eventlog.Query{Limit: 12}); len(page.Hits) != 12 || page.More || page.Total != 0 {
			tb.Errorf("a full last page: got %d hits, more %v, total %d, want 12, false, 0", len(page.Hits), page.More, page.Total)
		}
		if page := search(tb, s, eventlog.Query{Limit: 12, Types: []string{""}}); len(page.Hits) != 0 {
			tb.Errorf("no type: got %d hits, want none", len(page.Hits))
		}
		now := time.Now()
		if page := search(tb, s, eventlog.Query{Limit: 12, Start: now, End: now}); len(page.Hits) != 0 {
			tb.Errorf("no time: got %d hits, want none", len(page.Hits))
		}
		catchUp(tb, s)
	}
}

func searchAnnotations(tb testing.TB, s *Store) {
	add(tb, s, eventlog.Event{Source: "a", Type: "t", Attributes: eventlog.Attributes{LinkedID: "old", Tags: map[string]string{"k": "v"}}})
	yes, no := true, false
	old := eventlog.Query{LinkedIDs: []string{"old"}, Limit: 1}
	fresh := eventlog.Query{LinkedIDs: []string{"new"}, Suspect: &yes, Limit: 1}
	step := func(what, body string, queries map[*eventlog.Query]int) {
		tb.Helper()
		say(tb, s, 1, body)
		for range 2 {
			for q, want := range queries {
				page := search(tb, s, *q)
				if len(page.Hits) != want {
					tb.Errorf("%s, %s at %d: got %d hits, want %d", what, show(q), s.Index.Place(), len(page.Hits), want)
				}
				for _, h := range page.Hits {
					if !h.Noted {
						tb.Errorf("%s: got a hit without a note, want one", what)
					}
				}
			}
			catchUp(tb, s)
		}
	}
	tag := &eventlog.Query{Tags: map[string]string{"k": "v"}, Limit: 1}
	other := &eventlog.Query{Tags: map[string]string{"l": "w"}, Limit: 1}
	step("set", `{"suspect":true,"linked_id":"new","tags":{"l":"w"}}`, map[*eventlog.Query]int{&old: 0, &fresh: 1, tag: 1, other: 1})
	step("changed", `{"suspect":false,"tags":{"k":null}}`, map[*eventlog.Query]int{&fresh: 0, tag: 0, other: 1, {Suspect: &no, Limit: 1}: 1})
	step("cleared", `{"suspect":null,"linked_id":null,"no_tags":true}`, map[*eventlog.Query]int{
		&old: 0, &fresh: 0, other: 0, {Suspect: &no, Limit: 1}: 0, {Types: []string{"t"}, Limit: 1}: 1,
	})
}

func searchViews(tb testing.TB, s *Store) {
	add(tb, s, eventlog.Event{Source: "a", Type: "t", Attributes: eventlog.Attributes{Tags: map[string]string{"k": "v"}}})
	say(tb, s, 1, `{"linked_id":"all"}`)
	say(tb, s, 1, `{"application":"shop","linked_id":"mine","tags":{"k":null,"secret":"x"}}`)
	for range 2 {
		for _, tt := range []struct {
			owner string
			query eventlog.Query
			want  int
		}{
			{"shop", eventlog.Query{LinkedIDs: []string{"mine"}}, 1},
			{"shop", eventlog.Query{LinkedIDs: []string{"all"}}, 0},
			{"shop", eventlog.Query{Tags: map[string]string{"k": "v"}}, 0},
			{"shop", eventlog.Query{Tags: map[string]string{"secret": "x"}}, 1},
			{"bank", eventlog.Query{LinkedIDs: []string{"mine"}}, 0},
			{"bank", eventlog.Query{LinkedIDs: []string{"all"}}, 1},
			{"bank", eventlog.Query{Tags: map[string]string{"k": "v"}}, 1},
			{"bank", eventlog.Query{Tags: map[string]string{"secret": "x"}}, 0},
			{"", eventlog.Query{LinkedIDs: []string{"mine"}}, 1},
			{"", eventlog.Query{Tags: map[string]string{"secret": "x"}}, 1},
			{"", eventlog.Query{Tags: map[string]string{"k": "v"}}, 0},
		} {
			tt.query.Owner, tt.query.Limit, tt.query.TotalHits = tt.owner, 5, 5
			if page := search(tb, s, tt.query); len(page.Hits) != tt.want || page.Total != tt.want {
				tb.Errorf("%q at %d: %s: got %+v, want %d", tt.owner, s.Index.Place(), show(&tt.query), page, tt.want)
			}
		}
		catchUp(tb, s)
	}
}

func of(tb testing.TB, s *Store) {
	rng := random(tb)
	for range 3 {
		add(tb, s, events(rng, 50)...)
		for range 2 {
			all := everything(tb, s.Log)
			for range 40 {
				ids := subjectsFrom(rng, 1+rng.IntN(2))
				after, before, max := uint64(rng.IntN(len(all))), uint64(rng.IntN(2*len(all))), 1+rng.IntN(30)
				var want []uint64
				for _, e := range all {
					if e.Seq > after && (before == 0 || e.Seq < before) && len(want) < max && e.mentions(ids) {
						want = append(want, e.Seq)
					}
				}
				got, err := s.Index.Of(tb.Context(), ids, after, before, max)
				if err != nil || !slices.Equal(got, want) {
					tb.Fatalf("Of(%v, %d, %d, %d): got %v (%v), want %v", ids, after, before, max, got, err, want)
				}
			}
			catchUp(tb, s)
		}
	}
}

func forget(tb testing.TB, s *Store) {
	jo := []subject.Identifier{subject.Email("jo@example.com")}
	gone := eventlog.Event{Source: "a", Type: "gone", Subjects: jo, Attributes: eventlog.Attributes{Session: "s", Tags: map[string]string{"a": "b"}}}
	add(tb, s, gone, eventlog.Event{Source: "a", Type: "stays", Subjects: jo}, gone)
	say(tb, s, 1, `{"linked_id":"l"}`)
	none := func(what string) {
		tb.Helper()
		for _, q := range []eventlog.Query{
			{Types: []string{"gone"}, Limit: 5},
			{Sessions: []string{"s"}, Limit: 5},
			{LinkedIDs: []string{"l"}, Limit: 5},
			{Tags: map[string]string{"a": "b"}, Limit: 5},
		} {
			if page := search(tb, s, q); len(page.Hits) != 0 {
				tb.Errorf("%s: %s: got %v, want nothing", what, show(&q), page.Hits)
			}
		}
		if page := search(tb, s, eventlog.Query{Limit: 5, TotalHits: 5}); len(page.Hits) != 1 || page.Hits[0].Seq != 2 || page.Total != 1 {
			tb.Errorf("%s: all: got %+v, want event 2 alone", what, page)
		}
		if got, err := s.Index.Of(tb.Context(), jo, 0, 0, 10); err != nil || !slices.Equal(got, []uint64{2}) {
			tb.Errorf("%s: Of: got %v (%v), want event 2 alone", what, got, err)
		}
	}
	erase := func(seqs ...uint64) {
		tb.Helper()
		if _, err := s.Log.Erase(tb.Context(), seqs...); err != nil {
			tb.Fatal(err)
		}
		for range 2 {
			if err := s.Index.Forget(tb.Context(), append(seqs, 99)...); err != nil {
				tb.Fatalf("Forget: got %v, want no error", err)
			}
		}
	}
	erase(3) // not indexed yet
	catchUp(tb, s)
	erase(1) // indexed
	none("forgotten")
	say(tb, s, 1, `{"linked_id":"l"}`)
	none("annotated after that")
	catchUp(tb, s)
	none("and indexed")
	if err := s.Index.Rebuild(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	none("emptied")
	catchUp(tb, s)
	none("rebuilt")
}

func rebuild(tb testing.TB, s *Store) {
	rng := random(tb)
	add(tb, s, events(rng, 150)...)
	annotate(tb, s, rng, 20)
	catchUp(tb, s)
	if err := s.Index.Rebuild(tb.Context()); err != nil {
		tb.Fatalf("Rebuild: got %v, want no error", err)
	}
	if place := s.Index.Place(); place != 0 {
		tb.Errorf("Place after Rebuild: got %d, want 0", place)
	}
	check(tb, s, rng, 30)
	catchUp(tb, s)
	check(tb, s, rng, 40)
	stop := running(tb, s) // while it runs, too
	defer stop()
	if err := s.Index.Rebuild(tb.Context()); err != nil {
		tb.Fatalf("Rebuild: got %v, want no error", err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := s.Index.Wait(ctx, 170); err != nil { // nothing is appended: it goes on by itself
		tb.Fatalf("Wait after Rebuild: got %v at %d, want no error", err, s.Index.Place())
	}
	check(tb, s, rng, 30)
}

func kill(tb testing.TB, s *Store) {
	rng := random(tb)
	for range 5 {
		stop := running(tb, s)
		for range 10 {
			add(tb, s, events(rng, 1+rng.IntN(10))...)
		}
		annotate(tb, s, rng, 5)
		if rng.IntN(2) == 0 {
			ctx, cancel := context.WithTimeout(tb.Context(), patience)
			if err := s.Index.Wait(ctx, 5); err != nil {
				tb.Errorf("Wait: got %v, want no error", err)
			}
			cancel()
		}
		s.Kill()
		stop()
		check(tb, s, rng, 20)
		catchUp(tb, s)
		check(tb, s, rng, 20)
	}
}

func wait(tb testing.TB, s *Store) {
	if err := s.Index.Wait(tb.Context(), 0); err != nil {
		tb.Errorf("Wait(0): got %v, want no error", err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	cancel()
	if err := s.Index.Wait(ctx, 1); err == nil {
		tb.Error("Wait with an ended context: got no error, want the context's")
	}
	stop := running(tb, s)
	defer stop()
	ctx, cancel = context.WithTimeout(tb.Context(), patience)
	defer cancel()
	rng := random(tb)
	for n := range uint64(50) {
		add(tb, s, events(rng, 1)...)
		if err := s.Index.Wait(ctx, n+1); err != nil || s.Index.Place() < n+1 {
			tb.Fatalf("Wait(%d): got %v with the index at %d, want no error", n+1, err, s.Index.Place())
		}
	}
}

func cancelled(tb testing.TB, s *Store) {
	add(tb, s, events(random(tb), 10)...)
	catchUp(tb, s)
	ctx, cancel := context.WithCancel(tb.Context())
	cancel()
	if page, err := s.Index.Search(ctx, &eventlog.Query{Limit: 1}); err == nil {
		tb.Errorf("got %+v, want an error", page)
	}
}

func show(q *eventlog.Query) string { return fmt.Sprintf("%+v", *q) }
