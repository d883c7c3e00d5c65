package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/journal/sqlitejournal"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// Files of the daemon's folder.
const (
	inboxFile   = "inbox.db"
	journalFile = "journal.db"
)

// Store is the daemon's folder, opened: what outlives a process. A command opens it
// where no daemon runs.
type Store struct {
	Inbox   *sqliteinbox.Inbox
	Journal *sqlitejournal.Journal

	dir     string
	closers []func() error
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
	if err := os.MkdirAll(filepath.Join(dir, stateFolder), 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	s := &Store{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	lock, err := sqlitedb.LockFolder(dir)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, lock.Unlock)
	if observe == nil {
		observe = func(string, int, time.Duration) {}
	}
	s.Inbox, err = sqliteinbox.Open(ctx, sqliteinbox.Config{
		Path: filepath.Join(dir, inboxFile), Observe: func(n int, d time.Duration) { observe("inbox", n, d) },
	})
	if err != nil {
		return nil, fmt.Errorf("opening the data folder %s: %w", dir, err)
	}
	s.closers = append(s.closers, s.Inbox.Close)
	s.Journal, err = sqlitejournal.Open(ctx, sqlitejournal.Config{
		Path: filepath.Join(dir, journalFile), Observe: func(n int, d time.Duration) { observe("journal", n, d) },
	})
	if err != nil {
		return nil, fmt.Errorf("opening the data folder %s: %w", dir, err)
	}
	s.closers = append(s.closers, s.Journal.Close)
	return s, nil
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
