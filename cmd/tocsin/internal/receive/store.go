package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts/redisacts"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts/sqliteacts"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/redisjournal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/sqlitejournal"
	"github.com/tocsin-ssf/tocsin/receiver/keeper/rediskeeper"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Files of the daemon's folder.
const (
	inboxFile   = "inbox.db"
	journalFile = "journal.db"
	actsFile    = "acts.db"
)

// Store is what outlives a process: the daemon's folder, opened, or Redis. A command opens
// it where no daemon runs.
type Store struct {
	Inbox   Inbox
	Journal journal.Journal
	Acts    acts.Store // administrative acts

	dir     string
	redis   *redisParts // nil: all is in the folder
	closers []func() error
}

// Inbox is what the daemon asks of an inbox.
type Inbox interface {
	inbox.Inbox
	// Feeds returns the names of the feeds that hold something, sorted.
	Feeds(ctx context.Context) ([]string, error)
}

// observer is told of commits.
type observer func(store string, batch int, took time.Duration)

func (o observer) of(store string) func(batch int, took time.Duration) {
	return func(batch int, took time.Duration) {
		if o != nil {
			o(store, batch, took)
		}
	}
}

// Exists reports whether dir is a daemon's folder, or may be one that cannot be looked
// into.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, inboxFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// OpenStore locks the folder, which is made if there is none, and opens what is in it.
// observe, if not nil, is told of commits. Error (by errors.Is): sqlitedb.ErrLocked if
// another process has the folder.
func OpenStore(ctx context.Context, dir string, observe func(store string, batch int, took time.Duration)) (_ *Store, err error) {
	s, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	in, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(dir, inboxFile), Observe: observer(observe).of("inbox")})
	if err != nil {
		return nil, fmt.Errorf("opening the data folder %s: %w", dir, err)
	}
	s.Inbox = in
	s.closers = append(s.closers, in.Close)
	j, err := sqlitejournal.Open(ctx, sqlitejournal.Config{Path: filepath.Join(dir, journalFile), Observe: observer(observe).of("journal")})
	if err != nil {
		return nil, fmt.Errorf("opening the data folder %s: %w", dir, err)
	}
	s.Journal = j
	s.closers = append(s.closers, j.Close)
	a, err := sqliteacts.Open(ctx, sqliteacts.Config{Path: filepath.Join(dir, actsFile), Observe: observer(observe).of("acts")})
	if err != nil {
		return nil, fmt.Errorf("opening the data folder %s: %w", dir, err)
	}
	s.Acts = a
	s.closers = append(s.closers, a.Close)
	return s, nil
}

// openFolder makes and locks a folder, and opens nothing in it.
func openFolder(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, stateFolder), 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	lock, err := sqlitedb.LockFolder(dir)
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir, closers: []func() error{lock.Unlock}}, nil
}

// redisParts are what a daemon has of Redis besides its store.
type redisParts struct {
	db    *redisdb.DB
	wakes *redisdb.Wakes
	turns *rediskeeper.Turns
}

// OpenRedis opens what receivers share in Redis.
func OpenRedis(ctx context.Context, settings config.RedisSettings, logger *slog.Logger) (*Store, error) {
	s := &Store{}
	if err := s.openRedis(ctx, settings.DB(logger), logger, nil); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openRedis(ctx context.Context, server redisdb.Config, logger *slog.Logger, observe observer) error {
	fail := func(err error) error { return fmt.Errorf("opening Redis: %w", err) }
	db, err := redisdb.Open(ctx, server)
	if err != nil {
		return fail(err)
	}
	s.closers = append(s.closers, db.Close)
	s.redis = &redisParts{db: db, wakes: redisdb.NewWakes(db, logger)}
	if s.redis.turns, err = rediskeeper.New(db, s.redis.wakes, logger); err != nil {
		return fail(err)
	}
	in, err := redisinbox.Open(ctx, redisinbox.Config{
		DB: db, Redis: redisdb.Config{Logger: logger}, Wakes: s.redis.wakes, Observe: observe.of("inbox"),
	})
	if err != nil {
		return fail(err)
	}
	s.Inbox = in
	s.closers = append(s.closers, in.Close)
	j, err := redisjournal.New(redisjournal.Config{DB: db, Observe: observe.of("journal")})
	if err != nil {
		return fail(err)
	}
	s.Journal = j
	s.closers = append(s.closers, j.Close)
	if s.Acts, err = redisacts.New(redisacts.Config{DB: db, Observe: observe.of("acts")}); err != nil {
		return fail(err)
	}
	return nil
}

// openAll opens what cfg names: the folder alone, or with it Redis.
func openAll(ctx context.Context, cfg Config, logger *slog.Logger, observe observer) (*Store, error) {
	if !cfg.RedisSettings.Set() {
		return OpenStore(ctx, cfg.Data, observe)
	}
	s, err := openFolder(cfg.Data)
	if err != nil {
		return nil, err
	}
	if err := s.openRedis(ctx, *cfg.RedisSettings.Served(logger), logger, observe); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Redis is what is shared with other processes; nil: all is in the folder.
func (s *Store) Redis() *redisdb.DB {
	if s.redis == nil {
		return nil
	}
	return s.redis.db
}

// Close closes all, last opened first, and gives the folder free.
func (s *Store) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}
