package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

func config(dir string) node.Config {
	return node.Config{Dir: dir, Transmitter: transmitter.Config{Issuer: "https://ssf.example"}}
}

func open(t *testing.T, dir string) *node.Node {
	t.Helper()
	n, err := node.Open(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	})
	return n
}

// One folder, one process (contracts.md §7): who comes second is told who is
// first, and may have it afterwards.
func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if node.Exists(dir) {
		t.Error("before: got an existing folder, want none")
	}
	first := open(t, dir)
	if !node.Exists(dir) {
		t.Error("after: got no folder, want one")
	}
	if _, err := node.Open(t.Context(), config(dir)); !errors.Is(err, sqlitedb.ErrLocked) {
		t.Errorf("second: got %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got mode %v (%v), want 0700", info.Mode().Perm(), err)
	}
}

// An Open that fails half-way leaves nothing open: the lock is free, and once
// the reason is gone the folder opens.
func TestPartialOpenCloses(t *testing.T) {
	for _, file := range []string{"log.db", "state.db", "admin.db"} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			blocked := filepath.Join(dir, file)
			if err := os.Mkdir(blocked, 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := node.Open(t.Context(), config(dir))
			if err == nil || !strings.Contains(err.Error(), dir) {
				t.Fatalf("got %v, want an error that names the folder", err)
			}
			lock, err := sqlitedb.LockFolder(dir)
			if err != nil {
				t.Fatalf("lock after a failure: got %v, want it free", err)
			}
			if err := errors.Join(lock.Unlock(), os.Remove(blocked)); err != nil {
				t.Fatal(err)
			}
			open(t, dir)
		})
	}
	dir := t.TempDir()
	wrong := config(dir)
	wrong.Transmitter.Issuer = "http://ssf.example"
	if _, err := node.Open(t.Context(), wrong); err == nil {
		t.Error("a wrong issuer: got no error")
	}
	open(t, dir)
}

// contracts.md §7: a log that was put back from an older copy than the streams
// is refused with what to do; it would skip new events in silence.
func TestOldLog(t *testing.T) {
	dir := t.TempDir()
	state, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(state.SaveCursor(t.Context(), "fanout", 3), state.Close()); err != nil {
		t.Fatal(err)
	}
	for head := range 4 {
		n, err := node.Open(t.Context(), config(dir))
		if head == 3 {
			if err != nil {
				t.Fatalf("a log that ends at 3: got %v, want it opened", err)
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, node.ErrOldLog) || !strings.Contains(err.Error(), "restore the log.db") {
			t.Fatalf("a log that ends at %d: got %v, want ErrOldLog and what to do", head, err)
		}
		appendTo(t, filepath.Join(dir, "log.db"))
	}
}

// busyLog is one to which other nodes append whatever is looked at.
type busyLog struct {
	eventlog.Log
	head uint64
}

func (l *busyLog) Head(context.Context) (uint64, error) {
	l.head++
	return l.head, nil
}

// busyStreams are those of nodes that put each event at once.
type busyStreams struct {
	streams.Store
	log *busyLog
}

func (s busyStreams) Highest(ctx context.Context) (uint64, error) { return s.log.Head(ctx) }

// Other nodes append and put while a node starts: that is no log that was put back. So it
// asks first what the streams have seen.
func TestLogBesideOthers(t *testing.T) {
	log := &busyLog{head: 7}
	if err := node.Follows(t.Context(), log, busyStreams{log: log}, ""); err != nil {
		t.Errorf("got %v of a log that others append to, want no error", err)
	}
	short := busyStreams{log: &busyLog{head: 99}}
	if err := node.Follows(t.Context(), log, short, ""); !errors.Is(err, node.ErrOldLog) {
		t.Errorf("got %v of a log that ends before what was put, want %v", err, node.ErrOldLog)
	}
}

// Streams that were put back without admin.db are kept until it is there too:
// an empty one would make them orphans, which are deleted at the start.
func TestNoAdmin(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	if _, err := n.Applications.AddApplication(t.Context(), auth.Application{ID: "shop", Audience: []string{"https://shop.example"}}); err != nil {
		t.Fatal(err)
	}
	owner := streams.Owner{ID: "shop", Audience: []string{"https://shop.example"}}
	made, err := n.Transmitter.Catalog().Create(t.Context(), owner, streams.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	admin, aside := filepath.Join(dir, "admin.db"), filepath.Join(t.TempDir(), "admin.db")
	if err := os.Rename(admin, aside); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n, err := node.Open(t.Context(), config(dir))
		if !errors.Is(err, node.ErrNoAdmin) {
			if err == nil {
				run(t, n)
			}
			t.Errorf("without admin.db: got %v, want ErrNoAdmin", err)
		}
	}
	_ = os.Remove(admin)
	if err := os.Rename(aside, admin); err != nil {
		t.Fatal(err)
	}
	n = open(t, dir)
	if _, err := n.Transmitter.Catalog().Stream(t.Context(), owner, made.ID); err != nil {
		t.Errorf("with admin.db again: got %v, want the stream", err)
	}
}

// run runs the transmitter for a moment and closes the folder.
func run(t *testing.T, n *node.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := errors.Join(n.Transmitter.Run(ctx), n.Close()); err != nil {
		t.Fatal(err)
	}
}

// appendTo appends an event to a log.
func appendTo(t *testing.T, file string) {
	t.Helper()
	log, err := sqlitelog.Open(t.Context(), sqlitelog.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	done, err := log.Append(t.Context(), eventlog.Event{Source: "hr", Type: "x", Time: time.Unix(1, 0)})
	if err == nil {
		err = done[0].Err
	}
	if err := errors.Join(err, log.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestBackup(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	n := open(t, dir)
	if _, err := n.Applications.AddApplication(t.Context(), auth.Application{ID: "shop", Audience: []string{"https://shop.example"}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := localca.Certificate(dir, []string{"localhost"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := n.Backup(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, to), []string{"admin.db", "ca-key.pem", "ca.pem", "log.db", "state.db"}; !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
	for _, name := range []string{"admin.db", "ca-key.pem"} {
		if info, err := os.Stat(filepath.Join(to, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v (%v), want 0600", name, info.Mode().Perm(), err)
		}
	}
	if err := n.Backup(t.Context(), to); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a folder in use: got %v, want an error that says so", err)
	}
	if err := n.Backup(t.Context(), "relative"); err == nil {
		t.Error("a relative path: got no error, the server's folder is not the caller's")
	}

	// Both open at once: the copy is a folder of its own, with the same keys.
	other := open(t, to)
	if _, err := other.Applications.Application(t.Context(), "shop"); err != nil {
		t.Errorf("an application in the copy: got %v", err)
	}
	if got, want := other.Keys.Signer().KeyID(), n.Keys.Signer().KeyID(); got != want {
		t.Errorf("got key %s in the copy, want %s", got, want)
	}
	if len(other.Keys.List()) != 1 {
		t.Errorf("got %d keys in the copy, want 1", len(other.Keys.List()))
	}
}

// A copy that fails leaves nothing behind that looks like one.
func TestBackupFails(t *testing.T) {
	n := open(t, t.TempDir())
	to := filepath.Join(t.TempDir(), "copy")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Backup(ctx, to); err == nil {
		t.Fatal("got no error, want one")
	}
	if got := names(t, to); len(got) > 0 {
		t.Errorf("got files %q, want none", got)
	}
	if err := n.Backup(t.Context(), to); err != nil {
		t.Errorf("again: got %v", err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
