// Package sqliteindex finds events: an index of the log in an SQLite file,
// index.db, that is filled behind the log and can be built anew at any time
// (contracts.md §7).
//
// What an event has, a type, a session, a subject, is a term: a keyed hash of
// 64 bits (term.go). A term has a list of its events in the order of their
// time, so that a page costs the same wherever it stands, and each event has
// all its terms beside it, by which the filters are checked that do not lead
// the search. An address has a term for each of a few networks around it, so
// that a network, too, is a list in order of time and its size costs nothing.
// So no plan of a search is left to the engine, and a search is a chain of
// short statements between which it can be ended.
//
// What the index has not come to yet a search reads from the log itself.
package sqliteindex

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Bounds of the work.
const (
	// minBatch and maxBatch bound the records of one transaction: it grows
	// with what waits.
	minBatch = 2_000
	maxBatch = 10_000
	// maxBatchBytes bounds them by size, softly.
	maxBatchBytes = 32 << 20
	// MaxTrail is how far the index may trail before appends wait, and paceTime
	// in time what it must be able to make up for; minTrail is never too far.
	// A record may wait for the batch that is at work and then be in one of its
	// own, each of up to paceTime, and is to be found within two seconds.
	MaxTrail = 50_000
	minTrail = 2_000
	paceTime = 900 * time.Millisecond
	// paceWait bounds how long an append waits.
	paceWait = time.Second
	// maxScan is how much of the log a search reads itself.
	maxScan = 2 * MaxTrail
)

// applicationID marks index.db: "TocI".
const applicationID = 0x546f6349

// KeySize is the length in bytes of the secrets of an index.
const KeySize = 32

// Log is what the index reads.
type Log interface {
	eventlog.Journal
	Read(ctx context.Context, after uint64, max int) ([]*eventlog.Record, error)
	Wait(ctx context.Context, after uint64) error
	Head(ctx context.Context) (uint64, error)
	Record(ctx context.Context, seq uint64) (*eventlog.Record, error)
	Get(ctx context.Context, id string) (*eventlog.Record, error)
}

// Config says which index to open. Path and Log are required.
type Config struct {
	// Path of the file. Its folder must exist and be locked by the caller.
	Path string
	// Log is what is indexed.
	Log Log
	// CursorKey is the secret that [Index.CursorKey] returns, of nodes that have one
	// log and each an index of its own: a search that one began another goes on with.
	// Zero: a secret of the file.
	CursorKey [KeySize]byte
	// Observe, if set, is told of every commit: how many records it had and how
	// long it took.
	Observe func(batch int, d time.Duration)
	// Crash is called at named points of the work (tests); nil: nothing is.
	Crash  func(point string)
	Logger *slog.Logger // nil: slog.Default
}

// Index is the index in a file. It implements eventlog.Index and eventlog.Pacer.
type Index struct {
	cfg Config
	log Log

	files   sync.RWMutex // held for writing while the file is replaced
	db      *sqlitedb.DB
	secrets secrets

	work     sync.Mutex // one batch, Forget or Rebuild at a time
	place    atomic.Uint64
	building atomic.Bool
	broken   atomic.Bool  // a reader found the file damaged
	rate     atomic.Int64 // records a second that it can index; 0: not known
	moved    signal
	hurry    chan struct{} // somebody waits: no gathering
	waiting  atomic.Int32
}

// secrets are of the file and stay when it is built anew.
type secrets struct {
	terms  [KeySize]byte
	cursor [KeySize]byte
}

var (
	_ eventlog.Index = (*Index)(nil)
	_ eventlog.Pacer = (*Index)(nil)
)

// Open opens the index, makes it if it does not exist, and makes it anew if it
// is damaged or of another log. Run fills it. Close it at the end.
//
// Errors (by errors.As and errors.Is): *sqlitedb.SchemaError for a file of a
// newer schema and sqlitedb.ErrForeign for one that is not ours.
func Open(ctx context.Context, cfg Config) (*Index, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Crash == nil {
		cfg.Crash = func(string) {}
	}
	x := &Index{cfg: cfg, log: cfg.Log, hurry: make(chan struct{}, 1)}
	rand.Read(x.secrets.terms[:]) // never fails
	rand.Read(x.secrets.cursor[:])
	err := x.open(ctx)
	if err == nil {
		return x, nil
	}
	var newer *sqlitedb.SchemaError
	if errors.As(err, &newer) {
		return nil, fmt.Errorf("sqliteindex: %w; or remove the file: it is built anew from the log", err)
	}
	if !sqlitedb.IsCorrupt(err) && !errors.Is(err, errOther) {
		return nil, fmt.Errorf("sqliteindex: %w", err)
	}
	cfg.Logger.WarnContext(ctx, "the search index is built anew from the log", "err", err)
	if err := x.renew(ctx); err != nil {
		return nil, fmt.Errorf("sqliteindex: %w", err)
	}
	return x, nil
}

