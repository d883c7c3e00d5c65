// Package redisstore is the [streams.Store] of several processes on one Redis, and their
// [streams.Shared] (docs/contracts.md §9).
//
// Streams are spread over [streams.Partitions] partitions. Everything of a partition, its
// streams, subjects, queues, dead letters, cursors and lease, is under PREFIX:{pNN}: and so
// in one slot of a cluster: a script, which is one transaction, does one thing in one
// partition. The streams of an owner, whose number may be bounded, are counted in a slot of
// the owner's. docs/operations/redis.md lists every key with its type, growth and end.
//
// Redis is the only place where anything is decided: a process keeps activity for some
// seconds; the sets of member names that complex subjects have, checked at each use; and
// of the partitions that it holds what events are matched by (mirror.go).
// The clock is the server's. The client may repeat a call whose answer was lost: scripts
// come to the same then, or keep their answer for half a minute.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Defaults and bounds.
const (
	// DefaultMaxDepth is the bound of a queue if Config names none.
	DefaultMaxDepth = 1_000_000
	// MaxControl bounds the control lane of a queue, stream-updated items apart.
	MaxControl = 1000
	// DefaultPoll is how often who waits looks without being woken.
	DefaultPoll = time.Second
	// DefaultTimeout bounds one exchange with the server.
	DefaultTimeout = 10 * time.Second
	// MaxNodeBytes bounds Config.Node.
	MaxNodeBytes = 100
)

// ErrClosed: the store was closed.
var ErrClosed = errors.New("redisstore: store is closed")

// Config says where the store is and how it works.
type Config struct {
	// DB is the server; required. It stays the caller's.
	DB *redisdb.DB
	// Wakes, if set, brings wake-ups of other processes at once; its Run is the caller's,
	// begun after Open. Without it they are seen within Poll.
	Wakes *redisdb.Wakes
	// Node names the process, the same each time that it starts and like no other: what an
	// earlier one of the name had taken and not settled is back in its place when Open
	// returns. Empty: it is back when its lease ends.
	Node string
	// MaxDepth bounds the events on one queue and its dead letters together; zero:
	// DefaultMaxDepth.
	MaxDepth int
	// MaxIndex bounds what is kept in memory of the partitions that are held: streams, and
	// subjects, a complex one once for each subset of its members. What is beyond it is
	// asked of the server, for each event. Zero: DefaultMaxIndex.
	MaxIndex int
	// Lease is how long a partition is held without being renewed, which is done three
	// times in it; zero: redisdb.DefaultLease.
	Lease time.Duration
	// Look is how often a process looks for partitions that nobody holds; zero:
	// redisdb.DefaultLook.
	Look time.Duration
	// Poll is how often a Take that waits, and Ready, look by themselves; zero: DefaultPoll.
	Poll time.Duration
	// Timeout bounds one exchange with the server; zero: DefaultTimeout, the most.
	Timeout time.Duration
	// Now replaces the server's clock, but for leases of partitions; for tests. Nil: the
	// server's.
	Now func() time.Time
	// Logger is told of partitions that are taken and lost, and of failures of work in the
	// background; nil: nobody is.
	Logger *slog.Logger
}

// Store is an open store. Safe for concurrent use, also by several processes.
type Store struct {
	cfg       Config
	db        *redisdb.DB
	log       *slog.Logger
	scripts   scripts
	leases    [streams.Partitions]string // keys
	feeds     [streams.Partitions]string // of changes (lua/changes.lua), keys
	marks     [streams.Partitions]string // of what is taken without a token
	holder    *redisdb.Holder
	waits     waits
	activity  activity
	nameSets  [streams.Partitions]nameSets
	tails     tails
	indexed   atomic.Int64 // what mirrors have in memory, of Config.MaxIndex
	loadPage  int
	mirrorAge time.Duration

	closing    chan struct{}
	mu         sync.Mutex // guards closed
	closed     bool
	background sync.WaitGroup
}

var _ streams.Shared = (*Store)(nil)

// Open opens the store. It starts nothing; see [Store.Hold] for the work behind it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.fill(); err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	s := &Store{cfg: cfg, db: cfg.DB, log: cfg.Logger, scripts: newScripts(), closing: make(chan struct{}), loadPage: loadPage, mirrorAge: mirrorAge}
	for n := range s.leases {
		s.leases[n] = fmt.Sprintf("%s:{p%02d}:lease", s.db.Prefix(), n)
		s.feeds[n] = fmt.Sprintf("%s:{p%02d}:changes", s.db.Prefix(), n)
	}
	s.tails.s = s
	s.waits.init()
	s.activity.init()
	var err error
	s.holder, err = redisdb.NewHolder(s.db, redisdb.HoldConfig{
		Group: "partitions", Keys: s.leases[:], Lease: cfg.Lease, Look: cfg.Look, Wakes: cfg.Wakes, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	cfg.Wakes.On(wakeTopic, s.heard)
	if cfg.Node == "" {
		return s, nil
	}
	for n := range s.marks {
		gen, err := s.call(ctx, request{part: n, once: true}, s.scripts.enter, cfg.Node)
		if err != nil {
			return nil, err
		}
		s.marks[n] = fmt.Sprintf("n%d %s", redisdb.Number(gen), cfg.Node)
	}
	return s, nil
}

func (cfg *Config) fill() error {
	var errs []error
	if cfg.DB == nil {
		errs = append(errs, errors.New("Config.DB is required"))
	}
	if cfg.MaxDepth < 0 {
		errs = append(errs, errors.New("Config.MaxDepth must not be negative"))
	}
	if cfg.MaxIndex < 0 {
		errs = append(errs, errors.New("Config.MaxIndex must not be negative"))
	}
	if cfg.Lease < 0 || cfg.Look < 0 || cfg.Poll < 0 || cfg.Timeout < 0 || cfg.Timeout > DefaultTimeout {
		errs = append(errs, fmt.Errorf("Config: times must not be negative, Timeout at most %v", DefaultTimeout))
	}
	if len(cfg.Node) > MaxNodeBytes || strings.ContainsFunc(cfg.Node, func(r rune) bool { return r < ' ' }) {
		errs = append(errs, fmt.Errorf("Config.Node: want at most %d bytes without control characters", MaxNodeBytes))
	}
	if cfg.MaxDepth == 0 {
		cfg.MaxDepth = DefaultMaxDepth
	}
	if cfg.MaxIndex == 0 {
		cfg.MaxIndex = DefaultMaxIndex
	}
	if cfg.Poll == 0 {
		cfg.Poll = DefaultPoll
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(errs...)
}

// Close saves what is kept in memory. Calls that wait end with ErrClosed; end Hold before.
// A second call does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	s.activity.stop()
	s.background.Wait()
	return s.saveActivity(context.Background())
}

// enter lets work in the background run until s.background.Done; false if the store is
// closed.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.background.Add(1)
	return true
}
