// Package sqliteinbox is the durable inbox of a receiver: one SQLite file.
//
// Messages that wait are rows; in which order they may be handed out is kept in
// memory and rebuilt by [Open]. A file belongs to one process: take
// sqlitedb.LockFolder on its folder first.
package sqliteinbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/internal/lanes"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// applicationID marks the file ("tcIN").
const applicationID = 0x7463494e

// maxDelay is the longest that a failed message waits on after a restart. A due
// time further away was written while the clock was ahead and counts as come.
const maxDelay = 24 * time.Hour

// Config says where the inbox is and what it keeps.
type Config struct {
	// Path of the database file; required. Its folder must exist.
	Path string
	// Remember is how long (iss, jti) is known after arrival, so that a
	// repeat is not handled again; zero: for ever. At least inbox.MinRemember.
	Remember time.Duration
	// MaxWaiting bounds the messages that wait; zero: inbox.DefaultMaxWaiting.
	MaxWaiting int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Observe, if set, is told of every commit (see sqlitedb.Config).
	Observe func(batch int, d time.Duration)
}

// Inbox is an [inbox.Inbox] on SQLite. Safe for concurrent use.
type Inbox struct {
	cfg   Config
	db    *sqlitedb.DB
	lanes *lanes.Set
	// arriving counts the messages of appends that are being committed, so
	// that the bound also holds among them.
	arriving atomic.Int64
	// oldest is a time, in Unix milliseconds, before which no remembered identity
	// is: they need not be looked at until it is forgotten. 0: not known yet.
	oldest atomic.Int64
}

var _ inbox.Inbox = (*Inbox)(nil)

// Open opens the inbox of cfg, or makes it. What was out at a hook when the
// process ended waits again.
func Open(ctx context.Context, cfg Config) (*Inbox, error) {
	if cfg.Remember != 0 && cfg.Remember < inbox.MinRemember {
		return nil, fmt.Errorf("sqliteinbox: Config.Remember is %v, want 0 or at least %v", cfg.Remember, inbox.MinRemember)
	}
	if cfg.MaxWaiting < 0 {
		return nil, errors.New("sqliteinbox: Config.MaxWaiting must not be negative")
	}
	if cfg.MaxWaiting == 0 {
		cfg.MaxWaiting = inbox.DefaultMaxWaiting
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: cfg.Path, ApplicationID: applicationID, Synchronous: sqlitedb.Full,
		Migrations: migrations(), Observe: cfg.Observe,
	})
	if err != nil {
		return nil, fmt.Errorf("sqliteinbox: %w", err)
	}
	b := &Inbox{cfg: cfg, db: db, lanes: lanes.New(cfg.Now)}
	if err := b.load(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

// load fills the lanes with what waits.
func (b *Inbox) load(ctx context.Context) error {
	return b.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT seq, feed, lane, due, attempts FROM message ORDER BY seq")
		if err != nil {
			return err
		}
		for rows.Next() {
			var e lanes.Entry
			var lane []byte
			var due int64
			if err := rows.Scan(&e.Seq, &e.Feed, &lane, &due, &e.Attempts); err != nil {
				return err
			}
			e.Ordered = copy(e.Lane[:], lane) == len(e.Lane)
			if at := time.UnixMilli(due); due > 0 && !at.After(b.cfg.Now().Add(maxDelay)) {
				e.Due = at
			}
			b.lanes.Add(e)
		}
		return rows.Err()
	})
}

// Close ends all that wait in Take and closes the file. Call it when hooks
// have ended: outcomes after it are not kept.
func (b *Inbox) Close() error {
	b.lanes.Close()
	return b.db.Close()
}

// Backup writes a copy to path while the inbox is in use (see sqlitedb.DB.Backup).
func (b *Inbox) Backup(ctx context.Context, path string) error { return b.db.Backup(ctx, path) }

// Feeds returns the names of the feeds that have messages or dead letters, sorted:
// also those that no receiver follows any more.
func (b *Inbox) Feeds(ctx context.Context) ([]string, error) {
	var names []string
	for _, name := range b.lanes.Feeds() {
		if b.lanes.Count(name).Waiting > 0 {
			names = append(names, name)
		}
	}
	err := b.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT feed FROM dead_count WHERE n > 0")
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// Counts returns how much the feed holds.
func (b *Inbox) Counts(ctx context.Context, feed string) (inbox.Counts, error) {
	n := b.lanes.Count(feed)
	c := inbox.Counts{Waiting: n.Waiting, Running: n.Out, Failing: n.Failing}
	err := b.db.Read(ctx, func(v *sqlitedb.View) error {
		if err := v.QueryRow("SELECT n FROM dead_count WHERE feed = ?", feed).Scan(&c.Dead); err != nil && !errors.Is(err, sqlitedb.ErrNoRows) {
			return err
		}
		if n.Waiting == 0 {
			return nil
		}
		var received int64
		err := v.QueryRow("SELECT received FROM message WHERE seq = ?", b.lanes.Oldest(feed)).Scan(&received)
		if errors.Is(err, sqlitedb.ErrNoRows) {
			return nil
		}
		c.Oldest = time.UnixMilli(received)
		return err
	})
	return c, err
}
