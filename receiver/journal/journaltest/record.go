package journaltest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// whole: an entry comes back as it was recorded, its times in milliseconds.
func whole(s *suite) {
	want := journal.Entry{
		Event: event("a"), Type: "https://schemas.example/event", TransactionID: "t", Scope: "session",
		Time: time.UnixMilli(1700000000123), Rule: "r", Hook: "redis", Effect: "deny", Verdict: journal.Failed,
		Attempt: 7, Ended: journal.Unknown, Detail: "detail", Err: "connection refused",
		At: time.UnixMilli(1700000009456), Took: 1500 * time.Millisecond,
	}
	given := want
	given.Lane = journal.Lane(Issuer, "k")
	s.record(given)
	got := s.of("a")
	if len(got) != 1 {
		s.Fatalf("got %d entries, want 1", len(got))
	}
	want.Seq = got[0].Seq
	same := got[0].Time.Equal(want.Time) && got[0].At.Equal(want.At)
	want.Time, want.At = got[0].Time, got[0].At
	if got[0] != want || !same || got[0].Seq == 0 {
		s.Errorf("got %+v, want %+v", got[0], want)
	}
}

// onePerHook: a later attempt takes the place of the earlier, and a later place; other
// hooks, effects, feeds, issuers and events are others.
func onePerHook(s *suite) {
	failed := entry("a", "redis")
	failed.Verdict, failed.Err = journal.Failed, "down"
	s.record(failed)
	first := s.of("a")[0].Seq
	deny, feed, issuer := entry("a", "redis"), entry("a", "redis"), entry("a", "redis")
	deny.Effect, feed.Feed, issuer.Issuer = "deny", "other", "https://other.example"
	s.record(entry("a", "sql"), deny, feed, issuer, entry("b", "redis"))
	s.record(entry("a", "redis"))
	s.wants("entries of a", s.of("a"), "a sql end done", "a redis deny done", "a redis end done")
	last := s.of("a")[2]
	if last.Seq <= first || last.Err != "" {
		s.Errorf("got seq %d and error %q after a second attempt, want a later one than %d and none", last.Seq, last.Err, first)
	}
	if got := s.list(journal.Query{ID: "a", Max: 10}); len(got) != 5 {
		s.Errorf("got %d entries of the jti, want 5", len(got))
	}
}

// doneStays: who is late to say that it failed changes nothing.
func doneStays(s *suite) {
	s.record(entry("a", "redis"))
	before := s.of("a")
	for _, verdict := range []journal.Verdict{journal.Failed, journal.SetAside} {
		late := entry("a", "redis")
		late.Verdict, late.Ended = verdict, 0
		s.record(late)
		if got := s.of("a"); !slices.Equal(got, before) {
			s.Errorf("got %+v after a late %s, want %+v", got, verdict, before)
		}
	}
	again := entry("a", "redis")
	again.Ended = 2
	s.record(again)
	got, err := s.j.Totals(s.Context())
	s.check(err)
	if len(got) != 1 || got[0].Verdict != journal.Done || got[0].Entries != 1 || got[0].Ended != 2 {
		s.Errorf("got totals %+v, want one entry that ended 2", got)
	}
}

func allOrNone(s *suite) {
	for name, spoil := range map[string]func(*journal.Entry){
		"no issuer":       func(e *journal.Entry) { e.Issuer = "" },
		"no jti":          func(e *journal.Entry) { e.ID = "" },
		"no effect":       func(e *journal.Entry) { e.Effect = "" },
		"unknown verdict": func(e *journal.Entry) { e.Verdict = "perhaps" },
		"long jti":        func(e *journal.Entry) { e.ID = strings.Repeat("j", journal.MaxIDBytes+1) },
		"long hook":       func(e *journal.Entry) { e.Hook = strings.Repeat("h", journal.MaxNameBytes+1) },
		"long rule":       func(e *journal.Entry) { e.Rule = strings.Repeat("r", journal.MaxNameBytes+1) },
	} {
		bad := entry("a", "sql")
		spoil(&bad)
		if err := s.j.Record(s.Context(), entry("a", "redis"), bad); err == nil {
			s.Errorf("%s: got no error, want one", name)
		}
	}
	s.wants("after refused ones", s.of("a"))
}

