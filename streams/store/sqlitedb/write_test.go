package sqlitedb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// batches runs ops so that the first holds the lead until all others wait.
// It returns each op's error and the sizes of the commits.
func batches(t *testing.T, change func(*sqlitedb.Config), ops ...func(*sqlitedb.Tx) error) (*sqlitedb.DB, []error, []int) {
	t.Helper()
	var sizes []int
	db := open(t, filepath.Join(t.TempDir(), "t.db"), func(c *sqlitedb.Config) {
		c.Observe = func(n int, _ time.Duration) { sizes = append(sizes, n) }
		if change != nil {
			change(c)
		}
	})
	errs := make([]error, len(ops))
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Write(context.Background(), func(*sqlitedb.Tx) error { close(inside); <-goOn; return nil })
	})
	<-inside
	for i, fn := range ops {
		wg.Go(func() { errs[i] = db.Write(context.Background(), fn) })
		sqlitedb.AwaitWaiting(db, i+1)
	}
	close(goOn)
	wg.Wait()
	return db, errs, sizes[1:]
}

// contracts.md §2: one commit serves all waiting callers.
func TestWriteSharesCommit(t *testing.T) {
	ops := make([]func(*sqlitedb.Tx) error, 20)
	for i := range ops {
		ops[i] = insert(i, fmt.Sprint(i))
	}
	db, errs, sizes := batches(t, nil, ops...)
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("got %v, want no error", err)
	}
	if len(sizes) != 1 || sizes[0] != 20 {
		t.Errorf("commits: got %v, want one of 20", sizes)
	}
	if n := count(t, db); n != 20 {
		t.Errorf("rows: got %d, want 20", n)
	}
}

// A batch is bounded; what exceeds it goes into the next.
func TestWriteBatchBound(t *testing.T) {
	ops := make([]func(*sqlitedb.Tx) error, sqlitedb.MaxBatch+5)
	for i := range ops {
		ops[i] = insert(i, fmt.Sprint(i))
	}
	_, _, sizes := batches(t, nil, ops...)
	if len(sizes) != 2 || sizes[0] != sqlitedb.MaxBatch || sizes[1] != 5 {
		t.Errorf("commits: got %v, want [%d 5]", sizes, sqlitedb.MaxBatch)
	}
}

// One caller's failure is its own: the others are committed, together, and
// nothing of the failed one is kept, whatever way it failed.
func TestWriteFailureIsolated(t *testing.T) {
	boom := errors.New("boom")
	late := func(tx *sqlitedb.Tx) error {
		if err := insert(900, "late")(tx); err != nil {
			return err
		}
		return boom
	}
	tests := []struct {
		name string
		bad  func(*sqlitedb.Tx) error
		want func(error) bool
	}{
		{"before writing", func(*sqlitedb.Tx) error { return boom }, func(err error) bool { return errors.Is(err, boom) }},
		{"after writing", late, func(err error) bool { return errors.Is(err, boom) }},
		{"constraint", insert(1, "again"), func(err error) bool { return err != nil }},
		{
			"bad SQL", func(tx *sqlitedb.Tx) error { _, err := tx.Exec("INSERT INTO nowhere VALUES(1)"); return err },
			func(err error) bool { return err != nil },
		},
		{"panic after writing", func(tx *sqlitedb.Tx) error {
			if err := insert(901, "panic")(tx); err != nil {
				return err
			}
			panic("s3cr3t")
		}, func(err error) bool { return panicIs(err, "string") }},
		{"panic with an error", func(*sqlitedb.Tx) error { panic(errors.New("s3cr3t")) }, func(err error) bool { return panicIs(err, "*errors.errorString") }},
		{"panic of the runtime", func(*sqlitedb.Tx) error {
			var rows []int
			_ = rows[len(rows)]
			return nil
		}, func(err error) bool { return panicIs(err, "runtime error: index out of range [0] with length 0") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db, errs, sizes := batches(t, nil, insert(1, "one"), tt.bad, insert(2, "two"))
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("neighbours: got %v and %v, want no errors", errs[0], errs[2])
			}
			if !tt.want(errs[1]) {
				t.Errorf("failing op: got %v", errs[1])
			}
			if n := count(t, db); n != 2 {
				t.Errorf("rows: got %d, want 2", n)
			}
			if len(sizes) != 1 {
				t.Errorf("commits: got %v, want one for all", sizes)
			}
		})
	}
}

// panicIs reports whether err tells of a panic of a kind, and nothing of its value.
func panicIs(err error, kind string) bool {
	p, ok := errors.AsType[*sqlitedb.PanicError](err)
	return ok && p.Kind == kind && len(p.Stack) > 0 && !strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "s3cr3t")
}

// Ops see what earlier ones of their batch did: the order of calls is the
// order of effects.
func TestWriteOrder(t *testing.T) {
	var seen []int
	look := func(tx *sqlitedb.Tx) error {
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM item").Scan(&n); err != nil {
			return err
		}
		seen = append(seen, n)
		return nil
	}
	batches(t, nil, look, insert(1, "a"), look, insert(2, "b"), look)
	if fmt.Sprint(seen) != "[0 1 2]" {
		t.Errorf("got %v, want [0 1 2]", seen)
	}
}

