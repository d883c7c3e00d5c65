package sqliteacts_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts/sqliteacts"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func open(t *testing.T, cfg sqliteacts.Config) *sqliteacts.Store {
	t.Helper()
	s, err := sqliteacts.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// On a full disk whoever notes is told, and nothing of it is kept; with room again it goes on.
func TestDiskFull(t *testing.T) {
	s := open(t, sqliteacts.Config{Path: filepath.Join(t.TempDir(), "acts.db")})
	sqliteacts.LimitPages(t, s, "12")
	large := &eventlog.Act{Act: "a.b", Objects: map[string]string{"dead_letter": strings.Repeat("x", 2000)}}
	kept := 0
	for ; kept < 1000; kept++ {
		if _, err := s.Note(t.Context(), large); err != nil {
			break
		}
	}
	if kept == 1000 {
		t.Fatal("on a full disk: got no error")
	}
	if list, err := s.Page(t.Context(), eventlog.RefAll, 0, 500); err != nil || len(list) != kept {
		t.Errorf("got %d acts %v, want the %d that were noted", len(list), err, kept)
	}
	sqliteacts.LimitPages(t, s, "1000000")
	if seq, err := s.Note(t.Context(), large); err != nil || seq != uint64(kept+1) {
		t.Errorf("with room again: got %d %v, want place %d", seq, err, kept+1)
	}
}

// update makes the file of schema version 1 anew; a later version gets a file of its own.
var update = flag.Bool("update", false, "make testdata/v1.db anew")

const first = "testdata/v1.db"

func then() time.Time { return time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) }

// A file of each older schema version opens: its acts are there, and it goes on.
func TestUpgrade(t *testing.T) {
	if *update {
		s := open(t, sqliteacts.Config{Path: filepath.Join(t.TempDir(), "acts.db"), Now: then})
		_, err := s.Note(t.Context(), &eventlog.Act{Act: "configuration.reload", By: eventlog.Actor{Node: "n"}, From: "signal"})
		if err := errors.Join(err, os.MkdirAll("testdata", 0o755), os.RemoveAll(first), sqliteacts.CopyTo(t.Context(), s, first)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "acts.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, sqliteacts.Config{Path: path, Now: then})
	list, err := s.Page(t.Context(), eventlog.RefActBy("node:n"), 0, 10)
	if err != nil || len(list) != 1 || list[0].Act.Act != "configuration.reload" || !list[0].Time.Equal(then()) {
		t.Errorf("got %+v %v, want the act of version 1", list, err)
	}
	if seq, err := s.Note(t.Context(), &eventlog.Act{Act: "a.b"}); err != nil || seq != 2 {
		t.Errorf("got place %d %v, want 2", seq, err)
	}
}
