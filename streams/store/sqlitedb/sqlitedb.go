// Package sqlitedb opens and drives an embedded SQLite database: settings,
// schema upgrades, durable group commits, snapshot reads and live backups.
//
// A [DB] has one writing connection. Concurrent calls of [DB.Write] share one
// transaction and so one sync to disk. Reads run beside it on connections of
// their own, each on a snapshot. Statements are prepared once per connection
// and kept by their SQL text, so that text is best a constant.
//
// A database belongs to one process: take [LockFolder] on its folder first.
package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// Synchronous says when a commit has reached the disk.
type Synchronous int

const (
	// Full syncs every commit: it survives a power cut. The zero value.
	Full Synchronous = iota
	// Normal syncs at checkpoints: a commit survives the end of the process,
	// but a power cut may take back the last ones. The database stays whole.
	Normal
)

// Limits and settings that hold for every database.
const (
	// MaxBatch bounds the writes that share one commit.
	MaxBatch = 256
	// DefaultReadConns is the number of reading connections if Config names none.
	DefaultReadConns = 4

	busyTimeout     = 5 * time.Second
	writeCacheKiB   = 64 << 10
	readCacheKiB    = 16 << 10
	checkpointPages = 4000
	maxStatements   = 256
)

// Config says which database to open and how.
type Config struct {
	// Path of the database file; required. Its folder must exist.
	Path string
	// ApplicationID marks the file as ours (PRAGMA application_id). A file
	// with another one is refused. Zero: not checked.
	ApplicationID uint32
	// Synchronous of [DB.Write]; the zero value is Full.
	Synchronous Synchronous
	// Migrations are SQL scripts that lead from one schema version to the
	// next; the file's version is the number of those applied. Only append
	// to the list: a script that was ever released must not change.
	Migrations []string
	// Gather is how long a write waits for others to share its commit, after
	// one that was shared; zero: it lets others run and does not wait. A lone
	// writer never waits, but once after it was not alone.
	Gather time.Duration
	// ReadConns bounds the reads that run at once; zero is DefaultReadConns.
	ReadConns int
	// Observe, if set, is told of every commit: how many writes shared it and
	// how long it took from the first write to the sync. It must be quick.
	Observe func(batch int, d time.Duration)
}

// DB is an open database. Safe for concurrent use.
type DB struct {
	path     string
	mode     Synchronous
	observe  func(int, time.Duration)
	readers  chan *conn // idle reading connections; nil: not opened yet
	readerCt int

	commits committer

	closing sync.Mutex
	closed  bool
}

// Open opens the database of cfg, makes it if it does not exist (mode 0600),
// and brings its schema up to date.
//
// Errors: *SchemaError for a file of a newer schema; ErrForeign for a file
// that belongs to something else; any other is a failure to open it.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Path == "" {
		return nil, errors.New("sqlitedb: Config.Path is required")
	}
	if cfg.ReadConns < 0 {
		return nil, errors.New("sqlitedb: Config.ReadConns must not be negative")
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: %w", err)
	}
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("sqlitedb: make %s: %w", path, err)
	}
	w, err := openConn(path, writerSettings(cfg.Synchronous))
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: open %s: %w", path, err)
	}
	if err := migrate(ctx, w, path, cfg); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if err := w.script(ctx, "PRAGMA journal_mode=WAL"); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitedb: open %s: %w", path, err), w.close())
	}
	n := cfg.ReadConns
	if n == 0 {
		n = DefaultReadConns
	}
	db := &DB{path: path, mode: cfg.Synchronous, observe: cfg.Observe, readers: make(chan *conn, n), readerCt: n}
	for range n {
		db.readers <- nil
	}
	db.commits.init(w, cfg)
	return db, nil
}

// Path returns the absolute path of the database file.
func (db *DB) Path() string { return db.path }

// Close waits for the writes and reads that run, refuses new ones with
// ErrClosed, moves the write-ahead log into the file and closes it. A second
// call does nothing.
func (db *DB) Close() error {
	db.closing.Lock()
	defer db.closing.Unlock()
	if db.closed {
		return nil
	}
	db.closed = true
	var errs []error
	db.commits.stop()
	for range db.readerCt {
		if c := <-db.readers; c != nil {
			errs = append(errs, c.close())
		}
	}
	close(db.readers)
	errs = append(errs, db.commits.conn.close())
	return errors.Join(errs...)
}
