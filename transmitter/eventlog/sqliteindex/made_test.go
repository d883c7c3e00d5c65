package sqliteindex_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
)

// made is a log of so many events, each made from its number.
type made struct {
	synthetic // for its length and its waiting
	record    func(seq uint64) *eventlog.Record
}

func (m made) Read(_ context.Context, after uint64, max int) ([]*eventlog.Record, error) {
	var list []*eventlog.Record
	for seq := after + 1; seq <= uint64(m.synthetic) && len(list) < max; seq++ {
		list = append(list, m.record(seq))
	}
	return list, nil
}

func (m made) Record(_ context.Context, seq uint64) (*eventlog.Record, error) {
	return m.record(seq), nil
}

// index returns an index that has all of the log and follows it no longer.
func (m made) index(t *testing.T) *sqliteindex.Index {
	t.Helper()
	x, err := sqliteindex.Open(t.Context(), sqliteindex.Config{Path: filepath.Join(t.TempDir(), "index.db"), Log: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	if err := x.Wait(t.Context(), uint64(m.synthetic)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return x
}
