// Package logtest is the suite that every event log passes. Each case carries
// the sentence of the contract that it checks: docs/contracts.md §2 and §6,
// and the comments of eventlog.Log.
package logtest

import (
	"context"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Store is an empty log under test, with what the suite does to it.
type Store struct {
	Log eventlog.Log
	// Reopen closes the log in order and opens it anew.
	Reopen func() eventlog.Log
	// Kill ends the log as a kill or a power cut would, nothing closed or
	// flushed, and opens what is on the disk.
	Kill func() eventlog.Log
	// Advance moves the log's clock; also back, with a negative duration.
	Advance func(time.Duration)
	// KeyMemory is how long the log remembers a source's id, at least an hour.
	KeyMemory time.Duration
}

// Factory makes an empty log; what it opens is closed by tb.Cleanup.
type Factory func(tb testing.TB) *Store

// Case is one sentence of the contract.
type Case struct {
	Name string
	// Rule is the sentence.
	Rule string
	Run  func(tb testing.TB, s *Store)
}

// Run runs all cases, each on a log of its own.
func Run(t *testing.T, make Factory) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Logf("rule: %s", c.Rule)
			c.Run(t, make(t))
		})
	}
}

// Cases returns the suite.
func Cases() []Case {
	all := appendCases()
	all = append(all, keyCases()...)
	all = append(all, readCases()...)
	all = append(all, recordCases()...)
	all = append(all, entryCases()...)
	all = append(all, eraseCases()...)
	return append(all, treeCases()...)
}

// patience bounds what must happen at once, on a slow machine too.
const patience = 20 * time.Second

// do appends events that must be kept.
func do(tb testing.TB, l eventlog.Log, events ...eventlog.Event) []eventlog.Appended {
	tb.Helper()
	got, err := l.Append(tb.Context(), events...)
	if err != nil {
		tb.Fatalf("Append: got %v, want no error", err)
	}
	if len(got) != len(events) {
		tb.Fatalf("Append: got %d outcomes, want %d", len(got), len(events))
	}
	return got
}

// one appends one new event and returns its outcome.
func one(tb testing.TB, l eventlog.Log, e eventlog.Event) eventlog.Appended {
	tb.Helper()
	a := do(tb, l, e)[0]
	if a.Err != nil || a.Duplicate {
		tb.Fatalf("Append: got %+v, want a new event", a)
	}
	return a
}

func head(tb testing.TB, l eventlog.Log) uint64 {
	tb.Helper()
	n, err := l.Head(tb.Context())
	if err != nil {
		tb.Fatalf("Head: got %v, want no error", err)
	}
	return n
}

// all reads the whole log in small steps.
func all(tb testing.TB, l eventlog.Log) []*eventlog.Record {
	tb.Helper()
	var records []*eventlog.Record
	for after := uint64(0); ; {
		got, err := l.Read(tb.Context(), after, 7)
		if err != nil {
			tb.Fatalf("Read: got %v, want no error", err)
		}
		if len(got) == 0 {
			return records
		}
		records = append(records, got...)
		after = got[len(got)-1].Seq
	}
}

// within runs fn and fails if it does not return in time.
func within(tb testing.TB, what string, fn func(ctx context.Context) error) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := fn(ctx)
	if ctx.Err() != nil {
		tb.Errorf("%s: did not return", what)
	}
	return err
}
