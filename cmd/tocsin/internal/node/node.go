// Package node opens the stores and builds the transmitter on them: those of one
// data folder, or those in a Redis that several nodes share. Only here is a store
// chosen.
//
// One folder belongs to one process at a time (contracts.md §7): Open takes
// its lock before it touches a file. With Redis a node has a folder too, for what
// is its own: the search index, which can be built anew, and its name.
package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Files of a data folder.
const (
	logFile   = "log.db"
	stateFile = "state.db"
	adminFile = "admin.db"
	indexFile = "index.db"
)

// Config says which folder to open and what to build on it.
type Config struct {
	// Dir is the data folder; it is made if there is none.
	Dir string
	// Algorithm of new signing keys; "" is the current key's, at first RS256.
	Algorithm jose.Algorithm
	// MaxDepth bounds the events on one queue and its dead letters together; 0: 1,000,000.
	MaxDepth int
	// KeyMemory is how long a source's id of an event is known again, the same at all
	// nodes; 0: 30 days.
	KeyMemory time.Duration
	// Witnesses are the verifier keys of witnesses of the log.
	Witnesses []string
	// Offline: a command opens the folder, and the transmitter's issuer stands
	// for none. Checkpoints are signed under the origin of before.
	Offline bool
	// Transmitter is the transmitter's configuration; its stores are filled in.
	Transmitter transmitter.Config
	// Redis, if set, is where the state is that several nodes share; nil: it is in
	// the folder.
	Redis *redisdb.Config
	// Secret is what private keys and secrets are encrypted under; nil: none is given.
	// Where they are encrypted it is needed, unless Offline: then what needs none works.
	Secret *vault.Secret
	// Signer is the path of the socket of the process that holds the signing keys; "":
	// they are made and kept here.
	Signer string
	// Rotation of the signing keys by themselves; the zero value: none.
	Rotation Rotation
	// TakeBack goes on with a folder that was moved to Redis, or is being moved there,
	// as it was.
	TakeBack bool
}

// longMemory is that of a command: how long ids are known is the servers' matter.
const longMemory = 10 * 365 * 24 * time.Hour

func (c *Config) keyMemory() time.Duration {
	if c.Offline {
		return longMemory
	}
	return c.KeyMemory
}

// Rotation says how signing keys are replaced: keys.Config has what each is.
type Rotation struct{ Every, Ahead, Retire time.Duration }

// Node is an open data folder with the transmitter on it.
type Node struct {
	Transmitter  *transmitter.Transmitter
	Applications *auth.Store
	Keys         *keys.Ring
	// Vault encrypts private keys and secrets; nil: they are in clear.
	Vault *vault.Vault
	// Redis is where the state is that several nodes share; nil: it is in the folder.
	Redis *redisdb.DB
	// Signer asks who holds the signing keys; nil: they are kept here. The transmitter's
	// Run runs it.
	Signer *signer.Client
	// Index finds events. The transmitter's Run runs it.
	Index *sqliteindex.Index

	dir     string
	closers []func() error
	copies  map[string]func(ctx context.Context, path string) error
}

// Exists reports whether dir is a data folder, or may be one that cannot be
// looked into.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, adminFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// Known reports whether dir is a data folder, or that of a node that shares a Redis.
func Known(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, nameFile))
	return err == nil || Exists(dir)
}

// Check returns why a node cannot be opened with cfg, as far as that is known without its
// stores.
func (c Config) Check() error {
	schedule := keys.Config{RotateEvery: c.Rotation.Every, PublishAhead: c.Rotation.Ahead, RetireAfter: c.Rotation.Retire}
	errs := []error{c.Transmitter.Check(), schedule.Check()}
	for _, key := range c.Witnesses {
		errs = append(errs, checkpoint.CheckWitness(key))
	}
	return errors.Join(errs...)
}

