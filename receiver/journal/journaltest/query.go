package journaltest

import (
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// told is a state that a hook was told about k at a time.
func told(id, effect string, at time.Time) journal.Entry {
	e := entry(id, "redis")
	e.Effect, e.Time, e.Lane = effect, at, journal.Lane(Issuer, "k")
	return e
}

func (s *suite) state(want string, at time.Time) {
	s.Helper()
	got, err := s.j.States(s.Context(), journal.Lane(Issuer, "k"))
	s.check(err)
	if g := got["redis"]; g.Effect != want || (want != "" && !g.Time.Equal(at)) || len(got) > 1 {
		s.Errorf("got states %v, want %s at %v", got, want, at)
	}
}

// states: the latest time wins; of the same time what was told last.
func states(s *suite) {
	at := time.UnixMilli(1700000000000)
	s.state("", at)
	s.record(told("a", "deny", at))
	s.state("deny", at)
	s.record(told("b", "allow", at.Add(-time.Second)))
	s.state("deny", at)
	s.record(told("c", "allow", at))
	s.state("allow", at)
	s.record(told("d", "deny", at.Add(time.Second)))
	s.state("deny", at.Add(time.Second))
	if got, err := s.j.States(s.Context(), journal.Lane("https://other.example", "k")); err != nil || len(got) != 0 {
		s.Errorf("got states %v %v of another issuer, want none", got, err)
	}
}

func statesOfDone(s *suite) {
	for _, v := range journal.Verdicts() {
		if v != journal.Done && v != journal.Held {
			e := told(string(v), "deny", time.Now())
			e.Verdict = v
			s.record(e)
		}
	}
	none := told("none", "deny", time.Now())
	none.Lane = journal.Digest{}
	s.record(none)
	s.state("", time.Time{})
}

func filters(s *suite) {
	a, b, c := entry("a", "redis"), entry("a", "sql"), entry("b", "redis")
	b.Verdict, c.Feed, c.TransactionID = journal.Failed, "other", ""
	d := entry("d", "redis")
	d.Issuer, d.TransactionID = "https://other.example", "txn-a"
	s.record(a, b, c, d)
	for _, tt := range []struct {
		name string
		q    journal.Query
		want []string
	}{
		{"all", journal.Query{}, []string{"d redis end done", "b redis end done", "a sql end failed", "a redis end done"}},
		{"jti", journal.Query{ID: "a"}, []string{"a sql end failed", "a redis end done"}},
		{"txn", journal.Query{TransactionID: "txn-a"}, []string{"d redis end done", "a sql end failed", "a redis end done"}},
		{"hook", journal.Query{Hook: "redis"}, []string{"d redis end done", "b redis end done", "a redis end done"}},
		{"verdict", journal.Query{Verdict: journal.Failed}, []string{"a sql end failed"}},
		{"hook and verdict", journal.Query{Hook: "redis", Verdict: journal.Failed}, nil},
		{"feed", journal.Query{Feed: "other"}, []string{"b redis end done"}},
		{"issuer", journal.Query{Issuer: "https://other.example"}, []string{"d redis end done"}},
		{"issuer and txn", journal.Query{Issuer: Issuer, TransactionID: "txn-a"}, []string{"a sql end failed", "a redis end done"}},
	} {
		tt.q.Max = 10
		s.wants(tt.name, s.list(tt.q), tt.want...)
	}
}

func pages(s *suite) {
	want := []string{}
	for n := range 7 {
		s.record(entry("e"+strconv.Itoa(n), "redis"))
		want = append(want, "e"+strconv.Itoa(n))
	}
	slices.Reverse(want)
	got := []string{}
	for q := (journal.Query{Hook: "redis", Max: 3}); ; {
		page := s.list(q)
		if len(page) == 0 {
			break
		}
		if len(page) > 3 {
			s.Fatalf("got a page of %d, want at most 3", len(page))
		}
		for _, e := range page {
			got, q.Before = append(got, e.ID), e.Seq
		}
		s.record(entry("later"+strconv.Itoa(len(got)), "redis")) // disturbs no page behind
	}
	if !slices.Equal(got, want) {
		s.Errorf("got %q, want %q", got, want)
	}
}

func refused(s *suite) {
	for name, q := range map[string]journal.Query{
		"no page": {}, "too large": {Max: journal.MaxPage + 1}, "unknown verdict": {Max: 1, Verdict: "perhaps"},
	} {
		if _, err := s.j.List(s.Context(), q); err == nil {
			s.Errorf("%s: got no error, want one", name)
		}
	}
}

// totals follow the entries, also when a later attempt takes a place.
func totals(s *suite) {
	failed, unknown, dry := entry("a", "redis"), entry("b", "redis"), entry("c", "redis")
	failed.Verdict, failed.Ended = journal.Failed, 0
	unknown.Ended = journal.Unknown
	dry.Verdict, dry.Ended, dry.Rule = journal.Dry, 5, "a rule"
	s.record(failed, unknown, dry)
	now := entry("a", "redis")
	now.Ended = 3
	s.record(now)
	got, err := s.j.Totals(s.Context())
	s.check(err)
	want := []journal.Total{
		{Rule: "a rule", Hook: "redis", Effect: "end", Verdict: journal.Dry, Entries: 1, Ended: 5},
		{Rule: "rule", Hook: "redis", Effect: "end", Verdict: journal.Done, Entries: 2, Ended: 3, Unknown: 1},
	}
	if !slices.Equal(got, want) {
		s.Errorf("got %+v, want %+v", got, want)
	}
}