// A call whose context ends while it waits does nothing.
func TestWriteContext(t *testing.T) {
	db := tempDB(t)
	inside, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Write(context.Background(), func(*sqlitedb.Tx) error { close(inside); <-goOn; return nil })
	})
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() { got <- db.Write(ctx, insert(1, "one")) }()
	sqlitedb.AwaitWaiting(db, 1)
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	close(goOn)
	wg.Wait()
	if n := count(t, db); n != 0 {
		t.Errorf("rows: got %d, want 0", n)
	}
}

// A query may run inside itself, and rows left open do no harm.
func TestWriteNestedQuery(t *testing.T) {
	db := tempDB(t)
	for i := range 3 {
		if err := db.Write(t.Context(), insert(i, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	pairs := 0
	err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		outer, err := tx.Query("SELECT id FROM item")
		if err != nil {
			return err
		}
		for outer.Next() {
			inner, err := tx.Query("SELECT id FROM item")
			if err != nil {
				return err
			}
			for inner.Next() {
				pairs++
			}
		}
		_, err = tx.Query("SELECT id FROM item") // left open
		return err
	})
	if err != nil || pairs != 9 {
		t.Errorf("got %d pairs (%v), want 9", pairs, err)
	}
	if err := db.Write(t.Context(), insert(9, "nine")); err != nil {
		t.Errorf("after rows left open: got %v, want no error", err)
	}
}

// WriteFull works between writes of a database opened Normal.
func TestWriteFull(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "n.db"), func(c *sqlitedb.Config) { c.Synchronous = sqlitedb.Normal })
	mode := func(write func(context.Context, func(*sqlitedb.Tx) error) error) (n int) {
		t.Helper()
		err := write(t.Context(), func(tx *sqlitedb.Tx) error { return tx.QueryRow("PRAGMA synchronous").Scan(&n) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, want := range []int{1, 2, 1, 2} { // 1 NORMAL, 2 FULL
		write := db.Write
		if i%2 == 1 {
			write = db.WriteFull
		}
		if got := mode(write); got != want {
			t.Errorf("write %d: got synchronous %d, want %d", i, got, want)
		}
	}
}

// A full disk is told to every waiter, nothing is half done, and the next
// write works once there is room again.
func TestWriteDiskFull(t *testing.T) {
	db := tempDB(t)
	limit := func(pages int) {
		t.Helper()
		err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
			var n int
			return tx.QueryRow(fmt.Sprintf("PRAGMA max_page_count=%d", pages)).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	big := func(id int) func(*sqlitedb.Tx) error {
		return func(tx *sqlitedb.Tx) error {
			if err := insert(id, fmt.Sprint("small ", id))(tx); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO item VALUES(?, ?, ?)", id+1000, fmt.Sprint("big ", id), make([]byte, 1<<20))
			return err
		}
	}
	limit(20)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = db.Write(context.Background(), big(i)) })
	}
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			t.Errorf("write %d on a full disk: got no error, want one", i)
		}
	}
	// An op that hides the failure does not pass for done.
	if err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error { _ = big(50)(tx); return nil }); err == nil {
		t.Error("hidden failure: got no error, want one")
	}
	if n := count(t, db); n != 0 {
		t.Errorf("rows after failures: got %d, want 0", n)
	}
	limit(1 << 20)
	if err := db.Write(t.Context(), big(1)); err != nil {
		t.Errorf("with room again: got %v, want no error", err)
	}
	if n := count(t, db); n != 2 {
		t.Errorf("rows: got %d, want 2", n)
	}
}

func TestClosed(t *testing.T) {
	db := tempDB(t)
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Fatalf("Close twice: got %v, want no error", err)
	}
	if err := db.Write(t.Context(), insert(1, "one")); !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("Write: got %v, want ErrClosed", err)
	}
	err := db.Read(t.Context(), func(*sqlitedb.View) error { return nil })
	if !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("Read: got %v, want ErrClosed", err)
	}
}

// Many callers at once: nothing is lost, nothing done twice.
func TestWriteConcurrent(t *testing.T) {
	db := tempDB(t)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 25 {
				if err := db.Write(context.Background(), insert(g*100+i, fmt.Sprint(g, "-", i))); err != nil {
					t.Errorf("got %v, want no error", err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 400 {
		t.Errorf("rows: got %d, want 400", n)
	}
}

// OnCommit runs in the order of the writes and only for those that were kept;
// Number tells a second run from the first.
func TestOnCommit(t *testing.T) {
	boom := errors.New("boom")
	var done []string
	numbers := make(map[uint64]bool)
	op := func(id int, name string, fail error) func(*sqlitedb.Tx) error {
		return func(tx *sqlitedb.Tx) error {
			numbers[tx.Number()] = true
			tx.OnCommit(func() { done = append(done, name) })
			if err := insert(id, name)(tx); err != nil {
				return err
			}
			return fail
		}
	}
	batches(t, nil, op(1, "a", nil), op(2, "b", boom), op(3, "c", nil), op(4, "a", nil))
	if fmt.Sprint(done) != "[a c]" {
		t.Errorf("got %v, want [a c]", done)
	}
	if len(numbers) != 2 {
		t.Errorf("got %d transactions, want 2: one undone, one kept", len(numbers))
	}
}
