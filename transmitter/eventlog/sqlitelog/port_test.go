package sqlitelog_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// From one file to another.
func TestPort(t *testing.T) {
	logtest.RunPort(t, func(tb testing.TB) *logtest.Route {
		r := newRig(tb, 0)
		path := filepath.Join(tb.TempDir(), "other.db")
		var open *sqlitelog.Log
		return &logtest.Route{
			Source: r.log,
			Target: func(id eventlog.Identity) (logtest.Importing, error) {
				if open != nil { // a file has one process
					_ = open.Close()
				}
				l, err := sqlitelog.Create(context.Background(), sqlitelog.Config{Path: path, Now: r.now}, id)
				if err != nil {
					return nil, err
				}
				open = l
				tb.Cleanup(func() { _ = l.Close() })
				return l, nil
			},
			Advance:   func(d time.Duration) { r.clock.Add(int64(d)) },
			KeyMemory: sqlitelog.DefaultKeyMemory,
		}
	})
}
