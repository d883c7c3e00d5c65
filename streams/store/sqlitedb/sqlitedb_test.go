package sqlitedb_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

const schema = `
-- numbers and their names
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB) STRICT;
CREATE INDEX item_data ON item(data);`

func open(t testing.TB, path string, change func(*sqlitedb.Config)) *sqlitedb.DB {
	t.Helper()
	cfg := sqlitedb.Config{Path: path, ApplicationID: 0x746f6373, Migrations: []string{schema}}
	if change != nil {
		change(&cfg)
	}
	db, err := sqlitedb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: got %v, want no error", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: got %v, want no error", err)
		}
	})
	return db
}

func tempDB(t testing.TB) *sqlitedb.DB {
	return open(t, filepath.Join(t.TempDir(), "a ?#%'.db"), nil)
}

func insert(id int, name string) func(*sqlitedb.Tx) error {
	return func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("INSERT INTO item(id, name) VALUES(?, ?)", id, name)
		return err
	}
}

func count(t testing.TB, db *sqlitedb.DB) int {
	t.Helper()
	var n int
	err := db.Read(context.Background(), func(v *sqlitedb.View) error {
		return v.QueryRow("SELECT count(*) FROM item").Scan(&n)
	})
	if err != nil {
		t.Fatalf("count: got %v, want no error", err)
	}
	return n
}

// Every Go value that a store writes comes back the same; nil and empty
// blobs stay apart.
func TestValues(t *testing.T) {
	db := tempDB(t)
	tests := []struct {
		name string
		blob []byte
	}{{"nil", nil}, {"empty", []byte{}}, {"zeros", make([]byte, 3)}, {"bytes", []byte("a\x00b\xff")}}
	for i, tt := range tests {
		err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
			r, err := tx.Exec("INSERT INTO item VALUES(?, ?, ?)", uint64(i+1), tt.name, tt.blob)
			if err == nil && (r.Changes != 1 || r.LastInsertID != int64(i+1)) {
				t.Errorf("%s: got %+v, want 1 change and id %d", tt.name, r, i+1)
			}
			return err
		})
		if err != nil {
			t.Fatalf("%s: got %v, want no error", tt.name, err)
		}
		var id uint64
		var name string
		var blob []byte
		err = db.Read(t.Context(), func(v *sqlitedb.View) error {
			return v.QueryRow("SELECT id, name, data FROM item WHERE id = ?", i+1).Scan(&id, &name, &blob)
		})
		if err != nil || id != uint64(i+1) || name != tt.name || string(blob) != string(tt.blob) || (blob == nil) != (tt.blob == nil) {
			t.Errorf("%s: got %d %q %v (%v), want %d %q %v", tt.name, id, name, blob, err, i+1, tt.name, tt.blob)
		}
	}
}

func TestNoRows(t *testing.T) {
	db := tempDB(t)
	err := db.Read(t.Context(), func(v *sqlitedb.View) error {
		var n int
		return v.QueryRow("SELECT id FROM item").Scan(&n)
	})
	if !errors.Is(err, sqlitedb.ErrNoRows) {
		t.Errorf("got %v, want ErrNoRows", err)
	}
}
