package sqlitedb

import (
	"context"
	"fmt"
	"time"
)

// run carries out a batch in one transaction and sets every op's err.
//
// The straight way costs no statement per op. An op that fails before it
// wrote anything just keeps its error. One that fails later makes the whole
// batch be undone and run again with a savepoint around each op; and if the
// transaction itself breaks (disk full), each op gets one of its own.
func (c *committer) run(batch []*op) {
	start := time.Now()
	full := c.base == Full
	for _, o := range batch {
		full = full || o.full
	}
	if err := c.begin(full); err != nil {
		settle(batch, err)
		return
	}
	for _, o := range batch {
		before := c.tx.writes
		o.err = c.call(o)
		if o.failed = o.err != nil; o.failed && c.tx.writes != before {
			c.rollback()
			if len(batch) > 1 {
				c.runGuarded(batch, full)
			}
			return
		}
	}
	c.finish(batch, start)
}

// runGuarded is run with a savepoint around each op.
func (c *committer) runGuarded(batch []*op, full bool) {
	start := time.Now()
	if err := c.begin(full); err != nil {
		settle(batch, err)
		return
	}
	for _, o := range batch {
		o.failed = false
		if _, err := c.conn.exec("SAVEPOINT op"); err != nil {
			c.rollback()
			c.runAlone(batch, full)
			return
		}
		o.err = c.call(o)
		o.failed = o.err != nil
		err := c.release(o.failed)
		if c.tx.broken != nil || err != nil {
			c.rollback()
			c.runAlone(batch, full)
			return
		}
	}
	c.finish(batch, start)
}

// release ends the savepoint, with undo after taking back what it did.
func (c *committer) release(undo bool) error {
	if undo {
		if _, err := c.conn.exec("ROLLBACK TO op"); err != nil {
			return err
		}
	}
	_, err := c.conn.exec("RELEASE op")
	return err
}

// runAlone gives each op a transaction of its own.
func (c *committer) runAlone(batch []*op, full bool) {
	for i, o := range batch {
		start := time.Now()
		o.failed = false
		if o.err = c.begin(full); o.err != nil {
			continue
		}
		if o.err = c.call(o); o.err != nil {
			c.rollback()
			continue
		}
		c.finish(batch[i:i+1], start)
	}
}

// begin starts a transaction with a sync at its commit, or not.
func (c *committer) begin(full bool) error {
	want := c.base
	if full {
		want = Full
	}
	clear(c.tx.after)
	c.tx = Tx{
		queries: queries{conn: c.conn, open: c.tx.open[:0]},
		number:  c.tx.number + 1, after: c.tx.after[:0],
	}
	if want != c.current {
		if err := c.conn.script(context.Background(), pragmaSynchronous(want)); err != nil {
			return fmt.Errorf("sqlitedb: begin: %w", err)
		}
		c.current = want
	}
	_, err := c.conn.exec("BEGIN IMMEDIATE")
	if err != nil { // perhaps a rollback failed before
		c.rollback()
		_, err = c.conn.exec("BEGIN IMMEDIATE")
	}
	if err != nil {
		return fmt.Errorf("sqlitedb: begin: %w", err)
	}
	return nil
}

// call runs the op's function and closes the rows it left open.
func (c *committer) call(o *op) error {
	asked := len(c.tx.after)
	err := contain(func() error { return o.fn(&c.tx) })
	if len(c.tx.open) > 0 {
		err = joined(err, c.tx.closeAll())
	}
	if err == nil {
		err = c.tx.broken // fn did not pass it on
	}
	if err != nil {
		c.tx.after = c.tx.after[:asked]
	}
	return err
}

// finish commits; a failure is told to every op.
func (c *committer) finish(batch []*op, start time.Time) {
	if _, err := c.conn.exec("COMMIT"); err != nil {
		c.rollback()
		settle(batch, fmt.Errorf("sqlitedb: commit: %w", err))
		return
	}
	for _, f := range c.tx.after {
		f()
	}
	if c.observe != nil {
		c.observe(len(batch), time.Since(start))
	}
}

// rollback undoes the transaction. Its error says only that SQLite has done
// so already.
func (c *committer) rollback() { _, _ = c.conn.exec("ROLLBACK") }

// settle gives err to every op.
func settle(batch []*op, err error) {
	for _, o := range batch {
		o.err = err
	}
}
