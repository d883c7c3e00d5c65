// Package redislog keeps the event log in Redis (7.0 or later), for several
// processes that append to one log and read it.
//
// Whoever appends computes leaves and nodes of the tree for the log as it knows
// it, and one script compares and appends: if the log has grown meanwhile
// nothing is written, the process takes the new leaves in and tries again. So
// there is one order, one tree and one memory of source ids, whoever appends.
// Concurrent appends of a process share one script.
//
// Every script finds out whether the server still has what the process knows:
// where records were lost, as by a failover to a replica that lagged, the
// process appends nothing any more (ErrLost).
//
// All keys are in one slot of a cluster, see docs/operations/redis.md.
package redislog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/internal/tail"
)

// What a Config's zero values stand for, and limits.
const (
	DefaultKeyMemory = 30 * 24 * time.Hour
	DefaultTail      = 8192
	DefaultTimeout   = 5 * time.Second

	// MaxRead bounds the records of one Read, and maxReadBytes, softly, their size.
	MaxRead      = 4096
	maxReadBytes = 16 << 20
	// MaxAppend and MaxAppendBytes bound one call of Append or Note, which one
	// script writes whole, so that all of it is kept or none.
	MaxAppend      = 4096
	MaxAppendBytes = 32 << 20
	// maxBatch and maxBatchBytes bound the calls that share a script, since the
	// server does nothing else meanwhile.
	maxBatch      = 256
	maxBatchBytes = 1 << 20
	// lookEvery is how old what this process knows of the log may become before
	// it asks the server, in Wait and before it trusts its memory.
	lookEvery = time.Second
	// answerLife is how long the answer of an erasure is kept for a repeated call.
	answerLife = time.Minute
)

// wakeTopic is what processes hear of each other's appends and erasures under.
const wakeTopic = "log"

// formatVersion is that of the keys.
const formatVersion = 1

// Errors beside those of the contract.
var (
	// ErrClosed: the log is closed.
	ErrClosed = errors.New("redislog: the log is closed")
	// ErrLost: the server does not have records any more that this process has
	// seen. Nothing is appended by it any more.
	ErrLost = errors.New("redislog: the server has lost records of the log")
	// ErrDamaged: the records on the server are not those that its tree is of.
	ErrDamaged = errors.New("redislog: the log is damaged (tocsin event verify-log says where)")
	// ErrTooLarge: more than one call may append.
	ErrTooLarge = fmt.Errorf("redislog: one call appends at most %d records and %d bytes", MaxAppend, MaxAppendBytes)
)

// Config says which log to open. Processes that share a log have the same
// KeyMemory.
type Config struct {
	// DB is the server; required, and the caller's to close. Its number of
	// replicas is asked once for each batch of appends.
	DB *redisdb.DB
	// KeyMemory is how long a source's id of an event is known again
	// (contracts.md §2); zero is 30 days.
	KeyMemory time.Duration
	// Tail is how many of the latest records stay in memory, within 64 MiB;
	// zero is 8192.
	Tail int
	// Timeout bounds one exchange with the server; zero is 5 s.
	Timeout time.Duration
	// Wakes, if set, tells of what other processes append and erase, at once;
	// without it that is seen within a second. Open it before Wakes.Run.
	Wakes *redisdb.Wakes
	// Now replaces the server's clock; for tests. Nil: the server's.
	Now func() time.Time
	// Logger is told at Open of records that were lost; nil: slog.Default.
	Logger *slog.Logger
	// Observe, if set, is told of every commit: how many appends shared it
	// and how long it took.
	Observe func(batch int, d time.Duration)
}

// Log is the log on a server. It implements eventlog.Log, also for use by
// several processes.
type Log struct {
	cfg     Config
	db      *redisdb.DB
	scripts scripts
	keys    keys
	ids     *eventlog.IDs
	secret  eventlog.Secret
	name    string // of the log
	token   string // of this process
	clock   clock
	place   place
	tail    *tail.Tail
	filling chan struct{} // a semaphore of one
	looks   looks

	closed chan struct{}
	work   sync.WaitGroup // calls and goroutines that use db

	mu         sync.Mutex
	ended      bool
	queue      []*call
	committing bool
}

