package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func keyCases() []Case {
	return []Case{
		{"keys/duplicate", "(source, source id) seen before: same id, no second event", duplicate},
		{"keys/duplicate-in-call", "(source, source id) seen before, in the same call: same id, no second event", duplicateInCall},
		{"keys/duplicate-after", "A key is known after a reopen and a kill", duplicateAfter},
		{"keys/duplicate-race", "Of concurrent appends of one key one makes the event", duplicateRace},
		{"keys/mapping", "What the mapping makes of an event is not its content: a repeat after a change of rules is a duplicate", duplicateMapping},
		{"keys/conflict", "Same key with other content: told per event, with the first id; its neighbours are appended", conflict},
		{"keys/other-source", "The key is the source and its id together", otherSource},
		{"keys/none", "An event without a source id is always a new one", noKey},
		{"keys/memory", "The memory of keys has a stated length", keyMemory},
	}
}

// again fails unless a tells of the first event.
func again(tb testing.TB, what string, first, a eventlog.Appended) {
	tb.Helper()
	if !a.Duplicate || a.Err != nil || a.ID != first.ID || a.Seq != first.Seq {
		tb.Errorf("%s: got %+v, want a duplicate of %+v", what, a, first)
	}
}

func duplicate(tb testing.TB, s *Store) {
	first := one(tb, s.Log, event(1))
	one(tb, s.Log, event(2))
	again(tb, "repeat", first, do(tb, s.Log, event(1))[0])
	got := do(tb, s.Log, event(3), event(1), event(4))
	again(tb, "repeat among others", first, got[1])
	if got[0].Seq != 3 || got[2].Seq != 4 || head(tb, s.Log) != 4 {
		tb.Errorf("neighbours: got %+v and %+v at head %d, want 3 and 4", got[0], got[2], head(tb, s.Log))
	}
}

func duplicateInCall(tb testing.TB, s *Store) {
	got := do(tb, s.Log, event(1), event(1))
	again(tb, "second", got[0], got[1])
	if n := head(tb, s.Log); n != 1 || got[0].Duplicate {
		tb.Errorf("got %+v at head %d, want one event", got[0], n)
	}
}

func duplicateAfter(tb testing.TB, s *Store) {
	first := one(tb, s.Log, event(1))
	s.Log = s.Reopen()
	again(tb, "after a reopen", first, do(tb, s.Log, event(1))[0])
	s.Log = s.Kill()
	again(tb, "after a kill", first, do(tb, s.Log, event(1))[0])
}

func duplicateRace(tb testing.TB, s *Store) {
	const callers = 8
	got := make([]eventlog.Appended, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			a, err := s.Log.Append(context.Background(), event(1))
			if err != nil {
				tb.Errorf("Append: got %v, want no error", err)
				return
			}
			got[c] = a[0]
		})
	}
	wg.Wait()
	fresh := 0
	for _, a := range got {
		if !a.Duplicate {
			fresh++
		}
		if a.Seq != 1 || a.ID != got[0].ID {
			tb.Errorf("got %+v, want seq 1 and id %s", a, got[0].ID)
		}
	}
	if fresh != 1 || head(tb, s.Log) != 1 {
		tb.Errorf("got %d new events at head %d, want 1", fresh, head(tb, s.Log))
	}
}

func duplicateMapping(tb testing.TB, s *Store) {
	native, vendor := event(1), event(2)
	vendor.Format, vendor.Original = "idme", json.RawMessage(`{"record":1}`)
	first := do(tb, s.Log, native, vendor)
	native.Mapped, native.Applications = nil, []string{"other"}
	native.Attributes.Category = "other" // that of its type, unless the source gave one
	vendor.Mapped, vendor.MappingError = nil, "no rule"
	vendor.Type, vendor.Subjects, vendor.Time = "idme:other", nil, time.Time{}
	for i, a := range do(tb, s.Log, native, vendor) {
		again(tb, "repeat after a change of rules", first[i], a)
	}
}

func conflict(tb testing.TB, s *Store) {
	change := map[string]func(*eventlog.Event){
		"type":     func(e *eventlog.Event) { e.Type = "other" },
		"time":     func(e *eventlog.Event) { e.Time = e.Time.Add(time.Second) },
		"no time":  func(e *eventlog.Event) { e.Time = time.Time{} },
		"subjects": func(e *eventlog.Event) { e.Subjects = []subject.Identifier{subject.Email("other@example.com")} },
		"data":     func(e *eventlog.Event) { e.Data = json.RawMessage(`{"n":2}`) },
		"original": func(e *eventlog.Event) { e.Original = json.RawMessage(`{}`) },
	}
	first := one(tb, s.Log, event(1))
	for name, alter := range change {
		e := event(1)
		alter(&e)
		before := head(tb, s.Log)
		got := do(tb, s.Log, event(int(before)+1), e, event(int(before)+2))
		var c *eventlog.ConflictError
		if !errors.As(got[1].Err, &c) || c.FirstID != first.ID || got[1].Duplicate {
			tb.Errorf("%s: got %+v, want a *ConflictError with %s", name, got[1], first.ID)
		}
		if got[0].Seq != before+1 || got[2].Seq != before+2 || head(tb, s.Log) != before+2 {
			tb.Errorf("%s: neighbours: got %+v and %+v, want both appended", name, got[0], got[2])
		}
	}
	s.Log = s.Kill()
	e := event(1)
	e.Type = "other"
	if got := do(tb, s.Log, e)[0]; got.Err == nil {
		tb.Errorf("after a kill: got %+v, want a conflict", got)
	}
}

func otherSource(tb testing.TB, s *Store) {
	a, b, c := event(1), event(1), event(1)
	a.Source, a.SourceID = "ab", "c"
	b.Source, b.SourceID = "a", "bc"
	c.Source, c.SourceID = "abc", "d"
	for i, e := range []eventlog.Event{a, b, c} {
		if got := one(tb, s.Log, e); got.Seq != uint64(i+1) {
			tb.Errorf("event %d: got seq %d, want %d", i, got.Seq, i+1)
		}
	}
}

func noKey(tb testing.TB, s *Store) {
	e := event(1)
	e.SourceID = ""
	for i := range 3 {
		if a := one(tb, s.Log, e); a.Seq != uint64(i+1) {
			tb.Errorf("got seq %d, want %d", a.Seq, i+1)
		}
	}
}

func keyMemory(tb testing.TB, s *Store) {
	first := one(tb, s.Log, event(1))
	s.Advance(s.KeyMemory - time.Minute)
	again(tb, "within the memory", first, do(tb, s.Log, event(1))[0])
	s.Advance(2 * time.Minute)
	second := one(tb, s.Log, event(1))
	if second.Seq != 2 {
		tb.Errorf("after the memory: got seq %d, want 2", second.Seq)
	}
	again(tb, "of the second", second, do(tb, s.Log, event(1))[0])
	s.Log = s.Kill()
	again(tb, "of the second after a kill", second, do(tb, s.Log, event(1))[0])
}
