//go:build linux || darwin

package sqlitelog_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

const limitedFolder = "SQLITELOG_TEST_LIMITED_FOLDER"

// A full disk while entries are noted and records erased: the caller is told,
// nothing is noted or half erased, and both work again when there is room. It
// runs in a process of its own, since the limit binds all of its files.
func TestNoteAndEraseOnFullDisk(t *testing.T) {
	if dir := os.Getenv(limitedFolder); dir != "" {
		noteAndErase(t, filepath.Join(dir, "log.db"))
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoteAndEraseOnFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), limitedFolder+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("got %v, want no error:\n%s", err, out)
	}
}

func noteAndErase(t *testing.T, path string) {
	signal.Ignore(syscall.SIGXFSZ)
	l, err := sqlitelog.Open(t.Context(), sqlitelog.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 0, 3)
	entry := eventlog.Entry{Kind: eventlog.KindHold, Body: json.RawMessage(`{}`), Refs: []string{eventlog.RefAll}}
	check := func(what string, head uint64, entries int, erased bool) {
		t.Helper()
		n, err := l.Head(t.Context())
		if err != nil || n != head {
			t.Errorf("%s: Head: got %d (%v), want %d", what, n, err, head)
		}
		list, err := l.Entries(t.Context(), eventlog.KindHold, eventlog.RefAll, eventlog.Span{Max: 10})
		if err != nil || len(list) != entries {
			t.Errorf("%s: Entries: got %d (%v), want %d", what, len(list), err, entries)
		}
		rec, err := l.Record(t.Context(), 2)
		if err != nil || rec.Erased != erased || !erased && rec.Verify() != nil {
			t.Errorf("%s: record 2: got erased %t (%v), want %t, whole if it is there", what, rec != nil && rec.Erased, err, erased)
		}
	}
	fi, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(fi.Size()), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got, err := l.Note(t.Context(), entry); err == nil {
			t.Errorf("Note: got %+v, want an error", got)
		}
		if n, err := l.Erase(t.Context(), 2); err == nil {
			t.Errorf("Erase: got %d, want an error", n)
		}
	}
	check("on a full disk", 3, 0, false)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Note(t.Context(), entry); err != nil || got[0].Seq != 4 {
		t.Errorf("Note with room again: got %+v (%v), want 4", got, err)
	}
	if n, err := l.Erase(t.Context(), 2); err != nil || n != 1 {
		t.Errorf("Erase with room again: got %d (%v), want 1", n, err)
	}
	check("with room again", 4, 1, true)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = sqlitelog.Open(t.Context(), sqlitelog.Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check("opened again", 4, 1, true)
}
