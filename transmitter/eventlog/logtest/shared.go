package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Site is one place of storage that several processes have open at the same
// time. Such a log passes Run, too.
type Site struct {
	// Join opens the log once more, as a further process does; what it opens
	// is closed by tb.Cleanup.
	Join func() eventlog.Log
	// Forgotten bounds how long a process may still have in its memory what
	// another one erased.
	Forgotten time.Duration
}

// SharedCase is one sentence of what is promised to processes that share a log.
type SharedCase struct {
	Name string
	// Rule is the sentence.
	Rule string
	Run  func(tb testing.TB, s *Site)
}

// RunShared runs all cases of a log that processes share, each on one of its own.
func RunShared(t *testing.T, site func(tb testing.TB) *Site) {
	for _, c := range SharedCases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Logf("rule: %s", c.Rule)
			c.Run(t, site(t))
		})
	}
}

// SharedCases returns the suite of logs that processes share.
func SharedCases() []SharedCase {
	return []SharedCase{
		{"shared/order", "Whoever appends, there is one order without gaps, and the order of each call in it", sharedOrder},
		{"shared/tree", "Whoever appends, there is one tree, and it is that of the records", sharedTree},
		{"shared/keys", "The memory of source ids is one: what one process appended is a duplicate, or a conflict, for all", sharedKeys},
		{"shared/key-race", "Of concurrent appends of one key in several processes one makes the event", sharedKeyRace},
		{"shared/seen", "What one process appended every later call of the others sees", sharedSeen},
		{"shared/waits", "Wait is woken by what another process appends", sharedWaits},
		{"shared/erased", "What one process erased the others do not return", sharedErased},
		{"shared/behind", "A process that did nothing for long goes on from where the log is", sharedBehind},
	}
}

// several joins processes.
func (s *Site) several(n int) []eventlog.Log {
	logs := make([]eventlog.Log, n)
	for i := range logs {
		logs[i] = s.Join()
	}
	return logs
}

// storm lets processes append side by side, events (numbered from base on) and
// entries, and returns what was answered.
func storm(tb testing.TB, logs []eventlog.Log, base, calls int) map[uint64]string {
	tb.Helper()
	var mu sync.Mutex
	answers := make(map[uint64]string)
	note := func(got []eventlog.Appended, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			tb.Errorf("append: got %v, want no error", err)
		}
		for i, a := range got {
			if i > 0 && a.Seq <= got[i-1].Seq {
				tb.Errorf("order within a call: got %d then %d", got[i-1].Seq, a.Seq)
			}
			if a.Err != nil || a.Duplicate || answers[a.Seq] != "" {
				tb.Errorf("got %+v, want a number of its own", a)
			}
			answers[a.Seq] = a.ID
		}
	}
	var wg sync.WaitGroup
	for p, l := range logs {
		for c := range 2 {
			wg.Go(func() {
				for i := range calls {
					n := base + 100_000*p + 10_000*c + 2*i
					if i%3 == 2 {
						note(l.Note(context.Background(), entry(n)))
					} else {
						note(l.Append(context.Background(), event(n), event(n+1)))
					}
				}
			})
		}
	}
	wg.Wait()
	return answers
}

func sharedOrder(tb testing.TB, s *Site) {
	logs := s.several(3)
	answers := storm(tb, logs, 0, 30)
	want := all(tb, logs[0])
	if len(want) != len(answers) {
		tb.Errorf("got %d records, want the %d that were answered", len(want), len(answers))
	}
	for i, r := range want {
		if r.Seq != uint64(i+1) || answers[r.Seq] != r.ID {
			tb.Errorf("place %d: got seq %d and id %s, answered %s", i, r.Seq, r.ID, answers[r.Seq])
		}
		if i > 0 && r.Recorded.Before(want[i-1].Recorded) || time.Since(r.Recorded).Abs() > time.Hour {
			tb.Errorf("seq %d: got %v after %v, want the time of appending", r.Seq, r.Recorded, want[max(0, i-1)].Recorded)
		}
	}
	for _, l := range append(logs[1:], s.Join()) {
		same(tb, "at another process", want, all(tb, l))
	}
}

