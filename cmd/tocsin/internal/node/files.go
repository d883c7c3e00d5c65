package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// Files are the log of a data folder and its checkpoints, to be checked: also
// where Open refuses the folder because of what became of it.
type Files struct {
	*sqlitelog.File
	lock  *sqlitedb.FolderLock
	admin *auth.Store // nil: the folder has none
}

// OpenFiles locks the folder and opens its log. Error: sqlitedb.ErrLocked (by
// errors.Is) if another process has the folder.
func OpenFiles(ctx context.Context, dir string) (*Files, error) {
	lock, err := sqlitedb.LockFolder(dir)
	if err != nil {
		return nil, err
	}
	f := &Files{lock: lock}
	if f.File, err = sqlitelog.OpenFile(ctx, filepath.Join(dir, logFile)); err == nil && Exists(dir) {
		f.admin, err = auth.Open(ctx, filepath.Join(dir, adminFile))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the log of %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// Checkpoints returns stored ones (checkpoint.Store.All); none without admin.db.
func (f *Files) Checkpoints(ctx context.Context, from uint64, max int) ([]checkpoint.Checkpoint, error) {
	if f.admin == nil {
		return nil, nil
	}
	return checkpoint.NewStore(f.admin.DB()).All(ctx, from, max)
}

// Key returns the log's verifier key. Error: checkpoint.ErrNone.
func (f *Files) Key(ctx context.Context) (string, error) {
	if f.admin == nil {
		return "", checkpoint.ErrNone
	}
	return checkpoint.NewStore(f.admin.DB()).Verifier(ctx)
}

// Close closes the files and gives the folder free.
func (f *Files) Close() error {
	var errs []error
	if f.File != nil {
		errs = append(errs, f.File.Close())
	}
	if f.admin != nil {
		errs = append(errs, f.admin.Close())
	}
	return errors.Join(append(errs, f.lock.Unlock())...)
}
