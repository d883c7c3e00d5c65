package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Backup writes a copy of the database as it is now to path, which must not
// exist. Writes go on meanwhile and are not in the copy. The copy is durable
// and complete on return, or not there at all.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	if db.commits.stopped() {
		return ErrClosed
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		if err == nil {
			err = os.ErrExist
		}
		return fmt.Errorf("sqlitedb: backup to %s: %w", path, err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, nil, 0o600); err != nil {
		return fmt.Errorf("sqlitedb: backup: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	c, err := openConn(db.path, commonSettings(readCacheKiB))
	if err != nil {
		return fmt.Errorf("sqlitedb: backup: %w", err)
	}
	err = c.script(ctx, "VACUUM INTO '"+strings.ReplaceAll(tmp, "'", "''")+"'")
	if err = errors.Join(err, c.close()); err != nil {
		return fmt.Errorf("sqlitedb: backup: %w", err)
	}
	if err := publish(tmp, path); err != nil {
		return fmt.Errorf("sqlitedb: backup: %w", err)
	}
	return nil
}

// publish makes tmp durable and gives it its name.
func publish(tmp, path string) error {
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// Checkpoint moves the write-ahead log into the database file. With truncate
// it waits for readers and empties the log, so that what was deleted is gone
// from the disk; without, it does what can be done at once (call it when idle).
func (db *DB) Checkpoint(ctx context.Context, truncate bool) error {
	mode := "PASSIVE"
	if truncate {
		mode = "TRUNCATE"
	}
	return db.commits.exclusive(ctx, func(c *conn) error {
		var busy, log, moved int64
		q := queries{conn: c}
		if err := q.QueryRow("PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &moved); err != nil {
			return fmt.Errorf("sqlitedb: checkpoint: %w", err)
		}
		if truncate && busy != 0 {
			return errors.New("sqlitedb: checkpoint: a reader is in the way, try again")
		}
		return nil
	})
}
