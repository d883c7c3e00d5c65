// Package sqlitejournal is the durable journal of a receiver: one SQLite file.
//
// A file belongs to one process: take sqlitedb.LockFolder on its folder first.
package sqlitejournal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// applicationID marks the file ("tcJO").
const applicationID = 0x74634a4f

// Config says where the journal is and how much it keeps.
type Config struct {
	// Path of the database file; required. Its folder must exist.
	Path string
	// MaxEntries bounds the entries, and apart from them the states; zero:
	// journal.DefaultMaxEntries.
	MaxEntries int
	// Remember is how long an entry or a state is kept after it was recorded; zero:
	// journal.DefaultRemember. At least journal.MinRemember.
	Remember time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Observe, if set, is told of every commit (see sqlitedb.Config).
	Observe func(batch int, d time.Duration)
}

// Journal is a [journal.Journal] on SQLite. Safe for concurrent use.
type Journal struct {
	cfg Config
	db  *sqlitedb.DB
}

var _ journal.Journal = (*Journal)(nil)

// Open opens the journal of cfg, or makes it.
func Open(ctx context.Context, cfg Config) (*Journal, error) {
	var wrong []error
	if cfg.MaxEntries < 0 {
		wrong = append(wrong, errors.New("sqlitejournal: Config.MaxEntries must not be negative"))
	}
	if cfg.Remember != 0 && cfg.Remember < journal.MinRemember {
		wrong = append(wrong, fmt.Errorf("sqlitejournal: Config.Remember is %v, want 0 or at least %v", cfg.Remember, journal.MinRemember))
	}
	if wrong != nil {
		return nil, errors.Join(wrong...)
	}
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = journal.DefaultMaxEntries
	}
	if cfg.Remember == 0 {
		cfg.Remember = journal.DefaultRemember
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: cfg.Path, ApplicationID: applicationID, Synchronous: sqlitedb.Full,
		Migrations: migrations(), Observe: cfg.Observe,
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitejournal: %w", err)
	}
	return &Journal{cfg, db}, nil
}

// Close closes the file. What is recorded after it is not kept.
func (j *Journal) Close() error { return j.db.Close() }

// Backup writes a copy to path while the journal is in use (see sqlitedb.DB.Backup).
func (j *Journal) Backup(ctx context.Context, path string) error { return j.db.Backup(ctx, path) }

// closed makes the error of a closed database that of the contract.
func closed(err error) error {
	if errors.Is(err, sqlitedb.ErrClosed) {
		return journal.ErrClosed
	}
	return err
}
