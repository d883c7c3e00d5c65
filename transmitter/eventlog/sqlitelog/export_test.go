package sqlitelog

import (
	"context"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// MoveAt is how many keys are held in memory before they move.
const MoveAt = moveAt

// AwaitMover returns when the background has nothing to do.
func AwaitMover(l *Log) { l.moving.Wait() }

// Keys returns how many keys are in memory and how many in their table.
func Keys(t testing.TB, l *Log) (inMemory, inTable int) {
	err := l.db.Write(context.Background(), func(tx *sqlitedb.Tx) error {
		inMemory = len(l.keys.recent)
		return tx.QueryRow("SELECT count(*) FROM source_key").Scan(&inTable)
	})
	if err != nil {
		t.Fatal(err)
	}
	return inMemory, inTable
}

// LimitPages bounds the file's size, as a full disk would.
func LimitPages(t testing.TB, l *Log, pragma string) {
	err := l.db.Write(context.Background(), func(tx *sqlitedb.Tx) error {
		var n int
		return tx.QueryRow("PRAGMA max_page_count=" + pragma).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
}
