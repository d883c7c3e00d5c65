package sqlitejournal_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/sqlitejournal"
)

// update makes the file of schema version 1 anew; a later version gets a file of its own.
var update = flag.Bool("update", false, "make testdata/v1.db anew")

const first = "testdata/v1.db"

// then is when the file was made: what it keeps is not forgotten.
func then() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func denied() journal.Entry {
	return journal.Entry{
		Event: journal.Event{Feed: "f", Issuer: "https://t.example", ID: "a"}, Type: "https://schemas.example/event",
		Time: then(), Rule: "r", Hook: "redis", Effect: "deny", Verdict: journal.Done, Attempt: 1, Ended: 3, At: then(),
		Lane: journal.Lane("https://t.example", "k"),
	}
}

// A file of each older schema version opens: its entries, states and totals are there,
// and it goes on.
func TestUpgrade(t *testing.T) {
	if *update {
		makeFile(t)
	}
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, sqlitejournal.Config{Path: path, Now: then})
	defer func() { _ = j.Close() }()
	next := denied()
	next.ID, next.Whom = "b", journal.NewWhom("jo")
	if err := j.Record(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	entries, err := j.List(t.Context(), journal.Query{Hook: "redis", Max: 10})
	if err != nil || len(entries) != 2 || entries[1].ID != "a" || entries[1].Ended != 3 {
		t.Errorf("got %+v %v, want both", entries, err)
	}
	states, err := j.States(t.Context(), denied().Lane)
	if err != nil || states["redis"].Effect != "deny" || !states["redis"].Time.Equal(then()) {
		t.Errorf("got states %v %v, want deny", states, err)
	}
	denials, err := j.Denials(t.Context(), "https://other.example", next.Whom)
	if err != nil || !denials["redis"].Equal(then()) {
		t.Errorf("got denials %v %v, want that of redis", denials, err)
	}
	totals, err := j.Totals(t.Context())
	if err != nil || len(totals) != 1 || totals[0].Entries != 2 || totals[0].Ended != 6 {
		t.Errorf("got totals %+v %v, want 2 entries and 6 sessions", totals, err)
	}
}

func makeFile(t *testing.T) {
	t.Helper()
	j := open(t, sqlitejournal.Config{Path: filepath.Join(t.TempDir(), "journal.db"), Now: then})
	defer func() { _ = j.Close() }()
	err := errors.Join(j.Record(t.Context(), denied()), os.MkdirAll("testdata", 0o755), os.RemoveAll(first), j.Backup(t.Context(), first))
	if err != nil {
		t.Fatal(err)
	}
}
