package sqlitelog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

func keyed(n int) eventlog.Event {
	return eventlog.Event{Source: "hr", SourceID: fmt.Sprint("id-", n), Type: "t", Data: []byte(`{}`)}
}

// fill appends keyed events from to (not including) to, in calls of 500.
func fill(t testing.TB, l *sqlitelog.Log, from, to int) {
	t.Helper()
	for n := from; n < to; n += 500 {
		var events []eventlog.Event
		for i := n; i < min(n+500, to); i++ {
			events = append(events, keyed(i))
		}
		got, err := l.Append(context.Background(), events...)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			if a.Duplicate || a.Err != nil {
				t.Fatalf("got %+v, want new events", a)
			}
		}
	}
}

// known fails unless the keys lead to the events that were first under them.
func known(t testing.TB, what string, l eventlog.Log, seqs map[int]uint64) {
	t.Helper()
	for n, seq := range seqs {
		got, err := l.Append(context.Background(), keyed(n))
		if err != nil || !got[0].Duplicate || got[0].Seq != seq {
			t.Errorf("%s: key %d: got %+v (%v), want a duplicate of %d", what, n, got, err, seq)
		}
	}
}

// Keys that moved from memory to their table are known as before, in the
// running log, after a reopen and after a kill.
func TestKeysMove(t *testing.T) {
	r := newRig(t, 0)
	const n = 2*sqlitelog.MoveAt + 100
	fill(t, r.log, 0, n)
	sqlitelog.AwaitMover(r.log)
	if inMemory, inTable := sqlitelog.Keys(t, r.log); inMemory >= n || inTable < sqlitelog.MoveAt {
		t.Errorf("got %d keys in memory and %d in the table, want most in the table", inMemory, inTable)
	}
	want := map[int]uint64{0: 1, 1: 2, 700: 701, sqlitelog.MoveAt: sqlitelog.MoveAt + 1, n - 1: n}
	known(t, "live", r.log, want)
	known(t, "after a reopen", r.reopen(), want)
	known(t, "after a kill", r.kill(), want)
}

// Keys beyond the memory's length leave the table; younger ones stay.
func TestKeysPruned(t *testing.T) {
	r := newRig(t, 0)
	fill(t, r.log, 0, sqlitelog.MoveAt)
	sqlitelog.AwaitMover(r.log)
	r.clock.Add(int64(sqlitelog.DefaultKeyMemory + time.Hour))
	fill(t, r.log, sqlitelog.MoveAt, 2*sqlitelog.MoveAt)
	sqlitelog.AwaitMover(r.log)
	_, inTable := sqlitelog.Keys(t, r.log)
	if inTable != sqlitelog.MoveAt {
		t.Errorf("got %d keys in the table, want the %d young ones", inTable, sqlitelog.MoveAt)
	}
	known(t, "young", r.log, map[int]uint64{sqlitelog.MoveAt: sqlitelog.MoveAt + 1})
	if got, err := r.log.Append(t.Context(), keyed(0)); err != nil || got[0].Duplicate {
		t.Errorf("forgotten: got %+v (%v), want a new event", got, err)
	}
	known(t, "new again", r.log, map[int]uint64{0: 2*sqlitelog.MoveAt + 1})
}

// A key that was forgotten and taken again is not pruned with its first event.
func TestKeysPruneKeepsReused(t *testing.T) {
	r := newRig(t, 0)
	fill(t, r.log, 0, sqlitelog.MoveAt)
	sqlitelog.AwaitMover(r.log)
	r.clock.Add(int64(sqlitelog.DefaultKeyMemory + time.Hour))
	fill(t, r.log, 0, sqlitelog.MoveAt) // all of them anew
	sqlitelog.AwaitMover(r.log)
	known(t, "taken again", r.reopen(), map[int]uint64{0: sqlitelog.MoveAt + 1, 77: sqlitelog.MoveAt + 78})
}
