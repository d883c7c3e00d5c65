package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

// conn is one connection with its prepared statements. It speaks to the
// driver directly: the pool and the locks of database/sql would cost as much
// as a small statement does. One goroutine uses it at a time.
type conn struct {
	raw   driver.Conn
	stmts map[string]*stmt
	args  []driver.NamedValue // reused by every call
}

// stmt is a prepared statement; busy while a Rows of it is open.
type stmt struct {
	raw  driver.Stmt
	busy bool
}

// Result tells what a statement changed.
type Result struct {
	// Changes is the number of rows that the statement wrote or deleted.
	Changes int64
	// LastInsertID is the rowid of the latest insert on the connection.
	LastInsertID int64
}

// openConn opens path and runs settings on the connection.
func openConn(path string, settings []string) (*conn, error) {
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	if vfs != "" {
		name.RawQuery = "vfs=" + vfs
	}
	raw, err := (&sqlite.Driver{}).Open(name.String())
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw, stmts: make(map[string]*stmt)}
	for _, s := range settings {
		if err := c.script(context.Background(), s); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", s, err), c.close())
		}
	}
	return c, nil
}

func writerSettings(mode Synchronous) []string {
	return append(commonSettings(writeCacheKiB),
		pragmaSynchronous(mode),
		fmt.Sprintf("PRAGMA wal_autocheckpoint=%d", checkpointPages),
		"PRAGMA secure_delete=ON",
		"PRAGMA foreign_keys=ON")
}

func readerSettings() []string {
	return append(commonSettings(readCacheKiB), "PRAGMA query_only=ON")
}

func commonSettings(cacheKiB int) []string {
	return []string{
		fmt.Sprintf("PRAGMA busy_timeout=%d", busyTimeout.Milliseconds()),
		"PRAGMA temp_store=MEMORY",
		fmt.Sprintf("PRAGMA cache_size=-%d", cacheKiB),
	}
}

func pragmaSynchronous(mode Synchronous) string {
	if mode == Normal {
		return "PRAGMA synchronous=NORMAL"
	}
	return "PRAGMA synchronous=FULL"
}

// script runs SQL of any number of statements without keeping it prepared.
func (c *conn) script(ctx context.Context, sql string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(ctx, sql, nil)
	return err
}

// take returns the prepared statement of sql, marked busy. A statement that
// is busy already, because a query runs inside itself, gets a second copy
// that free throws away.
func (c *conn) take(sql string) (*stmt, error) {
	s := c.stmts[sql]
	if s != nil && !s.busy {
		s.busy = true
		return s, nil
	}
	raw, err := c.raw.(driver.ConnPrepareContext).PrepareContext(context.Background(), sql)
	if err != nil {
		return nil, err
	}
	fresh := &stmt{raw: raw, busy: true}
	if s == nil {
		if len(c.stmts) >= maxStatements {
			c.evict()
		}
		c.stmts[sql] = fresh
	}
	return fresh, nil
}

// free gives a statement back.
func (c *conn) free(sql string, s *stmt) {
	s.busy = false
	if c.stmts[sql] != s {
		_ = s.raw.Close() // a second copy; its result is known already
	}
}

// evict closes one statement that is not in use.
func (c *conn) evict() {
	for sql, s := range c.stmts {
		if !s.busy {
			_ = s.raw.Close()
			delete(c.stmts, sql)
			return
		}
	}
}

// exec runs one statement to its end.
func (c *conn) exec(sql string, args ...any) (Result, error) {
	s, err := c.take(sql)
	if err != nil {
		return Result{}, err
	}
	defer c.free(sql, s)
	if err := c.bind(args); err != nil {
		return Result{}, err
	}
	r, err := s.raw.(driver.StmtExecContext).ExecContext(context.Background(), c.args)
	if err != nil {
		return Result{}, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return Result{}, err
	}
	id, err := r.LastInsertId()
	return Result{Changes: n, LastInsertID: id}, err
}

// bind puts args into c.args.
func (c *conn) bind(args []any) error {
	c.args = c.args[:0]
	for i, a := range args {
		v, err := bindable(a)
		if err != nil {
			return fmt.Errorf("sqlitedb: argument %d: %w", i+1, err)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return nil
}

// bindable turns a into one of the driver's types.
func bindable(a any) (driver.Value, error) {
	switch v := a.(type) {
	case nil, int64, string, []byte, bool, float64:
		return v, nil
	case int:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	default:
		return driver.DefaultParameterConverter.ConvertValue(a)
	}
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		_ = s.raw.Close()
	}
	c.stmts = nil
	return c.raw.Close()
}

// createFile makes path as an empty file that others cannot read, unless it
// exists. SQLite gives the files beside it the same mode.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the folder's list of names durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
