package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Store keeps applications, clients and revoked tokens in admin.db. Changes are
// durable on return (synchronous FULL). Safe for concurrent use by one process;
// the folder's lock keeps others out (contracts.md §7).
type Store struct {
	db *sqlitedb.DB
	// removals counts what may have ended a token that was good before.
	removals atomic.Uint64
	// vendors wakes those who wait for a change of the vendors' sources.
	vendors struct {
		mu      sync.Mutex
		changed chan struct{} // nil: nobody waits
	}
}

// Open opens admin.db at path, makes it if it does not exist, and brings its
// schema up to date. The file holds private keys: its mode is set to 0600.
//
// Errors: as of [sqlitedb.Open].
func Open(ctx context.Context, path string) (*Store, error) {
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: path, ApplicationID: applicationID, Synchronous: sqlitedb.Full, Migrations: migrations(),
	})
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if err := os.Chmod(db.Path(), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("auth: %w", err), db.Close())
	}
	return &Store{db: db}, nil
}

// DB is the open admin.db, for the key ring (transmitter/keys), whose table is
// part of the same schema. It is closed with the store.
func (s *Store) DB() *sqlitedb.DB { return s.db }

// Backup writes a copy of admin.db, private keys included, to path (mode 0600),
// which must not exist.
func (s *Store) Backup(ctx context.Context, path string) error { return s.db.Backup(ctx, path) }

// Close closes admin.db. A second call does nothing.
func (s *Store) Close() error { return s.db.Close() }

// change runs fn in a transaction after which tokens may have to be checked
// again, whatever its outcome.
func (s *Store) change(ctx context.Context, fn func(*sqlitedb.Tx) error) error {
	defer s.removals.Add(1)
	return s.db.Write(ctx, fn)
}

// notFound turns the lack of a row into ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// row is what of a transaction one row is read with.
type row interface {
	QueryRow(sql string, args ...any) sqlitedb.Row
}

// exists reports whether the query has a row.
func exists(v row, sql string, args ...any) (bool, error) {
	var one int
	err := v.QueryRow(sql, args...).Scan(&one)
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// created is the time to keep: now unless the caller knows better.
func created(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.Truncate(time.Millisecond).UTC()
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
