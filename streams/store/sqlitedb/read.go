package sqlitedb

import (
	"context"
	"errors"
)

// View is a snapshot of the database; valid until the function it was given
// to returns.
type View struct{ queries }

// Read calls fn with a snapshot: all queries in it see the same commits, and
// every commit that returned before Read was called. It blocks no write and
// waits for none; it waits while Config.ReadConns others read. A ctx that
// ends stops it between two rows. Do not call Read inside fn.
//
// Errors: ErrClosed, ctx's error, a *PanicError, fn's error as it is, or a
// failure of the store.
func (db *DB) Read(ctx context.Context, fn func(*View) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case r, ok := <-db.readers:
		if !ok {
			return ErrClosed
		}
		c = r
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.readers <- c }()
	if db.commits.stopped() {
		return ErrClosed
	}
	if c == nil {
		opened, err := openConn(db.path, readerSettings())
		if err != nil {
			return err
		}
		c = opened
	}
	return view(ctx, c, fn)
}

// view runs fn between BEGIN and COMMIT.
func view(ctx context.Context, c *conn, fn func(*View) error) error {
	if _, err := c.exec("BEGIN"); err != nil {
		return err
	}
	v := &View{queries{ctx: ctx, conn: c}}
	err := contain(func() error { return fn(v) })
	err = joined(err, v.closeAll())
	_, end := c.exec("COMMIT")
	if end != nil {
		_, _ = c.exec("ROLLBACK")
	}
	return joined(err, end)
}

// contain turns a panic of fn into an error.
func contain(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return fn()
}

// joined is errors.Join that keeps a lone error as it is.
func joined(a, b error) error {
	switch {
	case b == nil:
		return a
	case a == nil:
		return b
	default:
		return errors.Join(a, b)
	}
}