func sharedTree(tb testing.TB, s *Site) {
	logs := s.several(3)
	for round := range 3 {
		storm(tb, logs[round:], 1_000_000*round, 30) // over the edges of tiles
	}
	leaves := leavesOf(all(tb, logs[0]))
	if len(leaves) < 300 {
		tb.Fatalf("got %d records, want all that were appended", len(leaves))
	}
	for i, l := range append(logs, s.Join()) {
		if got, want := treeOf(tb, l), (eventlog.Tree{Size: uint64(len(leaves)), Root: rootOf(leaves)}); got != want {
			tb.Errorf("process %d: got %+v, want %+v", i, got, want)
		}
		for _, size := range []uint64{1, 255, 256, 257, uint64(len(leaves)) - 1} {
			got, err := eventlog.TreeAt(tb.Context(), l, size)
			if want := (eventlog.Tree{Size: size, Root: rootOf(leaves[:size])}); err != nil || got != want {
				tb.Errorf("process %d, size %d: got %+v (%v), want %+v", i, size, got, err, want)
			}
		}
	}
}

func sharedKeys(tb testing.TB, s *Site) {
	logs := s.several(2)
	first := one(tb, logs[0], event(1))
	again(tb, "at another process", first, do(tb, logs[1], event(1))[0])
	other := event(1)
	other.Type = "other"
	var c *eventlog.ConflictError
	if got := do(tb, logs[1], other)[0]; !errors.As(got.Err, &c) || c.FirstID != first.ID {
		tb.Errorf("other content at another process: got %+v, want a *ConflictError with %s", got, first.ID)
	}
	got := do(tb, logs[1], event(2), event(1), event(2), event(3))
	again(tb, "among others", first, got[1])
	again(tb, "in the call", got[0], got[2])
	if got[0].Seq != 2 || got[3].Seq != 3 {
		tb.Errorf("neighbours: got %+v and %+v, want 2 and 3", got[0], got[3])
	}
	again(tb, "back at the first process", got[3], do(tb, logs[0], event(3))[0])
}

func sharedKeyRace(tb testing.TB, s *Site) {
	logs := s.several(3)
	const rounds = 20
	got := make([][]eventlog.Appended, len(logs))
	var wg sync.WaitGroup
	for p, l := range logs {
		wg.Go(func() {
			for n := range rounds {
				a, err := l.Append(context.Background(), event(n))
				if err != nil {
					tb.Errorf("Append: got %v, want no error", err)
					return
				}
				got[p] = append(got[p], a[0])
			}
		})
	}
	wg.Wait()
	for n := range rounds {
		fresh := 0
		for p := range logs {
			if len(got[p]) <= n {
				return
			}
			if a := got[p][n]; a.Seq != got[0][n].Seq || a.ID != got[0][n].ID || a.Err != nil {
				tb.Errorf("event %d at process %d: got %+v, want that of process 0, %+v", n, p, a, got[0][n])
			}
			if !got[p][n].Duplicate {
				fresh++
			}
		}
		if fresh != 1 {
			tb.Errorf("event %d: got %d new ones, want 1", n, fresh)
		}
	}
	if n := head(tb, logs[0]); n != rounds {
		tb.Errorf("Head: got %d, want %d", n, rounds)
	}
}

// sharedSeen looks in every way at once, from processes that have looked before.
func sharedSeen(tb testing.TB, s *Site) {
	logs := s.several(2)
	ctx := tb.Context()
	looks := []struct {
		name string
		at   func(l eventlog.Log, a eventlog.Appended) error
	}{
		{"Head", func(l eventlog.Log, a eventlog.Appended) error { return want(head(tb, l), a.Seq) }},
		{"Read", func(l eventlog.Log, a eventlog.Appended) error {
			got, err := l.Read(ctx, a.Seq-1, 10)
			if err != nil || len(got) != 1 {
				return fmt.Errorf("got %d records (%w), want 1", len(got), err)
			}
			return want(got[0].ID, a.ID)
		}},
		{"Record", func(l eventlog.Log, a eventlog.Appended) error {
			r, err := l.Record(ctx, a.Seq)
			if err != nil {
				return err
			}
			return want(r.ID, a.ID)
		}},
		{"Get", func(l eventlog.Log, a eventlog.Appended) error {
			r, err := l.Get(ctx, a.ID)
			if err != nil {
				return err
			}
			return want(r.Seq, a.Seq)
		}},
		{"Entries", func(l eventlog.Log, a eventlog.Appended) error {
			got, err := l.Entries(ctx, eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{Newest: true, Max: 1})
			if err != nil || len(got) != 1 {
				return fmt.Errorf("got %d entries (%w), want 1", len(got), err)
			}
			return want(got[0].Seq, a.Seq)
		}},
		{"Tree", func(l eventlog.Log, a eventlog.Appended) error { return want(treeOf(tb, l).Size, a.Seq) }},
		{"Tile", func(l eventlog.Log, a eventlog.Appended) error {
			_, err := l.Tile(ctx, 0, (a.Seq-1)/eventlog.TileWidth, int((a.Seq-1)%eventlog.TileWidth)+1)
			return err
		}},
		{"Wait", func(l eventlog.Log, a eventlog.Appended) error {
			return within(tb, "Wait", func(ctx context.Context) error { return l.Wait(ctx, a.Seq-1) })
		}},
		{"Append", func(l eventlog.Log, a eventlog.Appended) error {
			return want(one(tb, l, event(int(a.Seq))).Seq, a.Seq+1)
		}},
	}
	for n := range 3 {
		for _, look := range looks {
			for i, l := range logs {
				a := note(tb, l, entry(n))[0]
				if err := look.at(logs[1-i], a); err != nil {
					tb.Fatalf("round %d, process %d, %s: %v", n, 1-i, look.name, err)
				}
			}
		}
	}
}

