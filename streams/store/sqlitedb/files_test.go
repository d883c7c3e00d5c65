package sqlitedb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// contracts.md §7: every file has a schema version; upgrades from each older one.
func TestMigrateFromEachVersion(t *testing.T) {
	scripts := []string{
		schema,
		"ALTER TABLE item ADD COLUMN note TEXT; UPDATE item SET note = 'from 1'",
		"CREATE TABLE extra (id INTEGER PRIMARY KEY) STRICT; INSERT INTO extra SELECT id FROM item",
	}
	for have := 1; have <= len(scripts); have++ {
		t.Run(fmt.Sprint("from ", have), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "t.db")
			old := open(t, path, func(c *sqlitedb.Config) { c.Migrations = scripts[:have] })
			if err := old.Write(t.Context(), insert(7, "seven")); err != nil {
				t.Fatal(err)
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			db := open(t, path, func(c *sqlitedb.Config) { c.Migrations = scripts })
			var name string
			var version int
			err := db.Read(t.Context(), func(v *sqlitedb.View) error {
				return errors.Join(
					v.QueryRow("SELECT name FROM item WHERE id = 7").Scan(&name),
					v.QueryRow("PRAGMA user_version").Scan(&version))
			})
			if err != nil || name != "seven" || version != len(scripts) {
				t.Errorf("got %q at version %d (%v), want seven at %d", name, version, err, len(scripts))
			}
		})
	}
}

func TestMigrateNewerRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	db := open(t, path, func(c *sqlitedb.Config) { c.Migrations = []string{schema, "CREATE TABLE b(x INT) STRICT"} })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, ApplicationID: 0x746f6373, Migrations: []string{schema}})
	var se *sqlitedb.SchemaError
	if !errors.As(err, &se) || se.Have != 2 || se.Known != 1 {
		t.Fatalf("got %v, want a *SchemaError of 2 against 1", err)
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "schema version 2") {
		t.Errorf("text: got %q, want the path and the version", err)
	}
}

// A script that fails leaves the file at its version, for another try.
func TestMigrateFailureUndone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	bad := []string{schema, "CREATE TABLE b(x INT) STRICT; INSERT INTO nowhere VALUES(1)"}
	if _, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, Migrations: bad}); err == nil {
		t.Fatal("got no error, want one")
	}
	bad[1] = "CREATE TABLE b(x INT) STRICT"
	open(t, path, func(c *sqlitedb.Config) { c.ApplicationID, c.Migrations = 0, bad })
}

func TestForeignFileRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	if err := open(t, path, func(c *sqlitedb.Config) { c.ApplicationID = 1 }).Close(); err != nil {
		t.Fatal(err)
	}
	_, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, ApplicationID: 2, Migrations: []string{schema}})
	if !errors.Is(err, sqlitedb.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
}

// Others cannot read the files, the write-ahead log included.
func TestFileMode(t *testing.T) {
	db := tempDB(t)
	if err := db.Write(t.Context(), insert(1, "one")); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		fi, err := os.Stat(db.Path() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, want 0600", suffix, fi.Mode())
		}
	}
}

// A backup of a database in use is whole: the log goes on and stays out of it.
func TestBackupLive(t *testing.T) {
	db := tempDB(t)
	for i := range 50 {
		if err := db.Write(t.Context(), insert(i, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	writing := make(chan error)
	go func() {
		for i := 1000; ; i++ {
			if err := db.Write(ctx, insert(i, fmt.Sprint(i))); err != nil {
				writing <- err
				return
			}
		}
	}()
	dst := filepath.Join(t.TempDir(), "it's a copy.db")
	if err := db.Backup(t.Context(), dst); err != nil {
		t.Fatalf("Backup: got %v, want no error", err)
	}
	cancel()
	if err := <-writing; !errors.Is(err, context.Canceled) {
		t.Errorf("writer: got %v, want context.Canceled", err)
	}
	before := count(t, db)
	copied := open(t, dst, nil)
	var check string
	err := copied.Read(t.Context(), func(v *sqlitedb.View) error { return v.QueryRow("PRAGMA integrity_check").Scan(&check) })
	if err != nil || check != "ok" {
		t.Errorf("integrity: got %q (%v), want ok", check, err)
	}
	if n := count(t, copied); n < 50 || n > before {
		t.Errorf("rows: got %d, want 50 to %d", n, before)
	}
	if err := copied.Write(t.Context(), insert(5000, "new")); err != nil {
		t.Errorf("write to the copy: got %v, want no error", err)
	}
	if err := db.Backup(t.Context(), dst); !errors.Is(err, os.ErrExist) {
		t.Errorf("onto an existing file: got %v, want os.ErrExist", err)
	}
}

// secure_delete and a truncating checkpoint: what was deleted is not on disk.
func TestCheckpointErases(t *testing.T) {
	db := tempDB(t)
	const secret = "needle-in-the-haystack"
	err := errors.Join(
		db.Write(t.Context(), insert(1, secret)),
		db.Checkpoint(t.Context(), true),
		db.Write(t.Context(), func(tx *sqlitedb.Tx) error { _, err := tx.Exec("DELETE FROM item"); return err }),
		db.Checkpoint(t.Context(), true))
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(db.Path() + suffix)
		if err != nil || strings.Contains(string(b), secret) {
			t.Errorf("%q: got the deleted text (%v), want it gone", suffix, err)
		}
	}
}

// All queries of one Read see one state.
func TestReadSnapshot(t *testing.T) {
	db := tempDB(t)
	err := db.Read(t.Context(), func(v *sqlitedb.View) error {
		for range 2 {
			var n int
			if err := v.QueryRow("SELECT count(*) FROM item").Scan(&n); err != nil || n != 0 {
				t.Errorf("got %d (%v), want 0", n, err)
			}
			if n == 0 {
				_ = db.Write(context.Background(), insert(1, "one")) // a second time: a constraint error
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("after: got %d, want 1", n)
	}
}

// contracts.md §7: one folder, one process.
func TestLockFolder(t *testing.T) {
	dir := t.TempDir()
	l, err := sqlitedb.LockFolder(dir)
	if err != nil {
		t.Fatalf("got %v, want no error", err)
	}
	_, err = sqlitedb.LockFolder(dir)
	if !errors.Is(err, sqlitedb.ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second: got %v, want ErrLocked with process %d", err, os.Getpid())
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	l, err = sqlitedb.LockFolder(dir)
	if err != nil {
		t.Fatalf("after Unlock: got %v, want no error", err)
	}
	_ = l.Unlock()
}
