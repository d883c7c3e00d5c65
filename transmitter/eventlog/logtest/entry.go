package logtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func entryCases() []Case {
	return []Case{
		{"entry/order", "Entries and events share one sequence, in the order of the calls", entryOrder},
		{"entry/body", "An entry's body comes back byte for byte, and a leaf commits to it", entryBody},
		{"entry/refs", "Entries returns those of a kind under a key, either way round, within bounds", entryRefs},
		{"entry/durable", "Durable on return: entries and their keys survive a kill", entryDurable},
		{"entry/refuses", "What is no entry is refused and leaves nothing", entryRefuses},
		{"entry/all-or-none", "All of them or none", entryAllOrNone},
	}
}

// entry returns an annotation with two keys: its own and a shared one.
func entry(n int) eventlog.Entry {
	return eventlog.Entry{
		Kind: eventlog.KindAnnotation, Body: json.RawMessage(fmt.Sprintf(`{ "n" : %d, "entry":"]}" }`, n)),
		Refs: []string{eventlog.Ref(uint64(n)), eventlog.RefAll},
	}
}

func note(tb testing.TB, l eventlog.Log, entries ...eventlog.Entry) []eventlog.Appended {
	tb.Helper()
	got, err := l.Note(tb.Context(), entries...)
	if err != nil || len(got) != len(entries) {
		tb.Fatalf("Note: got %d outcomes (%v), want %d", len(got), err, len(entries))
	}
	return got
}

func entries(tb testing.TB, l eventlog.Log, kind eventlog.Kind, ref string, span eventlog.Span) []*eventlog.Record {
	tb.Helper()
	got, err := l.Entries(tb.Context(), kind, ref, span)
	if err != nil {
		tb.Fatalf("Entries: got %v, want no error", err)
	}
	return got
}

func entryOrder(tb testing.TB, s *Store) {
	one(tb, s.Log, event(1))
	for i, a := range note(tb, s.Log, entry(1), entry(2)) {
		if want := uint64(i + 2); a.Seq != want || a.ID == "" || a.Duplicate || a.Err != nil {
			tb.Errorf("entry %d: got %+v, want seq %d", i, a, want)
		}
	}
	if a := one(tb, s.Log, event(2)); a.Seq != 4 {
		tb.Errorf("the event after them: got seq %d, want 4", a.Seq)
	}
	if got, err := s.Log.Note(tb.Context()); err != nil || len(got) != 0 || head(tb, s.Log) != 4 {
		tb.Errorf("no entries: got %v (%v), want nothing", got, err)
	}
	for range 2 {
		kinds := ""
		for _, r := range all(tb, s.Log) {
			kinds += fmt.Sprint(r.Kind)
		}
		if kinds != "1221" {
			tb.Errorf("kinds: got %s, want 1221", kinds)
		}
		s.Log = s.Kill()
	}
}

func entryBody(tb testing.TB, s *Store) {
	want := entry(7)
	at := note(tb, s.Log, want)[0]
	for range 2 {
		r, err := s.Log.Record(tb.Context(), at.Seq)
		if err != nil || string(r.Entry) != string(want.Body) || r.Kind != want.Kind || r.ID != at.ID || r.Type != "" || r.Erased {
			tb.Fatalf("got %+v (%v), want the entry and no event", r, err)
		}
		if err := r.Verify(); err != nil {
			tb.Errorf("Verify: got %v, want no error", err)
		}
		altered := *r
		altered.Kind = eventlog.KindConsent
		if err := altered.Verify(); !errors.Is(err, eventlog.ErrLeaf) {
			tb.Errorf("Verify as another kind: got %v, want ErrLeaf", err)
		}
		s.Log = s.Kill()
	}
}

