// Package journaltest is the suite of the contract journal.Journal: each promise of
// it is a case that every backend passes.
package journaltest

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
)

// Closer is a journal that can be closed.
type Closer interface {
	journal.Journal
	Close() error
}

// Open opens the journal kept in the folder dir, or makes it, with at most max
// entries. It reads the time from time.Now.
type Open func(t *testing.T, dir string, max int) Closer

// Max is the number of entries that the suite's journals keep.
const Max = 50

// Run runs every case against journals made by open, under virtual time.
func Run(t *testing.T, open Open) { run(t, open, cases()) }

// RunDurable runs the cases of journals that outlive their process.
func RunDurable(t *testing.T, open Open) { run(t, open, durableCases()) }

type named struct {
	name string
	test func(*suite)
}

func cases() []named {
	return []named{
		{"whole", whole},
		{"one per hook and effect", onePerHook},
		{"what is done stays so", doneStays},
		{"all or none", allOrNone},
		{"long texts are cut", cut},
		{"states: newer wins", states},
		{"states: of a hook that did it alone", statesOfDone},
		{"denials", denials},
		{"denials: of any verdict", wordOfAnyVerdict},
		{"denials: bounded by number", denialsBounded},
		{"list: filters", filters},
		{"list: pages", pages},
		{"list: refused", refused},
		{"totals", totals},
		{"bounded by number", bounded},
		{"concurrent", concurrent},
	}
}

func durableCases() []named {
	return []named{
		{"survives a restart", survives},
		{"bounded by age", aged},
		{"denials have no age", denialsStay},
		{"closed", closed},
	}
}

func run(t *testing.T, open Open, list []named) {
	for _, tt := range list {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := &suite{T: t, open: open, dir: dir}
				s.j = open(t, dir, Max)
				defer func() { s.check(s.j.Close()) }()
				tt.test(s)
			})
		})
	}
}

// suite is one case's journal.
type suite struct {
	*testing.T
	open Open
	dir  string
	j    Closer
}

func (s *suite) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("got error %v, want none", err)
	}
}

// restart closes the journal and opens it again.
func (s *suite) restart() {
	s.Helper()
	s.check(s.j.Close())
	s.j = s.open(s.T, s.dir, Max)
}

// Names of the entries of the suite.
const (
	Feed   = "okta"
	Issuer = "https://transmitter.example"
)

func event(id string) journal.Event { return journal.Event{Feed: Feed, Issuer: Issuer, ID: id} }

// entry is what a hook did well about an event: it ended one session.
func entry(id, hook string) journal.Entry {
	return journal.Entry{
		Event: event(id), Type: "https://schemas.example/event", TransactionID: "txn-" + id, Scope: "user",
		Time: time.Now(), Rule: "rule", Hook: hook, Effect: "end", Verdict: journal.Done,
		Attempt: 1, Ended: 1, Detail: "1 key deleted", At: time.Now(), Took: 12 * time.Millisecond,
	}
}

func (s *suite) record(entries ...journal.Entry) {
	s.Helper()
	s.check(s.j.Record(s.Context(), entries...))
}

func (s *suite) of(id string) []journal.Entry {
	s.Helper()
	got, err := s.j.Of(s.Context(), event(id))
	s.check(err)
	return got
}

func (s *suite) list(q journal.Query) []journal.Entry {
	s.Helper()
	got, err := s.j.List(s.Context(), q)
	s.check(err)
	return got
}

// wants compares entries by event, hook and effect.
func (s *suite) wants(what string, got []journal.Entry, want ...string) {
	s.Helper()
	names := []string{}
	for _, e := range got {
		names = append(names, fmt.Sprint(e.ID, " ", e.Hook, " ", e.Effect, " ", e.Verdict))
	}
	if !slices.Equal(names, want) && len(names)+len(want) > 0 {
		s.Errorf("%s: got %q, want %q", what, names, want)
	}
}
