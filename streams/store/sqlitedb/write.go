package sqlitedb

import (
	"context"
	"errors"

	"modernc.org/sqlite"
)

// Tx is a write transaction; valid until the function it was given to returns.
type Tx struct {
	queries
	writes int   // statements of Exec so far
	broken error // SQLite gave the transaction up: nothing more can be done in it
	number uint64
	after  []func()
}

// Number tells transactions apart: it is the same for all writes that share
// one, and never comes again, not even when they are run anew.
func (tx *Tx) Number() uint64 { return tx.number }

// OnCommit has f called when the transaction is committed, in the order of
// the writes, before any of them returns and before the next begins; not at
// all if the write or the commit fails. It must be quick and not call the DB.
func (tx *Tx) OnCommit(f func()) { tx.after = append(tx.after, f) }

// Primary result codes (https://www.sqlite.org/rescode.html) after which the
// transaction may be gone.
const (
	codeBusy      = 5
	codeNoMem     = 7
	codeInterrupt = 9
	codeIOErr     = 10
	codeCorrupt   = 11
	codeFull      = 13
	codeNotADB    = 26
)

// Exec runs one statement that changes something, with arguments as for Query.
func (tx *Tx) Exec(sql string, args ...any) (Result, error) {
	if tx.broken != nil {
		return Result{}, tx.broken
	}
	tx.writes++
	r, err := tx.conn.exec(sql, args...)
	if err != nil && fatal(err) {
		tx.broken = err
	}
	return r, err
}

// fatal reports whether SQLite may have ended the transaction with err.
func fatal(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case codeBusy, codeNoMem, codeInterrupt, codeIOErr, codeCorrupt, codeFull:
		return true
	}
	return false
}

// Write runs fn in a transaction and returns when it is committed, as durable
// as Config.Synchronous says. Concurrent calls share one commit, in the order
// of their calls; none of them sees another's error: where one fails, the
// others are run again without it. So fn may run more than once: it must
// not change anything but the database and what it sets anew each time. An
// error or a panic of fn undoes what it did. Do not call Write or Read in fn.
//
// A ctx that ends takes the call back if its turn has not come; once begun,
// the write is carried out.
//
// Errors: ErrClosed, ctx's error, a *PanicError, fn's error as it is, or a
// failure of the store (disk full, I/O), with which nothing was kept and
// after which the next call tries anew.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	return db.commits.do(ctx, fn, nil, false)
}

// WriteFull is Write with a commit that is synced to disk, also for a
// database opened Normal; it makes every commit before it durable too.
func (db *DB) WriteFull(ctx context.Context, fn func(*Tx) error) error {
	return db.commits.do(ctx, fn, nil, true)
}