var (
	_ eventlog.Log     = (*Log)(nil)
	_ eventlog.Archive = (*Log)(nil)
)

// Open opens the log and makes it if there is none. Close it at the end.
func Open(ctx context.Context, cfg Config) (*Log, error) { return open(ctx, cfg, nil) }

// open opens the log; id, if set, is the identity that it must have.
func open(ctx context.Context, cfg Config, id *eventlog.Identity) (*Log, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, db: cfg.DB, scripts: newScripts(), keys: keysOf(cfg.DB.Prefix()), token: randomText(),
		clock: clock{now: cfg.Now}, filling: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	if err := l.load(ctx, id); err != nil {
		return nil, fmt.Errorf("redislog: open: %w", err)
	}
	return l, nil
}

func (cfg *Config) fill() error {
	if cfg.DB == nil || cfg.KeyMemory < 0 || cfg.Tail < 0 || cfg.Timeout < 0 {
		return errors.New("redislog: Config.DB is required; KeyMemory, Tail and Timeout must not be negative")
	}
	if cfg.KeyMemory == 0 {
		cfg.KeyMemory = DefaultKeyMemory
	}
	if cfg.Tail == 0 {
		cfg.Tail = DefaultTail
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	return nil
}

// randomText returns 128 random bits in hex.
func randomText() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// load reads what the log is and where it stands, or makes it.
func (l *Log) load(ctx context.Context, identity *eventlog.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	var fresh [eventlog.IDKeySize + eventlog.SecretSize]byte
	rand.Read(fresh[:]) // never fails
	if identity != nil {
		copy(fresh[:], append(identity.IDKey[:], identity.Secret[:]...))
	}
	empty := eventlog.EmptyTree().Root
	answer, err := l.db.Write(ctx, l.scripts.open, []string{l.keys.head},
		formatVersion, randomText(), fresh[:eventlog.IDKeySize], fresh[eventlog.IDKeySize:], empty[:])
	if err != nil {
		return err
	}
	list, err := listOf(answer, 9)
	if err != nil {
		return err
	}
	if v := redisdb.Text(list[0]); v != fmt.Sprint(formatVersion) {
		return fmt.Errorf("the log is of version %q, and this program knows version %d", v, formatVersion)
	}
	idKey, secret := redisdb.Text(list[2]), redisdb.Text(list[3])
	if len(idKey) != eventlog.IDKeySize || len(secret) != eventlog.SecretSize {
		return errAnswer
	}
	if identity != nil && idKey+secret != string(fresh[:]) {
		return eventlog.ErrOtherLog
	}
	l.name = redisdb.Text(list[1])
	l.secret = eventlog.Secret([]byte(secret))
	if l.ids, err = eventlog.NewIDs([eventlog.IDKeySize]byte([]byte(idKey))); err != nil {
		return err
	}
	h, err := headOf(list[4:8])
	if err != nil {
		return err
	}
	l.warn(ctx, redisdb.Text(list[8]))
	edge, err := l.loadEdge(ctx, h)
	if err != nil {
		return err
	}
	l.place.start(edge, h)
	l.tail = tail.New(l.cfg.Tail, h.size)
	if _, err := l.ask(ctx); err != nil { // what time it is there
		return err
	}
	l.cfg.Wakes.On(wakeTopic, l.wake)
	return nil
}

// warn tells of records that a process has seen lost, until an operator says that
// it is known (docs/operations/redis.md).
func (l *Log) warn(ctx context.Context, lost string) {
	var had, found uint64
	var at int64
	if n, err := fmt.Sscanf(lost, "%d %d %d", &had, &found, &at); err == nil && n == 3 {
		l.cfg.Logger.ErrorContext(ctx, "the server has lost records of the log: what was there is not what processes had seen",
			"seen", had, "found", found, "at", time.Unix(at, 0).UTC(), "key", l.keys.head)
	}
}

// Close waits for what runs and wakes those who wait. The server's connections
// stay the caller's.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	l.ended = true
	close(l.closed)
	l.mu.Unlock()
	l.work.Wait()
	return nil
}

// begin says that a call uses the server, until l.work.Done; an error if the
// log is closed.
func (l *Log) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return ErrClosed
	}
	l.work.Add(1)
	return nil
}
