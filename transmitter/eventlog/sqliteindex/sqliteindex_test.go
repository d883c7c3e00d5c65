package sqliteindex_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/indextest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// rig is a log with its index in a folder.
type rig struct {
	tb    testing.TB
	dir   string
	log   *sqlitelog.Log
	index *sqliteindex.Index
}

func newRig(tb testing.TB, dir string) *rig {
	tb.Helper()
	r := &rig{tb: tb, dir: dir}
	r.open()
	return r
}

func (r *rig) open() {
	r.tb.Helper()
	var err error
	if r.log, err = sqlitelog.Open(context.Background(), sqlitelog.Config{Path: filepath.Join(r.dir, "log.db"), Tail: 50}); err != nil {
		r.tb.Fatalf("Open: got %v, want no error", err)
	}
	log := r.log
	r.tb.Cleanup(func() { _ = log.Close() })
	r.openIndex()
}

func (r *rig) openIndex() {
	r.tb.Helper()
	var err error
	if r.index, err = sqliteindex.Open(context.Background(), sqliteindex.Config{Path: r.path(), Log: r.log}); err != nil {
		r.tb.Fatalf("Open: got %v, want no error", err)
	}
	index := r.index
	r.tb.Cleanup(func() { _ = index.Close() })
}

func (r *rig) path() string { return filepath.Join(r.dir, "index.db") }

// kill opens a copy of the files as they are now: what a kill would leave. The
// index is copied first: it is never ahead of the log.
func (r *rig) kill() {
	r.tb.Helper()
	dir := r.tb.TempDir()
	for _, file := range []string{"index.db", "index.db-wal", "log.db", "log.db-wal"} {
		b, err := os.ReadFile(filepath.Join(r.dir, file))
		if err != nil {
			r.tb.Fatalf("copy: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
			r.tb.Fatalf("copy: %v", err)
		}
	}
	r.dir = dir
	r.open()
}

func (r *rig) store() *indextest.Store {
	s := &indextest.Store{Log: r.log, Index: r.index}
	s.Kill = func() {
		r.kill()
		s.Log, s.Index = r.log, r.index
	}
	return s
}

func TestIndex(t *testing.T) {
	indextest.Run(t, func(tb testing.TB) *indextest.Store { return newRig(tb, tb.TempDir()).store() })
}