// errOther: the file is the index of another log, or of another past of it.
var errOther = errors.New("the index is not of this log")

// open opens the file as it is and reads where it stands.
func (x *Index) open(ctx context.Context) error {
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: x.cfg.Path, ApplicationID: applicationID, Synchronous: sqlitedb.Normal, Migrations: migrations(),
	})
	if err != nil {
		return err
	}
	if err := x.load(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	x.db = db
	return nil
}

func (x *Index) load(ctx context.Context, db *sqlitedb.DB) error {
	var place uint64
	var leaf, terms, cursor []byte
	err := db.Write(ctx, func(tx *sqlitedb.Tx) error {
		for _, secret := range []struct {
			name  string
			fresh []byte
			into  *[]byte
		}{{"terms", x.secrets.terms[:], &terms}, {"cursor", x.secrets.cursor[:], &cursor}} {
			if _, err := tx.Exec("INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT DO NOTHING", secret.name, secret.fresh); err != nil {
				return err
			}
			if err := tx.QueryRow("SELECT value FROM meta WHERE name = ?", secret.name).Scan(secret.into); err != nil {
				return err
			}
			if len(*secret.into) != KeySize {
				return errOther
			}
		}
		return tx.QueryRow("SELECT seq, leaf FROM place").Scan(&place, &leaf)
	})
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return errOther
	}
	if err != nil {
		return err
	}
	head, err := x.log.Head(ctx)
	if err != nil {
		return err
	}
	if place > head {
		return errOther
	}
	if place > 0 {
		r, err := x.log.Record(ctx, place)
		if err != nil {
			return err
		}
		if string(r.Leaf[:]) != string(leaf) {
			return errOther
		}
	}
	x.secrets = secrets{[KeySize]byte(terms), [KeySize]byte(cursor)}
	x.building.Store(head-place > MaxTrail)
	x.place.Store(place)
	return nil
}

// renew makes the file anew and empty. The caller holds what there is to hold.
func (x *Index) renew(ctx context.Context) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(x.cfg.Path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := x.open(ctx); err != nil {
		return err
	}
	x.building.Store(true)
	x.broken.Store(false)
	x.moved.tell()
	return nil
}

// errBroken: a reader found the file damaged.
var errBroken = errors.New("sqliteindex: the file is damaged")

// judge returns err as a reader is told of it: a damaged file is built anew by
// Run, and has nothing until then.
func (x *Index) judge(ctx context.Context, err error, head uint64) error {
	if !sqlitedb.IsCorrupt(err) {
		return err
	}
	x.cfg.Logger.WarnContext(ctx, "the search index is damaged", "err", err)
	x.broken.Store(true)
	x.moved.tell()
	return &eventlog.BehindError{Head: head}
}

// Close waits for what runs and closes the file; end Run first.
func (x *Index) Close() error {
	x.work.Lock()
	defer x.work.Unlock()
	x.files.Lock()
	defer x.files.Unlock()
	if x.db == nil {
		return nil
	}
	return x.db.Close()
}

// CursorKey returns a secret for the signing of cursors: that of the Config, or
// one which stays as long as the file, also when it is built anew.
func (x *Index) CursorKey() [KeySize]byte {
	if x.cfg.CursorKey != [KeySize]byte{} {
		return x.cfg.CursorKey
	}
	x.files.RLock()
	defer x.files.RUnlock()
	return x.secrets.cursor
}

// Place implements eventlog.Index.
func (x *Index) Place() uint64 { return x.place.Load() }

// Rebuild implements eventlog.Index.
func (x *Index) Rebuild(ctx context.Context) error {
	x.work.Lock()
	defer x.work.Unlock()
	return x.rebuild(ctx)
}

// rebuild does it for a caller who holds work.
func (x *Index) rebuild(ctx context.Context) error {
	x.files.Lock()
	defer x.files.Unlock()
	if x.db != nil {
		if err := x.db.Close(); err != nil {
			x.cfg.Logger.WarnContext(ctx, "the search index did not close in order", "err", err)
		}
		x.db = nil
	}
	x.broken.Store(true) // until there is a file again Run tries to make one
	if err := x.renew(ctx); err != nil {
		x.moved.tell()
		return fmt.Errorf("sqliteindex: rebuild: %w", err)
	}
	return nil
}

// read calls fn with a snapshot of the file.
func (x *Index) read(ctx context.Context, fn func(*sqlitedb.View) error) error {
	x.files.RLock()
	defer x.files.RUnlock()
	if x.db == nil {
		return sqlitedb.ErrClosed
	}
	return x.db.Read(ctx, fn)
}

// write calls fn in a transaction.
func (x *Index) write(ctx context.Context, fn func(*sqlitedb.Tx) error) error {
	x.files.RLock()
	defer x.files.RUnlock()
	if x.db == nil {
		return sqlitedb.ErrClosed
	}
	return x.db.Write(ctx, fn)
}
