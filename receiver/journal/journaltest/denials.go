package journaltest

import (
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// other is a second issuer.
const other = "https://other.example"

// word is what an issuer says to the hook redis about whom.
func word(id, issuer, effect string, at time.Time, whom ...string) journal.Entry {
	e := entry(id, "redis")
	e.Issuer, e.Effect, e.Time, e.Whom = issuer, effect, at, journal.NewWhom(whom...)
	return e
}

// denied compares what others than issuer have redis deny of whom; a zero time: nothing.
func (s *suite) denied(what, issuer string, want time.Time, whom ...string) {
	s.Helper()
	got, err := s.j.Denials(s.Context(), issuer, journal.NewWhom(whom...))
	s.check(err)
	at, ok := got["redis"]
	if ok == want.IsZero() || !at.Equal(want) || len(got) > 1 {
		s.Errorf("%s: got denials %v, want at %v", what, got, want)
	}
}

// denials: a word stands until its own issuer takes it back, by all that it names alone.
func denials(s *suite) {
	at := time.UnixMilli(1700000000000)
	s.record(word("a", Issuer, "deny", at, "jo", "1"))
	s.denied("of itself", Issuer, time.Time{}, "jo")
	for _, whom := range []string{"jo", "1"} {
		s.denied("by "+whom, other, at, whom)
	}
	s.denied("among others", other, at, "al", "jo")
	s.denied("of somebody else", other, time.Time{}, "al")
	s.denied("of nobody", other, time.Time{})
	s.record(word("b", other, "allow", at.Add(time.Hour), "jo"))
	s.denied("allowed by another", other, at, "jo")
	s.record(word("c", Issuer, "allow", at.Add(-time.Millisecond), "jo"))
	s.denied("allowed before", other, at, "jo")
	s.record(word("d", Issuer, "allow", at, "jo"))
	s.denied("allowed", other, time.Time{}, "jo")
	s.denied("by another name", other, at, "1")
	s.record(word("e", Issuer, "deny", at.Add(time.Second), "1"), word("f", Issuer, "deny", at, "1"))
	s.denied("the latest", other, at.Add(time.Second), "1")
	s.record(word("g", other, "deny", at, "1"))
	s.denied("of the one", Issuer, at, "1")
	s.denied("of the other", other, at.Add(time.Second), "1")
	s.denied("of both", "https://third.example", at.Add(time.Second), "1")
	s.record(word("h", Issuer, "forget", at.Add(time.Second), "1"))
	s.denied("forgotten at its time", other, at.Add(time.Second), "1")
	s.record(word("i", Issuer, "forget", at.Add(2*time.Second), "1"))
	s.denied("forgotten", other, time.Time{}, "1")
}

// wordOfAnyVerdict: a word counts from when it is recorded, whatever the hook makes of it;
// other effects are none, and late ones of what is done do not count.
func wordOfAnyVerdict(s *suite) {
	at := time.UnixMilli(1700000000000)
	for _, v := range journal.Verdicts() {
		e := word(string(v), Issuer, "deny", at, string(v))
		e.Verdict = v
		s.record(e)
		s.denied(string(v), other, at, string(v))
	}
	s.record(word("end", Issuer, "end", at, "x"))
	s.denied("end", other, time.Time{}, "x")
	done := word("late", Issuer, "deny", at, "")
	done.Whom = ""
	s.record(done)
	late := word("late", Issuer, "deny", at, "late")
	late.Verdict = journal.Failed
	s.record(late)
	s.denied("late", other, time.Time{}, "late")
	held := told("held", "allow", at)
	held.Verdict = journal.Held
	s.record(held)
	s.state("allow", at)
	for _, whom := range []journal.Whom{"x", journal.Whom(strings.Repeat("x", journal.DigestSize*(journal.MaxWhom+1)))} {
		bad := entry("bad", "redis")
		bad.Whom = whom
		if err := s.j.Record(s.Context(), bad); err == nil {
			s.Errorf("whom of %d bytes: got no error, want one", len(whom))
		}
	}
}

// denialsBounded: of too many the oldest goes.
func denialsBounded(s *suite) {
	at := time.UnixMilli(1700000000000)
	for n := range Max + 1 {
		s.record(word("e"+strconv.Itoa(n), Issuer, "deny", at, strconv.Itoa(n)))
		<-time.After(time.Millisecond)
	}
	s.denied("the oldest", other, time.Time{}, "0")
	s.denied("the next", other, at, "1")
}

// denialsStay: they have no age, and outlive the process.
func denialsStay(s *suite) {
	at := time.UnixMilli(1700000000000)
	s.record(word("a", Issuer, "deny", at, "jo"))
	s.restart()
	s.denied("after a restart", other, at, "jo")
	for range 2 {
		<-time.After(journal.DefaultRemember)
		s.record(entry("new", "sql"))
	}
	s.denied("behind the age of entries", other, at, "jo")
	s.restart()
	s.record(word("b", Issuer, "allow", at, "jo"))
	s.denied("allowed", other, time.Time{}, "jo")
}

func denialsOfBoth(a, b *suite) {
	at := time.UnixMilli(1700000000000)
	a.record(word("a", Issuer, "deny", at, "jo"))
	b.denied("of the other process", other, at, "jo")
	b.record(word("b", Issuer, "allow", at, "jo"))
	a.denied("allowed there", other, time.Time{}, "jo")
}
