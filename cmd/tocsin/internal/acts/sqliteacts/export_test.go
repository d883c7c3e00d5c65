package sqliteacts

import (
	"context"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// LimitPages bounds the file's size, as a full disk would.
func LimitPages(t testing.TB, s *Store, pages string) {
	t.Helper()
	err := s.db.Write(context.Background(), func(tx *sqlitedb.Tx) error {
		var n int
		return tx.QueryRow("PRAGMA max_page_count=" + pages).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// CopyTo writes the file to path.
func CopyTo(ctx context.Context, s *Store, path string) error { return s.db.Backup(ctx, path) }
