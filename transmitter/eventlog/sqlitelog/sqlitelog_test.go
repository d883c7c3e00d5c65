package sqlitelog_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// rig holds one log's files and clock.
type rig struct {
	tb    testing.TB
	path  string
	tail  int
	clock atomic.Int64 // offset from the real one
	log   *sqlitelog.Log
}

func newRig(tb testing.TB, tail int) *rig {
	r := &rig{tb: tb, path: filepath.Join(tb.TempDir(), "log.db"), tail: tail}
	r.open()
	return r
}

func (r *rig) now() time.Time { return time.Now().Add(time.Duration(r.clock.Load())) }

func (r *rig) open() *sqlitelog.Log {
	r.tb.Helper()
	l, err := sqlitelog.Open(context.Background(), sqlitelog.Config{Path: r.path, Tail: r.tail, Now: r.now})
	if err != nil {
		r.tb.Fatalf("Open: got %v, want no error", err)
	}
	r.tb.Cleanup(func() { _ = l.Close() })
	r.log = l
	return l
}

func (r *rig) reopen() eventlog.Log {
	if err := r.log.Close(); err != nil {
		r.tb.Errorf("Close: got %v, want no error", err)
	}
	return r.open()
}

// kill opens a copy of the files as they are now: what a kill would leave.
func (r *rig) kill() eventlog.Log {
	dir := r.tb.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(r.path + suffix)
		if err != nil {
			r.tb.Fatalf("copy: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "log.db"+suffix), b, 0o600); err != nil {
			r.tb.Fatalf("copy: %v", err)
		}
	}
	r.path = filepath.Join(dir, "log.db")
	return r.open()
}

func store(tail int) logtest.Factory {
	return func(tb testing.TB) *logtest.Store {
		r := newRig(tb, tail)
		return &logtest.Store{
			Log: r.log, Reopen: r.reopen, Kill: r.kill,
			Advance:   func(d time.Duration) { r.clock.Add(int64(d)) },
			KeyMemory: sqlitelog.DefaultKeyMemory,
		}
	}
}

func TestLog(t *testing.T) { logtest.Run(t, store(0)) }

// With a tail of three nearly all reads come from the file.
func TestLogShortTail(t *testing.T) { logtest.Run(t, store(3)) }
