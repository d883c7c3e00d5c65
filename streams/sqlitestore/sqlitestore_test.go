package sqlitestore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

func open(t testing.TB) *sqlitestore.Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "state.db"))
}

func openAt(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func push(id string) streams.Stream {
	return streams.Stream{
		ID: id, Owner: "app", Audience: []string{"a"}, Status: streams.Enabled, Epoch: 1, EventsDelivered: []string{typeA},
		DefaultSubjects: streams.SubjectsAll, Delivery: streams.Delivery{Method: delivery.MethodPush},
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	newer := filepath.Join(t.TempDir(), "state.db")
	s := openAt(t, newer)
	must(t, s.Close())
	stamp(t, newer, make([]string, 99))
	var schema *sqlitedb.SchemaError
	for _, c := range []struct {
		name string
		cfg  sqlitestore.Config
		want func(error) bool
	}{
		{"no path", sqlitestore.Config{}, func(err error) bool { return strings.Contains(err.Error(), "Path") }},
		{"negative bound", sqlitestore.Config{Path: "x", MaxDepth: -1}, func(err error) bool { return strings.Contains(err.Error(), "MaxDepth") }},
		{"a newer schema", sqlitestore.Config{Path: newer}, func(err error) bool { return errors.As(err, &schema) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := sqlitestore.Open(t.Context(), c.cfg)
			if err == nil {
				_ = s.Close()
				t.Fatal("got no error, want one")
			}
			if !c.want(err) {
				t.Errorf("got error %v, want another", err)
			}
		})
	}
}

// stamp makes path look as if all scripts had been applied.
func stamp(t *testing.T, path string, scripts []string) {
	t.Helper()
	for i := range scripts {
		scripts[i] = "SELECT 1"
	}
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, ApplicationID: 0x546f6373, Migrations: scripts})
	must(t, err)
	must(t, db.Close())
}

// contracts.md §7: a backup copies a live store.
func TestBackupIsAWholeStore(t *testing.T) {
	s := open(t)
	must(t, s.Create(t.Context(), push("s1"), 0))
	for seq := range uint64(5) {
		_, err := s.Put(t.Context(), streams.Item{Stream: "s1", Epoch: 1, Pos: streams.Position{Seq: seq + 1}, ID: fmt.Sprint("e", seq+1)})
		must(t, err)
	}
	at := time.Now().Add(time.Hour)
	s.Touch(t.Context(), "s1", at)
	copied := filepath.Join(t.TempDir(), "state.db")
	must(t, s.Backup(t.Context(), copied))
	_, err := s.Purge(t.Context(), "s1")
	must(t, err)
	b := openAt(t, copied)
	items, err := b.Take(t.Context(), "s1", streams.TakeOptions{Max: 10, Lease: time.Minute})
	must(t, err)
	if len(items) != 5 {
		t.Errorf("got %d items in the copy, want 5", len(items))
	}
	got, err := b.Stream(t.Context(), "s1")
	must(t, err)
	if !got.Active.Equal(at) {
		t.Errorf("got activity at %v in the copy, want %v", got.Active, at)
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		must(t, s.Create(t.Context(), push("s1"), 0))
		errs := make(chan error, 2)
		go func() {
			_, err := s.Take(context.Background(), "s1", streams.TakeOptions{Max: 1, Lease: time.Minute, Wait: true})
			errs <- err
		}()
		go func() {
			_, err := s.Ready(context.Background(), 1)
			errs <- err
		}()
		synctest.Wait()
		must(t, s.Close())
		for range 2 {
			if err := <-errs; !errors.Is(err, sqlitestore.ErrClosed) {
				t.Errorf("got error %v, want ErrClosed", err)
			}
		}
		if _, err := s.Put(context.Background(), streams.Item{Stream: "s1", Epoch: 1, ID: "e1", Pos: streams.Position{Seq: 1}}); err == nil {
			t.Error("got no error from Put after Close, want one")
		}
	})
}

// What was purged is erased from the file in the background, and the sweep
// ends with the store.
func TestPurgedRowsAreErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state.db")
		s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path, Report: func(err error) { t.Errorf("in the background: %v", err) }})
		must(t, err)
		for _, id := range []string{"s1", "s2"} {
			must(t, s.Create(t.Context(), push(id), 0))
			must(t, s.Add(t.Context(), id, user(1), 0))
			must(t, s.Remove(t.Context(), id, user(2), 0))
			var items []streams.Item
			for seq := range uint64(1200) {
				items = append(items, streams.Item{Stream: id, Epoch: 1, Pos: streams.Position{Seq: seq + 1}, ID: fmt.Sprint("e", seq+1)})
			}
			_, err := s.Put(t.Context(), items...)
			must(t, err)
			_, err = s.Settle(t.Context(), id, []streams.Outcome{{ID: "e7", Verdict: streams.Refused}}, nil)
			must(t, err)
		}
		n, err := s.Purge(t.Context(), "s1")
		must(t, err)
		if n != 1199 {
			t.Errorf("got %d items purged, want 1199", n)
		}
		must(t, s.Delete(t.Context(), "s2"))
		synctest.Wait()
		must(t, s.Close())
		db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, Migrations: []string{"", "", ""}})
		must(t, err)
		defer func() { must(t, db.Close()) }()
		for table, want := range map[string]int{
			"items": 0, "dead": 1, "subjects": 2, "subject_keys": 2, "garbage_queues": 0, "garbage_streams": 0, "streams": 1, "ids": 2,
		} {
			var rows int
			must(t, db.Read(t.Context(), func(v *sqlitedb.View) error { return v.QueryRow("SELECT count(*) FROM " + table).Scan(&rows) }))
			if rows != want {
				t.Errorf("got %d rows in %s, want %d", rows, table, want)
			}
		}
	})
}

// The control lane has a bound of its own, which stream-updated may pass.
func TestControlLaneIsBounded(t *testing.T) {
	s := open(t)
	must(t, s.Create(t.Context(), push("s1"), 0))
	item := func(i int, typ string) streams.Item {
		return streams.Item{Stream: "s1", Lane: streams.LaneControl, ID: fmt.Sprint("c", i), Type: typ}
	}
	var items []streams.Item
	for i := range sqlitestore.MaxControl + 2 {
		items = append(items, item(i, streams.TypeVerification))
	}
	items = append(items, item(-1, streams.TypeStreamUpdated))
	r, err := s.Put(t.Context(), items...)
	must(t, err)
	if r.Kept != sqlitestore.MaxControl+1 || r.Full["s1"] != 2 {
		t.Errorf("got %+v, want %d kept and 2 full", r, sqlitestore.MaxControl+1)
	}
	_, err = s.Update(t.Context(), "s1", func(*streams.Stream) ([]streams.Item, error) {
		return []streams.Item{item(-2, streams.TypeVerification)}, nil
	})
	if !errors.Is(err, streams.ErrFullControl) {
		t.Errorf("got error %v from Update, want ErrFullControl", err)
	}
}
