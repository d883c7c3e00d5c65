package bench_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/bench"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// A log process appends each record of a round to the log, once, and removes
// the file it compares with.
func TestAppend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	t.Run("process", func(t *testing.T) {
		log := start(t, bench.RoleLog)
		log.call("open", map[string]any{"dir": dir}, nil)
		for range 2 {
			var got bench.Round
			log.call("append", map[string]any{"writers": 8, "records": 100}, &got)
			if got.Value <= 0 || got.Floor <= 0 {
				t.Errorf("got %+v, want the rates of both", got)
			}
		}
	})
	log, err := sqlitelog.Open(t.Context(), sqlitelog.Config{Path: filepath.Join(dir, "log.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if head, err := log.Head(t.Context()); head != 200 || err != nil {
		t.Errorf("got %d records and %v, want 200", head, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "raw*")); left != nil {
		t.Errorf("got %v left, want nothing beside the log", left)
	}
}

// The raw append writes all rows whole, and not one more.
func TestRawAppend(t *testing.T) {
	const rows, row = 500, "0123456789abcdef"
	if got := bench.RawAppend(t, 16, rows, row); got != rows*len(row) {
		t.Errorf("got %d bytes, want %d", got, rows*len(row))
	}
}

// Busy accounts and networks have a hundredth page of ten, at every size.
func TestSynthetic(t *testing.T) {
	const page = 10
	for _, n := range []int{50_000, 200_000} {
		end := time.Now()
		got := bench.Counted(n, end)
		for what, counts := range map[string]map[string]int{"account": got.Busy, "network and type": got.Networks} {
			for name, count := range counts {
				if count <= 100*page {
					t.Errorf("%d events: got %d of %s %s, want more than %d", n, count, what, name, 100*page)
				}
			}
		}
		if got.Types != 10 || len(got.Busy) != n/2_500 || len(got.Networks) != max(n/25_000, 1)*10 {
			t.Errorf("%d events: got %d types, %d busy accounts, %d networks and types", n, got.Types, len(got.Busy), len(got.Networks))
		}
		if !got.Last.Before(end) || end.Sub(got.Last) > time.Second {
			t.Errorf("got the last event at %v, want it just before %v", got.Last, end)
		}
	}
}

// A log process fills a log and its index, and finds the first pages of each
// kind and later ones.
func TestSearched(t *testing.T) {
	const events = 3_000
	end := time.Now()
	log := start(t, bench.RoleLog)
	log.call("open", map[string]any{"dir": filepath.Join(t.TempDir(), "data"), "index": true}, nil)
	log.call("fill", map[string]any{"of": events, "end": end, "first": 0, "count": events}, nil)
	log.call("wait", nil, nil)
	for _, kind := range []string{"search-identifier", "search-session", "search-network", "search-time"} {
		for _, page := range []int{1, 5} {
			var got bench.Round
			log.call("search", map[string]any{"kind": kind, "of": events, "end": end, "queries": 10, "page": page}, &got)
			if got.Value <= 0 || got.Floor <= 0 {
				t.Errorf("%s, page %d: got %+v, want the times of both", kind, page, got)
			}
		}
	}
}

// Events come in as the index lets them; none is missing then. Events that
// the index does not have are told.
func TestLag(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	var missing int
	t.Run("process", func(t *testing.T) {
		log := start(t, bench.RoleLog)
		log.call("open", map[string]any{"dir": dir, "index": true}, nil)
		var got struct{ Longest, Rate float64 }
		log.call("lag", map[string]any{"writers": 2, "for": 200 * time.Millisecond}, &got)
		if got.Longest <= 0 || got.Rate <= 0 {
			t.Errorf("got %+v, want how long and how many", got)
		}
		if log.call("missing", nil, &missing); missing != 0 {
			t.Errorf("got %d missing, want none", missing)
		}
	})
	if lost := bench.Lose(t, dir); lost == 0 {
		t.Fatal("no event was taken out of the index")
	}
	log := start(t, bench.RoleLog)
	log.call("open", map[string]any{"dir": dir, "index": true}, nil)
	// A page of a damaged index may end where a row is gone: what it leaves out is counted.
	if log.call("missing", nil, &missing); missing < 2 {
		t.Errorf("got %d missing, want at least the 2 that were taken out", missing)
	}
}