func entryRefs(tb testing.TB, s *Store) {
	for n := 1; n <= 5; n++ {
		note(tb, s.Log, entry(n)) // at n
	}
	other := entry(1)
	other.Kind = eventlog.KindConsent
	twice := entry(1)
	twice.Refs = append(twice.Refs, twice.Refs...)
	note(tb, s.Log, other, twice) // at 6 and 7
	tests := []struct {
		name string
		kind eventlog.Kind
		ref  string
		span eventlog.Span
		want string
	}{
		{"all", eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{Max: 100}, "1 2 3 4 5 7"},
		{"newest first", eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{Newest: true, Max: 100}, "7 5 4 3 2 1"},
		{"the latest before", eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{Newest: true, Before: 5, Max: 1}, "4"},
		{"between", eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{After: 2, Before: 5, Max: 100}, "3 4"},
		{"a page", eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{After: 1, Max: 2}, "2 3"},
		{"its own key", eventlog.KindAnnotation, eventlog.Ref(1), eventlog.Span{Max: 100}, "1 7"},
		{"another kind", eventlog.KindConsent, eventlog.Ref(1), eventlog.Span{Max: 100}, "6"},
		{"no such key", eventlog.KindAnnotation, "nobody", eventlog.Span{Max: 100}, ""},
		{"no such kind", eventlog.KindHold, eventlog.RefAll, eventlog.Span{Max: 100}, ""},
	}
	for _, tt := range tests {
		got := ""
		for _, r := range entries(tb, s.Log, tt.kind, tt.ref, tt.span) {
			got += fmt.Sprint(" ", r.Seq)
		}
		if got = strings.TrimPrefix(got, " "); got != tt.want {
			tb.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func entryDurable(tb testing.TB, s *Store) {
	for n := 1; n <= 3; n++ {
		note(tb, s.Log, entry(n))
		want := all(tb, s.Log)
		s.Log = s.Kill()
		same(tb, "after a kill", want, all(tb, s.Log))
		if got := entries(tb, s.Log, eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{Max: 10}); len(got) != n {
			tb.Errorf("after a kill: got %d entries, want %d", len(got), n)
		}
	}
}

// notEntries are what Note refuses.
func notEntries() map[string]eventlog.Entry {
	return map[string]eventlog.Entry{
		"an event's kind": {Kind: eventlog.KindEvent, Body: json.RawMessage(`{}`)},
		"no kind":         {Body: json.RawMessage(`{}`)},
		"no body":         {Kind: eventlog.KindHold},
		"no object":       {Kind: eventlog.KindHold, Body: json.RawMessage(`[]`)},
		"no JSON":         {Kind: eventlog.KindHold, Body: json.RawMessage(`{"a":}`)},
		"a large body":    {Kind: eventlog.KindHold, Body: json.RawMessage(`{"a":"` + strings.Repeat("a", eventlog.MaxEntryBytes) + `"}`)},
		"a large key":     {Kind: eventlog.KindHold, Body: json.RawMessage(`{}`), Refs: []string{strings.Repeat("a", eventlog.MaxRefBytes+1)}},
		"many keys":       {Kind: eventlog.KindHold, Body: json.RawMessage(`{}`), Refs: make([]string, eventlog.MaxRefs+1)},
	}
}

func entryRefuses(tb testing.TB, s *Store) {
	for name, e := range notEntries() {
		if got, err := s.Log.Note(tb.Context(), e); !errors.Is(err, eventlog.ErrEvent) {
			tb.Errorf("%s: got %v (%v), want ErrEvent", name, got, err)
		}
	}
	if n := head(tb, s.Log); n != 0 {
		tb.Errorf("Head: got %d, want 0", n)
	}
}

func entryAllOrNone(tb testing.TB, s *Store) {
	if got, err := s.Log.Note(tb.Context(), entry(1), eventlog.Entry{Kind: eventlog.KindHold}); !errors.Is(err, eventlog.ErrEvent) {
		tb.Errorf("got %v (%v), want ErrEvent", got, err)
	}
	if n := len(entries(tb, s.Log, eventlog.KindAnnotation, eventlog.RefAll, eventlog.Span{Max: 10})); n != 0 || head(tb, s.Log) != 0 {
		tb.Errorf("got %d entries and head %d, want nothing", n, head(tb, s.Log))
	}
}
