package sqlitelog_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// alter closes the log and runs SQL on its file.
func (r *rig) alter(script string) {
	r.tb.Helper()
	if err := r.log.Close(); err != nil {
		r.tb.Fatal(err)
	}
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		r.tb.Fatal(err)
	}
	if _, err := db.Exec(script); err != nil {
		r.tb.Fatal(err)
	}
	if err := db.Close(); err != nil {
		r.tb.Fatal(err)
	}
}

// A log of an older schema gets its tree when it is opened, in steps that are
// told; so does one whose making was interrupted.
func TestTreeOfOlderLog(t *testing.T) {
	r := newRig(t, 0)
	for n := 0; n < 70_000; n += 5000 {
		fill(t, r.log, n, n+5000)
	}
	want, err := r.log.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, older := range map[string]struct {
		script string
		told   bool
	}{
		"of schema 2":     {"DROP TABLE tree_node; PRAGMA user_version = 2", true},
		"half made":       {"DELETE FROM tree_node WHERE n >= 100 OR level > 1", true},
		"with no level 2": {"DELETE FROM tree_node WHERE n >= 255 OR level > 1", false},
		"whole":           {"", false},
	} {
		r.alter(older.script)
		var last, total uint64
		l, err := sqlitelog.Open(t.Context(), sqlitelog.Config{Path: r.path, Progress: func(d, of uint64) {
			if d <= last || d > of {
				t.Errorf("%s: got progress %d of %d after %d", name, d, of, last)
			}
			last, total = d, of
		}})
		if err != nil {
			t.Fatalf("%s: got %v, want no error", name, err)
		}
		r.log = l
		if last != total || older.told != (total > 0) {
			t.Errorf("%s: got progress to %d of %d, want to the end", name, last, total)
		}
		if got, err := l.Tree(t.Context()); err != nil || got != want {
			t.Errorf("%s: got %+v (%v), want %+v", name, got, err, want)
		}
		for _, seq := range []uint64{1, 65_536, 65_537, 70_000} {
			leaf, err := l.Record(t.Context(), seq)
			if err != nil {
				t.Fatal(err)
			}
			proof, err := eventlog.ProveInclusion(t.Context(), l, want.Size, seq)
			if err == nil {
				err = eventlog.CheckInclusion(proof, want, seq, leaf.Leaf)
			}
			if err != nil {
				t.Errorf("%s: record %d: got %v, want a proof", name, seq, err)
			}
		}
	}
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
}

// Records that are missing keep the log from being opened: an append to such
// a tree would make things worse.
func TestDamagedTreeRefused(t *testing.T) {
	r := newRig(t, 0)
	fill(t, r.log, 0, 600)
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	for script, says := range map[string]string{
		"DELETE FROM record WHERE seq > 500":           "ends at record 500",
		"DELETE FROM record WHERE seq = 550":           "record 550 is missing",
		"DELETE FROM tree_node WHERE n = 0":            "hash 0 of level 1 is missing",
		"UPDATE record SET leaf = x'00' WHERE seq=590": "record 590 is missing",
	} {
		path := filepath.Join(t.TempDir(), "log.db")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		broken := &rig{tb: t, path: path, log: r.log}
		broken.alter(script)
		l, err := sqlitelog.Open(t.Context(), sqlitelog.Config{Path: path})
		if !errors.Is(err, sqlitelog.ErrDamaged) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want ErrDamaged with %q", script, err, says)
		}
		if err == nil {
			_ = l.Close()
		}
	}
}

// An append that fails leaves nothing in the tree, also where it would have
// completed a tile, and where others share its transaction.
func TestTreeAfterFailure(t *testing.T) {
	r := newRig(t, 0)
	fill(t, r.log, 0, 250)
	before, err := r.log.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sqlitelog.LimitPages(t, r.log, "60")
	big := keyed(300)
	big.Data = make([]byte, 1<<20)
	many := make([]eventlog.Event, 10)
	for i := range many {
		many[i] = keyed(301 + i)
	}
	if _, err := r.log.Append(t.Context(), append(many, big)...); err == nil {
		t.Fatal("on a full disk: got no error")
	}
	if got, err := r.log.Tree(t.Context()); err != nil || got != before {
		t.Errorf("after a failure: got %+v (%v), want %+v", got, err, before)
	}
	sqlitelog.LimitPages(t, r.log, "1000000")
	if _, err := r.log.Append(t.Context(), many...); err != nil {
		t.Fatal(err)
	}
	got, err := r.log.Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	edge := new(eventlog.Edge)
	for seq := uint64(1); seq <= 260; seq++ {
		rec, err := r.log.Record(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		edge.Add(rec.Leaf, func(eventlog.Node) {})
	}
	if want := edge.Tree(); got != want {
		t.Errorf("after the next append: got %+v, want %+v", got, want)
	}
	if after, err := r.kill().Tree(context.Background()); err != nil || after != got {
		t.Errorf("after a kill: got %+v (%v), want %+v", after, err, got)
	}
}