func cut(s *suite) {
	long := entry("a", "redis")
	long.Detail = strings.Repeat("ü", journal.MaxTextBytes)
	long.Err = "x\xff" + strings.Repeat("y", journal.MaxTextBytes)
	s.record(long)
	for _, got := range []string{s.of("a")[0].Detail, s.of("a")[0].Err} {
		if len(got) > journal.MaxTextBytes || len(got) < journal.MaxTextBytes-3 || !utf8.ValidString(got) {
			s.Errorf("got a text of %d bytes, valid: %v, want %d valid ones", len(got), utf8.ValidString(got), journal.MaxTextBytes)
		}
	}
}

// concurrent: none is lost among writers at once.
func concurrent(s *suite) {
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for n := range 5 {
				if err := s.j.Record(s.Context(), entry(strconv.Itoa(w), strconv.Itoa(n))); err != nil {
					s.Errorf("got error %v, want none", err)
				}
			}
		})
	}
	writers.Wait()
	if got := s.list(journal.Query{Max: journal.MaxPage}); len(got) != 40 {
		s.Errorf("got %d entries, want 40", len(got))
	}
}

// bounded: the oldest go, also those whose place a later attempt has taken, and the
// sums go with them.
func bounded(s *suite) {
	s.record(entry("first", "redis"), entry("second", "redis"))
	s.record(entry("first", "redis")) // younger now
	for n := range Max - 1 {
		s.record(entry("e"+strconv.Itoa(n), "redis"))
	}
	s.wants("the oldest", s.of("second"))
	s.wants("the younger", s.of("first"), "first redis end done")
	got, err := s.j.Totals(s.Context())
	s.check(err)
	if len(got) != 1 || got[0].Entries != Max || got[0].Ended != Max {
		s.Errorf("got totals %+v, want %d entries", got, Max)
	}
}

// aged: what is older than is remembered goes when something is recorded.
func aged(s *suite) {
	old := entry("old", "redis")
	old.Effect, old.Lane = "deny", journal.Lane(Issuer, "k")
	s.record(old)
	<-time.After(journal.DefaultRemember)
	s.record(entry("new", "redis"))
	s.wants("at the limit", s.of("old"), "old redis deny done")
	<-time.After(time.Second)
	s.record(entry("newer", "redis"))
	s.wants("behind the limit", s.of("old"))
	if got, err := s.j.States(s.Context(), old.Lane); err != nil || len(got) != 0 {
		s.Errorf("got states %v %v behind the limit, want none", got, err)
	}
}

func survives(s *suite) {
	told := entry("a", "redis")
	told.Effect, told.Lane = "deny", journal.Lane(Issuer, "k")
	s.record(told)
	before := s.of("a")[0]
	s.restart()
	got := s.of("a")
	if len(got) != 1 || got[0] != before {
		s.Errorf("got %+v after a restart, want %+v", got, before)
	}
	states, err := s.j.States(s.Context(), told.Lane)
	if s.check(err); states["redis"].Effect != "deny" {
		s.Errorf("got states %v after a restart, want deny", states)
	}
	s.record(entry("b", "redis"))
	if after := s.of("b")[0].Seq; after <= before.Seq {
		s.Errorf("got seq %d after a restart, want one behind %d", after, before.Seq)
	}
}

func closed(s *suite) {
	s.check(s.j.Close())
	if err := s.j.Record(s.Context(), entry("a", "redis")); !errors.Is(err, journal.ErrClosed) {
		s.Errorf("record: got error %v, want %v", err, journal.ErrClosed)
	}
	if _, err := s.j.Of(s.Context(), event("a")); !errors.Is(err, journal.ErrClosed) {
		s.Errorf("of: got error %v, want %v", err, journal.ErrClosed)
	}
	s.j = s.open(s.T, s.dir, Max)
}
