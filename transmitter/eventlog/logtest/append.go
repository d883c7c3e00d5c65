package logtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func appendCases() []Case {
	return []Case{
		{"append/order", "Append appends events in order and returns one Appended each; Seq from 1 without gaps", appendOrder},
		{"append/durable", "Durable on return: it survives a power cut", appendDurable},
		{"append/all-or-none", "All of them or none", appendAllOrNone},
		{"append/none", "Append of nothing does nothing", appendNothing},
		{"append/context", "A call whose context has ended keeps nothing", appendContext},
		{"append/concurrent", "Safe for concurrent use", appendConcurrent},
		{"append/continues", "Seq goes on where it was after a reopen and a kill", appendContinues},
	}
}

func appendOrder(tb testing.TB, s *Store) {
	for i, size := range []int{1, 3, 1, 5} {
		var events []eventlog.Event
		for range size {
			events = append(events, event(int(head(tb, s.Log))+len(events)))
		}
		before := head(tb, s.Log)
		for j, a := range do(tb, s.Log, events...) {
			if want := before + uint64(j) + 1; a.Seq != want || a.ID == "" || a.Err != nil || a.Duplicate {
				tb.Errorf("call %d, event %d: got %+v, want seq %d", i, j, a, want)
			}
		}
	}
	for i, r := range all(tb, s.Log) {
		if r.Seq != uint64(i+1) || r.SourceID != event(i).SourceID {
			tb.Errorf("place %d: got seq %d of %q, want %d of %q", i, r.Seq, r.SourceID, i+1, event(i).SourceID)
		}
	}
	if n := head(tb, s.Log); n != 10 {
		tb.Errorf("Head: got %d, want 10", n)
	}
}

func appendDurable(tb testing.TB, s *Store) {
	for i := range 5 {
		one(tb, s.Log, event(i))
		want := all(tb, s.Log)
		s.Log = s.Kill()
		same(tb, "after a kill", want, all(tb, s.Log))
		if n := head(tb, s.Log); n != uint64(i+1) {
			tb.Errorf("Head after a kill: got %d, want %d", n, i+1)
		}
	}
}

func appendAllOrNone(tb testing.TB, s *Store) {
	bad := event(2)
	bad.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := s.Log.Append(tb.Context(), event(1), bad, event(3)); !errors.Is(err, eventlog.ErrEvent) {
		tb.Errorf("an event that cannot be kept: got %v, want ErrEvent", err)
	}
	if n := head(tb, s.Log); n != 0 {
		tb.Errorf("Head: got %d, want 0", n)
	}
	one(tb, s.Log, event(1)) // its key was not taken
	one(tb, s.Log, event(3))
}

func appendNothing(tb testing.TB, s *Store) {
	do(tb, s.Log)
	if n := head(tb, s.Log); n != 0 {
		tb.Errorf("Head: got %d, want 0", n)
	}
}

func appendContext(tb testing.TB, s *Store) {
	ctx, cancel := context.WithCancel(tb.Context())
	cancel()
	if _, err := s.Log.Append(ctx, event(1)); !errors.Is(err, context.Canceled) {
		tb.Errorf("got %v, want context.Canceled", err)
	}
	if n := head(tb, s.Log); n != 0 {
		tb.Errorf("Head: got %d, want 0", n)
	}
}

func appendConcurrent(tb testing.TB, s *Store) {
	const callers, calls = 8, 12
	var mu sync.Mutex
	ids := make(map[string]uint64)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range calls {
				n := c*1000 + 2*i
				got, err := s.Log.Append(context.Background(), event(n), event(n+1))
				if err != nil {
					tb.Errorf("Append: got %v, want no error", err)
					return
				}
				if got[1].Seq <= got[0].Seq {
					tb.Errorf("order within a call: got %d then %d", got[0].Seq, got[1].Seq)
				}
				mu.Lock()
				ids[got[0].ID], ids[got[1].ID] = got[0].Seq, got[1].Seq
				mu.Unlock()
				if _, err := s.Log.Read(context.Background(), got[0].Seq-1, 3); err != nil {
					tb.Errorf("Read: got %v, want no error", err)
				}
			}
		})
	}
	wg.Wait()
	records := all(tb, s.Log)
	if len(records) != callers*calls*2 || len(ids) != len(records) {
		tb.Fatalf("got %d records and %d ids, want %d", len(records), len(ids), callers*calls*2)
	}
	for i, r := range records {
		if r.Seq != uint64(i+1) || ids[r.ID] != r.Seq {
			tb.Errorf("place %d: got seq %d, answered %d", i, r.Seq, ids[r.ID])
		}
	}
	s.Log = s.Kill()
	same(tb, "after a kill", records, all(tb, s.Log))
}

func appendContinues(tb testing.TB, s *Store) {
	one(tb, s.Log, event(1))
	s.Log = s.Reopen()
	if a := one(tb, s.Log, event(2)); a.Seq != 2 {
		tb.Errorf("after a reopen: got seq %d, want 2", a.Seq)
	}
	s.Log = s.Kill()
	if a := one(tb, s.Log, event(3)); a.Seq != 3 {
		tb.Errorf("after a kill: got seq %d, want 3", a.Seq)
	}
}
