package sqliteinbox_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
)

// update makes the file of schema version 1 anew; a later version gets a file of its own.
var update = flag.Bool("update", false, "make testdata/v1.db anew")

const first = "testdata/v1.db"

// then is when the file was made: what it remembers is not forgotten.
func then() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// A file of each older schema version opens: what was seen is a duplicate, what waits
// is handed out, what was set aside is listed, what is expected is outstanding.
func TestUpgrade(t *testing.T) {
	if *update {
		makeFile(t)
	}
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "inbox.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	in := open(t, sqliteinbox.Config{Path: path, Now: then})
	defer func() { _ = in.Close() }()
	again, err := in.Append(t.Context(), message("done"), message("waits"), message("dead"), message("new"))
	if err != nil || !again[0].Duplicate || !again[1].Duplicate || !again[2].Duplicate || again[3].Duplicate {
		t.Errorf("append: got %+v %v, want all but the last seen before", again, err)
	}
	taken, err := in.Take(t.Context(), "f", 10)
	if err != nil || len(taken) != 2 || taken[0].ID != "waits" || taken[0].Attempts != 1 || string(taken[0].SET) != "a.b.c" || taken[1].ID != "new" {
		t.Errorf("take: got %+v %v, want what waited, and the new one", taken, err)
	}
	dead, err := in.DeadLetters(t.Context(), "f", 0, 10)
	if err != nil || len(dead) != 1 || dead[0].ID != "dead" || dead[0].Reason != "no" {
		t.Errorf("dead letters: got %+v %v, want one", dead, err)
	}
	states, err := in.Outstanding(t.Context(), "f")
	if err != nil || len(states) != 1 || states[0].Value != "state" {
		t.Errorf("states: got %+v %v, want one", states, err)
	}
}

func makeFile(t *testing.T) {
	t.Helper()
	in := open(t, sqliteinbox.Config{Path: filepath.Join(t.TempDir(), "inbox.db"), Now: then})
	defer func() { _ = in.Close() }()
	if _, err := in.Append(t.Context(), message("done"), message("waits"), message("dead")); err != nil {
		t.Fatal(err)
	}
	taken, err := in.Take(t.Context(), "f", 10)
	if err != nil || len(taken) != 3 {
		t.Fatalf("got %d messages (%v), want 3", len(taken), err)
	}
	err = errors.Join(
		in.Settle(t.Context(), inbox.Outcome{Seq: taken[0].Seq}, inbox.Outcome{Seq: taken[1].Seq, Verdict: inbox.Again, Due: then()},
			inbox.Outcome{Seq: taken[2].Seq, Verdict: inbox.SetAside, Reason: "no"}),
		in.Expect(t.Context(), "f", "state", then().Add(time.Hour)),
		os.RemoveAll(first), in.Backup(t.Context(), first))
	if err != nil {
		t.Fatal(err)
	}
}
