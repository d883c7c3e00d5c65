// Package sqlitelog keeps the event log in an SQLite file, log.db: the one
// truth of the transmitter (contracts.md §7).
//
// A row holds the record's place, time, salt, leaf hash and canonical bytes;
// there is no second index on it, since indexes are what appends pay for.
// Concurrent appends share one synced commit. The latest records also stay in
// memory, so that followers at the head read neither SQL nor JSON.
package sqlitelog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/internal/tail"
)

// What a Config's zero values stand for, and limits of reads.
const (
	DefaultKeyMemory = 30 * 24 * time.Hour
	DefaultTail      = 8192

	// MaxRead bounds the records of one Read, and maxReadBytes, softly, their size.
	MaxRead      = 4096
	maxReadBytes = 16 << 20
	// gather lets more appends share a sync where they come side by side.
	gather = time.Millisecond
)

// applicationID marks log.db: "TocL".
const applicationID = 0x546f634c

// ErrClosed: the log is closed.
var ErrClosed = sqlitedb.ErrClosed

// Config says which log to open.
type Config struct {
	// Path of the file; required. Its folder must exist and be locked by the
	// caller (sqlitedb.LockFolder).
	Path string
	// KeyMemory is how long a source's id of an event is known again
	// (contracts.md §2); zero is 30 days.
	KeyMemory time.Duration
	// Tail is how many of the latest records stay in memory, within 64 MiB;
	// zero is 8192.
	Tail int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Observe, if set, is told of every commit: how many appends shared it
	// and how long it took.
	Observe func(batch int, d time.Duration)
	// Progress, if set, is told how far Open has come with the tree of a large
	// log that has none yet.
	Progress func(done, total uint64)
}

// Log is the log in a file. It implements eventlog.Log.
type Log struct {
	db     *sqlitedb.DB
	ids    *eventlog.IDs
	keys   keyring
	tail   *tail.Tail
	tree   tree
	now    func() time.Time
	memory time.Duration
	writer writer

	background context.Context // of the mover; ended by stop
	stop       context.CancelFunc
	starting   sync.Mutex // keeps a start of the mover and Close apart
	moving     sync.WaitGroup
}

var _ eventlog.Log = (*Log)(nil)

// Open opens the log, makes it if it does not exist, and brings its schema up
// to date. Close it at the end.
func Open(ctx context.Context, cfg Config) (*Log, error) { return open(ctx, cfg, nil) }

// open opens the log; id, if set, is the identity that it must have.
func open(ctx context.Context, cfg Config, id *eventlog.Identity) (*Log, error) {
	if cfg.KeyMemory < 0 || cfg.Tail < 0 {
		return nil, errors.New("sqlitelog: Config.KeyMemory and Config.Tail must not be negative")
	}
	l := &Log{now: cfg.Now, memory: cfg.KeyMemory}
	if l.now == nil {
		l.now = time.Now
	}
	if l.memory == 0 {
		l.memory = DefaultKeyMemory
	}
	size := cfg.Tail
	if size == 0 {
		size = DefaultTail
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: cfg.Path, ApplicationID: applicationID, Synchronous: sqlitedb.Full,
		Migrations: migrations(), Observe: cfg.Observe, Gather: gather,
	})
	if err != nil {
		return nil, fmt.Errorf("sqlitelog: %w", err)
	}
	l.db = db
	if err := l.load(ctx, id, size, cfg.Progress); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitelog: open %s: %w", cfg.Path, err), db.Close())
	}
	l.background, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	return l, nil
}

// load reads the secrets and where the log stands.
func (l *Log) load(ctx context.Context, id *eventlog.Identity, size int, progress func(done, total uint64)) error {
	var idKey, keySecret []byte
	var head, millis int64
	fresh := id
	if fresh == nil {
		fresh = new(eventlog.Identity)
		rand.Read(fresh.IDKey[:]) // never fails
		rand.Read(fresh.Secret[:])
	}
	err := l.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var err error
		if idKey, err = secret(tx, "id_key", fresh.IDKey[:]); err != nil {
			return err
		}
		if keySecret, err = secret(tx, "key_secret", fresh.Secret[:]); err != nil {
			return err
		}
		err = tx.QueryRow("SELECT seq, recorded FROM record ORDER BY seq DESC LIMIT 1").Scan(&head, &millis)
		if errors.Is(err, sqlitedb.ErrNoRows) {
			err = nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if id != nil && *id != (eventlog.Identity{IDKey: [eventlog.IDKeySize]byte(idKey), Secret: eventlog.Secret(keySecret)}) {
		return eventlog.ErrOtherLog
	}
	if l.ids, err = eventlog.NewIDs([eventlog.IDKeySize]byte(idKey)); err != nil {
		return err
	}
	l.keys = keyring{secret: eventlog.Secret(keySecret), recent: make(map[key]entry)}
	l.writer = writer{head: uint64(head), millis: millis}
	l.writer.publish = l.publish
	l.tail = tail.New(size, uint64(head))
	if err := l.loadTree(ctx, uint64(head), progress); err != nil {
		return err
	}
	return l.loadRecentKeys(ctx)
}

// secret returns the named secret of the file, which is fresh on first use.
func secret(tx *sqlitedb.Tx, name string, fresh []byte) ([]byte, error) {
	if _, err := tx.Exec("INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT DO NOTHING", name, fresh); err != nil {
		return nil, err
	}
	var value []byte
	if err := tx.QueryRow("SELECT value FROM meta WHERE name = ?", name).Scan(&value); err != nil {
		return nil, err
	}
	if len(value) != len(fresh) {
		return nil, fmt.Errorf("%s has %d bytes, want %d", name, len(value), len(fresh))
	}
	return value, nil
}

// Close waits for what runs, wakes those who wait, and closes the file.
func (l *Log) Close() error {
	l.tail.Close()
	l.starting.Lock()
	l.stop()
	l.starting.Unlock()
	l.moving.Wait()
	return l.db.Close()
}

// Backup writes a copy of the log as it is now to path, which must not exist.
// Appends go on meanwhile.
func (l *Log) Backup(ctx context.Context, path string) error { return l.db.Backup(ctx, path) }

// Checkpoint moves the write-ahead log into the file as far as readers allow;
// call it when idle.
func (l *Log) Checkpoint(ctx context.Context) error { return l.db.Checkpoint(ctx, false) }
