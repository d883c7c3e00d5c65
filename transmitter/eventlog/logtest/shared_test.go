package logtest_test

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// Processes that share nothing turn every case red, one log for all of them none.
func TestSharedSuite(t *testing.T) {
	for _, c := range logtest.SharedCases() {
		for _, apart := range []bool{false, true} {
			if c.Name == "shared/waits" && apart {
				continue // it would wait for as long as a slow machine may
			}
			r := &recorder{TB: t}
			var wg sync.WaitGroup
			wg.Go(func() { c.Run(r, sites(r, apart)) })
			wg.Wait()
			if got := r.failed.Load(); got != apart {
				t.Errorf("%s, processes with logs of their own %v: got red %v", c.Name, apart, got)
			}
		}
	}
}

func sites(tb testing.TB, apart bool) *logtest.Site {
	var n atomic.Int64
	dir := tb.TempDir()
	open := func(name string) eventlog.Log {
		l, err := sqlitelog.Open(tb.Context(), sqlitelog.Config{Path: filepath.Join(dir, name)})
		if err != nil {
			tb.Fatalf("Open: %v", err)
		}
		tb.Cleanup(func() { _ = l.Close() })
		return l
	}
	one := open("one")
	return &logtest.Site{Join: func() eventlog.Log {
		if apart {
			return open("other" + string(rune('a'+n.Add(1))))
		}
		return one
	}}
}