// Open locks the folder, opens its stores and builds the transmitter.
// Errors (by errors.Is): sqlitedb.ErrLocked if another process has the folder,
// ErrOldLog if its log was put back from an older copy than its streams,
// checkpoint.ErrOldLog and checkpoint.ErrOtherLog if it is not the log that was
// signed last,
// ErrMoved if it goes on in Redis,
// ErrNoAdmin if its streams were put back without their applications.
func Open(ctx context.Context, cfg Config) (_ *Node, err error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	n := &Node{dir: cfg.Dir, copies: map[string]func(context.Context, string) error{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	lock, err := sqlitedb.LockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, lock.Unlock)
	if cfg.Redis == nil {
		if err := n.stays(cfg.TakeBack); err != nil {
			return nil, fmt.Errorf("opening the data folder %s: %w", cfg.Dir, err)
		}
	}
	t, err := n.stores(ctx, &cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the data folder %s: %w", cfg.Dir, err)
	}
	n.Transmitter = t
	return n, nil
}

// stores are what a transmitter is built on.
type stores struct {
	log interface {
		eventlog.Log
		eventlog.Archive
	}
	streams      streams.Store
	applications *auth.Store
	keys         keys.Store
	checkpoints  checkpoint.Store
	vault        vault.Store
}

// observer is told of the commits of a store.
type observer func(store string) func(batch int, took time.Duration)

func (n *Node) stores(ctx context.Context, cfg *Config) (*transmitter.Transmitter, error) {
	tc := &cfg.Transmitter
	if tc.Logger == nil {
		tc.Logger = slog.Default()
	}
	// The stores report their commits to metrics that exist once they do.
	var built atomic.Pointer[transmitter.Transmitter]
	observe := func(store string) func(int, time.Duration) {
		return func(batch int, took time.Duration) {
			if t := built.Load(); t != nil {
				t.Commit(store, batch, took)
			}
		}
	}
	open := n.embedded
	if cfg.Redis != nil {
		open = n.shared
	}
	s, err := open(ctx, cfg, observe)
	if err != nil {
		return nil, err
	}
	n.Applications = s.applications
	restore := restoreFiles
	if cfg.Redis != nil {
		restore = restoreServer
	}
	if err := follows(ctx, s.log, s.streams, restore); err != nil {
		return nil, err
	}
	if err := n.openKeys(ctx, cfg, s.keys); err != nil {
		return nil, err
	}
	n.closers = append(n.closers, func() error { return n.Keys.Close(context.WithoutCancel(ctx)) })
	tc.Rewrap = func(ctx context.Context, from, to vault.Secret) error { return vault.Rewrap(ctx, s.vault, from, to) }
	if tc.Checkpoints, err = checkpoint.Open(ctx, n.checkpoints(cfg, s)); err != nil {
		return nil, err
	}
	n.Index, err = sqliteindex.Open(ctx, sqliteindex.Config{
		Path: n.path(indexFile), Log: s.log, CursorKey: tc.CursorKey, Observe: observe("index"), Crash: tc.Crash, Logger: tc.Logger,
	})
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, n.Index.Close)
	tc.Log, tc.Streams, tc.Applications, tc.Keys = s.log, s.streams, s.applications, n.Keys
	tc.Index, tc.CursorKey = n.Index, n.Index.CursorKey()
	t, err := transmitter.New(*tc)
	built.Store(t)
	return t, err
}