func want[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

func sharedWaits(tb testing.TB, s *Site) {
	logs := s.several(2)
	for i, l := range logs {
		for n := range 2 {
			woken := make(chan error, 1)
			after := head(tb, l)
			go func() {
				woken <- within(tb, "Wait", func(ctx context.Context) error { return l.Wait(ctx, after) })
			}()
			one(tb, logs[1-i], event(10*i+n))
			if err := <-woken; err != nil {
				tb.Errorf("process %d: got %v, want no error", i, err)
			}
			if got, err := l.Read(tb.Context(), after, 2); err != nil || len(got) != 1 {
				tb.Errorf("process %d: got %d records (%v) behind %d, want 1", i, len(got), err, after)
			}
		}
	}
}

func sharedErased(tb testing.TB, s *Site) {
	logs := s.several(2)
	for n := range 5 {
		one(tb, logs[n%2], event(n))
	}
	before := all(tb, logs[0])
	if len(before) != 5 {
		tb.Fatalf("got %d records, want 5", len(before))
	}
	same(tb, "at another process", before, all(tb, logs[1])) // and in its memory now
	erase(tb, logs[0], 2, 4)
	for _, seq := range []int{1, 3} {
		r, err := logs[1].Get(tb.Context(), before[seq].ID)
		if err != nil {
			tb.Fatalf("Get: got %v, want no error", err)
		}
		gone(tb, before[seq], r)
	}
	deadline := time.Now().Add(s.Forgotten + patience)
	for {
		after := all(tb, logs[1])
		if after[1].Erased && after[3].Erased {
			gone(tb, before[1], after[1])
			same(tb, "the others", []*eventlog.Record{before[0], before[2], before[4]}, []*eventlog.Record{after[0], after[2], after[4]})
			break
		}
		if time.Now().After(deadline) {
			tb.Fatalf("got an erased record still after %v, want it gone", s.Forgotten)
		}
	}
	if n := erase(tb, logs[1], 2, 4, 5); n != 1 {
		tb.Errorf("Erase at another process: got %d, want 1", n)
	}
}

func sharedBehind(tb testing.TB, s *Site) {
	logs := s.several(2)
	first := one(tb, logs[1], event(1))
	for n := range 12 {
		grow(tb, logs[0], 500*(n+1))
	}
	a := do(tb, logs[1], event(1), event(2))
	again(tb, "what it appended before", first, a[0])
	if a[1].Seq != 6001 {
		tb.Errorf("got seq %d, want 6001", a[1].Seq)
	}
	e := eventlog.Entry{Kind: eventlog.KindHold, Body: json.RawMessage(`{}`)}
	if got := note(tb, logs[0], e)[0]; got.Seq != 6002 {
		tb.Errorf("got seq %d, want 6002", got.Seq)
	}
	if a, b := treeOf(tb, logs[0]), treeOf(tb, logs[1]); a != b || a.Root != rootOf(leavesOf(all(tb, s.Join()))) {
		tb.Errorf("got trees %+v and %+v, want one, of the records", a, b)
	}
	var got []uint64
	for _, r := range all(tb, logs[1]) {
		got = append(got, r.Seq)
	}
	if len(got) != 6002 || !slices.IsSorted(got) {
		tb.Errorf("got %d records, want 6002 in order", len(got))
	}
}
