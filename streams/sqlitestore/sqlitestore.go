// Package sqlitestore is the embedded [streams.Store]: streams, subjects,
// queues, positions and epochs in one SQLite file, state.db, and so in one
// transaction domain (docs/contracts.md §4 and §7).
//
// What is decided is decided in memory, where every stream has its epoch,
// status and highest position and the queues at work have their first items;
// what is kept is written before a call returns. Changes of streams and
// subjects are synced to disk; puts and settlements survive the end of the
// process, and a power cut may take back the last of them together.
//
// One process uses the file at a time: take the folder's lock first.
package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// DefaultMaxDepth is the bound of a queue if Config names none.
const DefaultMaxDepth = 1_000_000

// ErrClosed: the store was closed.
var ErrClosed = errors.New("sqlitestore: store is closed")

// Config says which file to open and how.
type Config struct {
	// Path of state.db; required. Its folder must exist.
	Path string
	// MaxDepth bounds the events on one queue and its dead letters together; zero is
	// DefaultMaxDepth.
	MaxDepth int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Observe, if set, is told of every commit: how many writes shared it
	// and how long it took. It must be quick.
	Observe func(batch int, d time.Duration)
	// Report, if set, is told of failures of work in the background (saving
	// activity, erasing what was purged), which is tried again later.
	Report func(error)

	window, page int // maxWindow and pageSize unless a test says otherwise
}

// Store is an open store. Safe for concurrent use.
type Store struct {
	db       *sqlitedb.DB
	now      func() time.Time
	report   func(error)
	maxDepth int
	window   int // maxWindow
	page     int // pageSize

	index    index
	subjects subjectIndex
	configs  configCache
	windows  windowCache
	ready    readyList
	due      dueTimes
	activity activity
	idle     inactivity

	lastStream atomic.Int64 // highest streams.num given out
	lastQueue  atomic.Int64 // highest states.queue given out
	leased     atomic.Int64
	closing    chan struct{}
	closed     sync.Once
	closeMu    sync.Mutex // guards the step from open to closing
	sweeper    sweeper
	background sync.WaitGroup
}

var _ streams.Store = (*Store)(nil)

// Open opens the store of cfg, makes it if it does not exist, and upgrades an
// older schema. Leases do not outlive the process that gave them: every item
// is back in its place.
//
// Errors: *sqlitedb.SchemaError for a file of a newer version,
// sqlitedb.ErrForeign for another application's; any other is a failure.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, errors.New("sqlitestore: Config.Path is required")
	}
	if cfg.MaxDepth < 0 {
		return nil, errors.New("sqlitestore: Config.MaxDepth must not be negative")
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path:          cfg.Path,
		ApplicationID: applicationID,
		Synchronous:   sqlitedb.Normal,
		Migrations:    migrations(),
		Observe:       cfg.Observe,
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	s := &Store{db: db, now: cfg.Now, report: cfg.Report, maxDepth: cfg.MaxDepth, closing: make(chan struct{})}
	if s.now == nil {
		s.now = time.Now
	}
	if s.report == nil {
		s.report = func(error) {}
	}
	if s.maxDepth == 0 {
		s.maxDepth = DefaultMaxDepth
	}
	if s.window, s.page = cfg.window, cfg.page; s.window == 0 {
		s.window, s.page = maxWindow, pageSize
	}
	s.index.init()
	s.subjects.init()
	s.ready.init()
	s.due.init(s)
	s.activity.init()
	if err := s.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitestore: open %s: %w", cfg.Path, err), db.Close())
	}
	s.sweep()
	return s, nil
}

// Close saves what is kept in memory, ends the work in the background and
// closes the file. Calls that wait end with ErrClosed. A second call does
// nothing.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() {
		s.closeMu.Lock()
		close(s.closing)
		s.closeMu.Unlock()
		s.due.stop()
		s.activity.stop()
		s.background.Wait()
		err = errors.Join(s.saveActivity(context.Background()), s.db.Close())
	})
	return err
}

// Backup writes a copy of the store as it is now to path, which must not exist.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.saveActivity(ctx); err != nil {
		return err
	}
	return s.db.Backup(ctx, path)
}

// tx is a transaction that writes.
type tx = sqlitedb.Tx

// view is a transaction that reads.
type view = sqlitedb.View
