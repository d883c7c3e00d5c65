package sqlitelog_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// A full disk: every caller is told, no number is used up, no key is taken,
// and appends work again when there is room.
func TestDiskFull(t *testing.T) {
	r := newRig(t, 0)
	fill(t, r.log, 0, 3)
	big := func(n int) eventlog.Event {
		e := keyed(n)
		e.Data = make([]byte, 1<<20)
		return e
	}
	sqlitelog.LimitPages(t, r.log, "40")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if got, err := r.log.Append(context.Background(), keyed(100+i), big(200+i)); err == nil {
				t.Errorf("on a full disk: got %+v, want an error", got)
			}
		})
	}
	wg.Wait()
	if n, err := r.log.Head(t.Context()); err != nil || n != 3 {
		t.Errorf("Head: got %d (%v), want 3", n, err)
	}
	sqlitelog.LimitPages(t, r.log, "1000000")
	got, err := r.log.Append(t.Context(), keyed(100), big(200))
	if err != nil || got[0].Seq != 4 || got[1].Seq != 5 || got[0].Duplicate || got[1].Duplicate {
		t.Errorf("with room again: got %+v (%v), want new events 4 and 5", got, err)
	}
	records, err := r.kill().Read(t.Context(), 0, 10)
	if err != nil || len(records) != 5 {
		t.Errorf("after a kill: got %d records (%v), want 5", len(records), err)
	}
}

// Close wakes those who wait, and nothing works after it.
func TestClose(t *testing.T) {
	r := newRig(t, 0)
	waiting := make(chan error)
	go func() { waiting <- r.log.Wait(context.Background(), 0) }()
	if err := r.log.Close(); err != nil {
		t.Errorf("Close: got %v, want no error", err)
	}
	if err := <-waiting; !errors.Is(err, sqlitelog.ErrClosed) {
		t.Errorf("Wait: got %v, want ErrClosed", err)
	}
	if _, err := r.log.Append(t.Context(), keyed(1)); !errors.Is(err, sqlitelog.ErrClosed) {
		t.Errorf("Append: got %v, want ErrClosed", err)
	}
}

// A backup of a live log is a log: same records, same ids, same keys.
func TestBackup(t *testing.T) {
	r := newRig(t, 0)
	fill(t, r.log, 0, 20)
	want, err := r.log.Get(t.Context(), mustID(t, r.log, 7))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := r.log.Backup(t.Context(), path); err != nil {
		t.Fatalf("Backup: got %v, want no error", err)
	}
	fill(t, r.log, 20, 25)
	r.path = path
	l := r.open()
	got, err := l.Get(t.Context(), want.ID)
	if err != nil || got.Leaf != want.Leaf || got.Seq != 7 {
		t.Errorf("Get: got %+v (%v), want record 7", got, err)
	}
	if n, _ := l.Head(t.Context()); n != 20 {
		t.Errorf("Head: got %d, want 20", n)
	}
	known(t, "in the copy", l, map[int]uint64{0: 1, 19: 20})
}

func mustID(t *testing.T, l eventlog.Log, seq uint64) string {
	t.Helper()
	r, err := l.Record(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// contracts.md §7: every file has a schema version; a newer one is refused.
func TestNewerSchemaRefused(t *testing.T) {
	r := newRig(t, 0)
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version=99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = sqlitelog.Open(t.Context(), sqlitelog.Config{Path: r.path})
	var se *sqlitedb.SchemaError
	if !errors.As(err, &se) || se.Have != 99 {
		t.Errorf("got %v, want a *SchemaError of 99", err)
	}
}

// What stands in the file and was altered is found by Verify.
func TestAlteredRowFails(t *testing.T) {
	r := newRig(t, 0)
	fill(t, r.log, 0, 3)
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", r.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE record SET recorded = recorded + 1 WHERE seq = 2"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	l := r.open()
	for seq, want := range map[uint64]error{1: nil, 2: eventlog.ErrLeaf, 3: nil} {
		rec, err := l.Record(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if got := rec.Verify(); !errors.Is(got, want) {
			t.Errorf("record %d: got %v, want %v", seq, got, want)
		}
	}
}