// embedded opens the stores of the folder.
func (n *Node) embedded(ctx context.Context, cfg *Config, observe observer) (*stores, error) {
	if _, err := os.Stat(n.path(nameFile)); err == nil && !Exists(n.dir) {
		return nil, errors.New("it is the folder of a node that shares a Redis; say which with --redis, or give another folder with --data")
	}
	tc := &cfg.Transmitter
	log, err := sqlitelog.Open(ctx, sqlitelog.Config{
		Path: n.path(logFile), KeyMemory: cfg.keyMemory(), Now: tc.Now, Observe: observe("log"), Progress: growing(tc.Logger),
	})
	if err != nil {
		return nil, err
	}
	n.opened(logFile, log.Close, log.Backup)
	state, err := sqlitestore.Open(ctx, sqlitestore.Config{
		Path: n.path(stateFile), MaxDepth: cfg.MaxDepth, Now: tc.Now, Observe: observe("state"),
		Report: func(err error) { tc.Logger.Error("the store of streams has work to repeat", "err", err) },
	})
	if err != nil {
		return nil, err
	}
	n.opened(stateFile, state.Close, state.Backup)
	if err := n.owned(ctx, state); err != nil {
		return nil, err
	}
	admin, err := auth.OpenSQLite(ctx, n.path(adminFile))
	if err != nil {
		return nil, err
	}
	n.opened(adminFile, admin.Close, auth.NewStore(admin).Backup)
	db := auth.NewStore(admin).DB()
	secrets := vault.NewStore(db)
	applications, sealed, err := n.unlock(ctx, cfg, secrets, admin)
	if err != nil {
		return nil, err
	}
	if sealed { // what was in clear shall be gone from the write-ahead log too
		_ = db.Checkpoint(ctx, true)
	}
	tc.Backup = n.Backup
	return &stores{log, state, applications, keys.NewStore(db), checkpoint.NewStore(db), secrets}, nil
}

// checkpoints says how the log is signed.
func (n *Node) checkpoints(cfg *Config, s *stores) checkpoint.Config {
	c := checkpoint.Config{
		Store: s.checkpoints, Log: s.log, Vault: n.Vault,
		Witnesses: cfg.Witnesses, Now: cfg.Transmitter.Now, Logger: cfg.Transmitter.Logger,
	}
	if cfg.Redis != nil {
		c.Seen = n.path(seenFile)
	}
	if !cfg.Offline {
		c.Origin = checkpoint.OriginOf(cfg.Transmitter.Issuer)
	}
	return c
}

// toldEvery is how many records of a large log are worth a line of progress.
const toldEvery = 1_000_000

// growing tells how far the tree of an older log has come.
func growing(logger *slog.Logger) func(done, total uint64) {
	told := uint64(0)
	return func(done, total uint64) {
		if done >= told+toldEvery || done == total {
			told = done
			logger.Info("making the tree over the log, once", "records", done, "of", total)
		}
	}
}

// ErrOldLog: the event log ends before what the streams have seen of it.
var ErrOldLog = errors.New("the log is older than the streams")

// What helps where the log is older than the streams.
const (
	restoreFiles  = "restore the log.db that belongs to this state.db, or a newer one, or both files from one backup"
	restoreServer = "give the Redis back what it had of the log then, or later: all of it, of one moment"
)

// follows refuses a log that was put back from an older copy: its next events
// would have numbers that the queues have seen, and would never leave
// (contracts.md §7).
// restore says what helps.
func follows(ctx context.Context, log eventlog.Log, state streams.Store, restore string) error {
	// First what was seen: other nodes go on meanwhile.
	highest, err := state.Highest(ctx)
	if err != nil {
		return err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	if head >= highest {
		return nil
	}
	return fmt.Errorf("%w: it ends at event %d and they have seen event %d, so new events would be skipped; %s", ErrOldLog, head, highest, restore)
}

// ErrNoAdmin: there are streams, and no file of the applications they are of.
var ErrNoAdmin = errors.New("admin.db is missing")

// owned refuses streams without the file of their applications, as after an
// incomplete restore: in a new one nobody owns them.
func (n *Node) owned(ctx context.Context, state streams.Store) error {
	if Exists(n.dir) {
		return nil
	}
	owners, err := state.Owners(ctx)
	if err != nil || len(owners) == 0 {
		return err
	}
	return fmt.Errorf("%w and state.db has streams, which would be nobody's; restore the admin.db that belongs to this state.db", ErrNoAdmin)
}

// Run is the transmitter's.
func (n *Node) Run(ctx context.Context) error { return n.Transmitter.Run(ctx) }

// Refuse is the transmitter's.
func (n *Node) Refuse() { n.Transmitter.Refuse() }

func (n *Node) path(file string) string { return filepath.Join(n.dir, file) }

func (n *Node) opened(file string, closer func() error, backup func(context.Context, string) error) {
	n.closers = append(n.closers, closer)
	n.copies[file] = backup
}

// Close closes the stores, last opened first, and gives the folder free.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}
