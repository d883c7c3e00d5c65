//go:build linux || darwin

package sqlitedb_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

const limitedFolder = "SQLITEDB_TEST_LIMITED_FOLDER"

// The system refuses to write at the commit itself: every waiter is told,
// nothing is half done, and the next write works once there is room again.
// It runs in a process of its own, since the limit binds all of its files.
func TestWriteCommitFails(t *testing.T) {
	if dir := os.Getenv(limitedFolder); dir != "" {
		commitFails(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriteCommitFails$", "-test.v")
	cmd.Env = append(os.Environ(), limitedFolder+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("got %v, want no error:\n%s", err, out)
	}
}

func commitFails(t *testing.T, dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	path := filepath.Join(dir, "t.db")
	db := open(t, path, nil)
	if err := db.Write(t.Context(), insert(1, "before")); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := syscall.Rlimit{Cur: uint64(fi.Size()), Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	told := 0
	for i := range 5 {
		err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
			tx.OnCommit(func() { t.Error("OnCommit was called for a failed commit") })
			return insert(10+i, fmt.Sprint("full ", i))(tx)
		})
		if err != nil {
			told++
		}
	}
	if told != 5 {
		t.Errorf("on a full disk: got %d errors, want 5", told)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("rows after failures: got %d, want 1", n)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), insert(2, "after")); err != nil {
		t.Errorf("with room again: got %v, want no error", err)
	}
	if err := errors.Join(db.Close(), open(t, path, nil).Write(t.Context(), insert(3, "reopened"))); err != nil {
		t.Errorf("reopened: got %v, want no error", err)
	}
	if n := count(t, open(t, path, nil)); n != 3 {
		t.Errorf("rows: got %d, want 3", n)
	}
}
