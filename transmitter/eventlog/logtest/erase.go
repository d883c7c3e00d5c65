package logtest

import (
	"errors"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func eraseCases() []Case {
	return []Case{
		{"erase/record", "Erase removes canonical bytes and salt; place, id, time, kind and leaf stay", eraseRecord},
		{"erase/repeat", "Safe to repeat; a number beyond the head is none", eraseRepeat},
		{"erase/others", "Other records are as they were", eraseOthers},
		{"erase/keys", "The memory of source ids stays: a repeated delivery does not bring the event back", eraseKeys},
		{"erase/entry", "An entry is erased like an event, and found under its keys still", eraseEntry},
	}
}

func erase(tb testing.TB, l eventlog.Log, seqs ...uint64) int {
	tb.Helper()
	n, err := l.Erase(tb.Context(), seqs...)
	if err != nil {
		tb.Fatalf("Erase: got %v, want no error", err)
	}
	return n
}

// gone fails unless r is what an erasure leaves of before.
func gone(tb testing.TB, before, r *eventlog.Record) {
	tb.Helper()
	want := &eventlog.Record{Seq: before.Seq, ID: before.ID, Recorded: before.Recorded, Kind: before.Kind, Leaf: before.Leaf, Erased: true}
	if d := diff(want, r); d != "" {
		tb.Errorf("an erased record (-want +got):\n%s", d)
	}
	if err := r.Verify(); !errors.Is(err, eventlog.ErrErased) {
		tb.Errorf("Verify: got %v, want ErrErased", err)
	}
}

func eraseRecord(tb testing.TB, s *Store) {
	do(tb, s.Log, shapes()...)
	before := all(tb, s.Log)
	if n := erase(tb, s.Log, 1, 3); n != 2 {
		tb.Errorf("Erase: got %d, want 2", n)
	}
	for _, what := range []func() eventlog.Log{func() eventlog.Log { return s.Log }, s.Kill, s.Reopen} {
		s.Log = what()
		after := all(tb, s.Log)
		gone(tb, before[0], after[0])
		gone(tb, before[2], after[2])
		if r, err := s.Log.Get(tb.Context(), before[0].ID); err != nil || !r.Erased {
			tb.Errorf("Get: got %+v (%v), want the erased record", r, err)
		}
	}
}

func eraseRepeat(tb testing.TB, s *Store) {
	one(tb, s.Log, event(1))
	for i, want := range []int{1, 0} {
		if n := erase(tb, s.Log, 1, 2, 99); n != want {
			tb.Errorf("call %d: got %d, want %d", i+1, n, want)
		}
	}
	if n := erase(tb, s.Log); n != 0 {
		tb.Errorf("of nothing: got %d, want 0", n)
	}
	if a := one(tb, s.Log, event(2)); a.Seq != 2 {
		tb.Fatalf("got seq %d, want 2", a.Seq)
	}
	if r, err := s.Log.Record(tb.Context(), 2); err != nil || r.Erased {
		tb.Errorf("an event appended later: got %+v (%v), want it whole", r, err)
	}
}

func eraseOthers(tb testing.TB, s *Store) {
	for i := range 10 {
		one(tb, s.Log, event(i))
	}
	want := all(tb, s.Log)
	erase(tb, s.Log, 5)
	for range 2 {
		got := all(tb, s.Log)
		same(tb, "before it", want[:4], got[:4])
		same(tb, "after it", want[5:], got[5:])
		s.Log = s.Kill()
	}
}

func eraseKeys(tb testing.TB, s *Store) {
	first := one(tb, s.Log, event(1))
	erase(tb, s.Log, first.Seq)
	for range 2 {
		if a := do(tb, s.Log, event(1))[0]; !a.Duplicate || a.ID != first.ID || a.Err != nil {
			tb.Errorf("the same again: got %+v, want a duplicate of %s", a, first.ID)
		}
		s.Log = s.Kill()
	}
}

func eraseEntry(tb testing.TB, s *Store) {
	at := note(tb, s.Log, entry(1))[0]
	before := all(tb, s.Log)[0]
	erase(tb, s.Log, at.Seq)
	for range 2 {
		got := entries(tb, s.Log, eventlog.KindAnnotation, eventlog.Ref(1), eventlog.Span{Max: 10})
		if len(got) != 1 {
			tb.Fatalf("got %d entries, want 1", len(got))
		}
		gone(tb, before, got[0])
		s.Log = s.Kill()
	}
}
