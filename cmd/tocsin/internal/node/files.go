package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// Files are a log as it is stored and its checkpoints, to be checked: also where
// Open refuses it because of what became of it.
type Files struct {
	eventlog.Archive
	checkpoints checkpoint.Store // nil: there are none
	closers     []func() error   // in the order of opening
}

// OpenFiles locks the folder and opens its log. Error: sqlitedb.ErrLocked (by
// errors.Is) if another process has the folder.
func OpenFiles(ctx context.Context, dir string) (_ *Files, err error) {
	f := &Files{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("opening the log of %s: %w", dir, err), f.Close())
		}
	}()
	lock, err := sqlitedb.LockFolder(dir)
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, lock.Unlock)
	log, err := sqlitelog.OpenFile(ctx, filepath.Join(dir, logFile))
	if err != nil {
		return nil, err
	}
	f.Archive, f.closers = log, append(f.closers, log.Close)
	if !Exists(dir) {
		return f, nil
	}
	admin, err := auth.Open(ctx, filepath.Join(dir, adminFile))
	if err != nil {
		return nil, err
	}
	f.checkpoints, f.closers = checkpoint.NewStore(admin.DB()), append(f.closers, admin.Close)
	return f, nil
}

// OpenShared opens the log that nodes share.
func OpenShared(ctx context.Context, cfg redisdb.Config) (_ *Files, err error) {
	f := &Files{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("opening the log in Redis: %w", err), f.Close())
		}
	}()
	db, err := redisdb.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, db.Close)
	log, err := redislog.Open(ctx, redislog.Config{DB: db})
	if err != nil {
		return nil, err
	}
	f.Archive, f.checkpoints, f.closers = log, redischeckpoint.New(db), append(f.closers, log.Close)
	return f, nil
}

// Checkpoints returns stored ones (checkpoint.Store.All); none if none are kept.
func (f *Files) Checkpoints(ctx context.Context, from uint64, max int) ([]checkpoint.Checkpoint, error) {
	if f.checkpoints == nil {
		return nil, nil
	}
	return f.checkpoints.All(ctx, from, max)
}

// Key returns the log's verifier key. Error: checkpoint.ErrNone.
func (f *Files) Key(ctx context.Context) (string, error) {
	if f.checkpoints == nil {
		return "", checkpoint.ErrNone
	}
	return f.checkpoints.Verifier(ctx)
}

// Close closes all, last opened first, and gives the folder free.
func (f *Files) Close() error {
	var errs []error
	for i := len(f.closers) - 1; i >= 0; i-- {
		errs = append(errs, f.closers[i]())
	}
	f.closers = nil
	return errors.Join(errs...)
}
