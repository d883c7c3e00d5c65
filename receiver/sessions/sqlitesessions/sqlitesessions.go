// Package sqlitesessions keeps an index of sessions and revocations in one SQLite file,
// for one process. What a call said is synced to disk when it returns.
//
// Of identifiers the file has digests alone; the ids of sessions are in clear, since
// they are what is found. It belongs to one process: take sqlitedb.LockFolder on its
// folder first.
package sqlitesessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// applicationID marks the file ("tcSE").
const applicationID = 0x74635345

// swept is how many rows that have expired a write takes along.
const swept = 50

// Config says where the store is and what it keeps.
type Config struct {
	// Path of the database file; required. Its folder must exist.
	Path string
	// Index says what is kept of sessions; its MaxSessions is not read.
	Index sessions.IndexConfig
	// Revocations says what is kept of revocations. MaxMarks must hold what the file has.
	Revocations sessions.RevocationsConfig
	// Observe, if set, is told of every commit (see sqlitedb.Config).
	Observe func(batch int, d time.Duration)
}

// Store is a sessions.Lookup and a sessions.Revocations. Safe for concurrent use.
// Times are kept in microseconds.
type Store struct {
	index       sessions.IndexConfig
	revocations sessions.RevocationsConfig
	db          *sqlitedb.DB
	state       *sessions.State
	applying    sync.Mutex // of changes to state; checks do not take it
}

var (
	_ sessions.Lookup      = (*Store)(nil)
	_ sessions.Revocations = (*Store)(nil)
)

// Open opens the store of cfg, or makes it, and loads its revocations.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	index, indexErr := cfg.Index.Filled()
	revocations, revocationsErr := cfg.Revocations.Filled()
	if err := errors.Join(indexErr, revocationsErr); err != nil {
		return nil, fmt.Errorf("sqlitesessions: %w", err)
	}
	state, err := sessions.NewState(revocations, false)
	if err != nil {
		return nil, fmt.Errorf("sqlitesessions: %w", err)
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: cfg.Path, ApplicationID: applicationID, Synchronous: sqlitedb.Full,
		Migrations: migrations(), Observe: cfg.Observe,
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitesessions: %w", err)
	}
	s := &Store{index: index, revocations: revocations, db: db, state: state}
	if err := s.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitesessions: %w", err), db.Close())
	}
	return s, nil
}

// Close closes the file. Checks of what is in memory go on.
func (s *Store) Close() error { return s.db.Close() }

// Backup writes a copy to path while the store is in use (see sqlitedb.DB.Backup).
func (s *Store) Backup(ctx context.Context, path string) error { return s.db.Backup(ctx, path) }

// migrations are the schema versions, in order. Released ones never change.
//
// Digests of a session stand one after the other. deadline is until when a session is
// kept, expires of a mark is null while it is a denial.
func migrations() []string {
	return []string{`
CREATE TABLE session (
	id BLOB PRIMARY KEY, digests BLOB NOT NULL,
	begun INTEGER NOT NULL, expires INTEGER, deadline INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX session_deadline ON session (deadline);
CREATE TABLE member (digest BLOB, id BLOB, PRIMARY KEY (digest, id)) STRICT, WITHOUT ROWID;
CREATE TABLE mark (
	clause BLOB PRIMARY KEY, until INTEGER, since INTEGER,
	denied INTEGER NOT NULL, expires INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX mark_expires ON mark (expires) WHERE expires IS NOT NULL;
`}
}
