// Package sqliteacts keeps the acts at one receiver: one SQLite file.
//
// A file belongs to one process: take sqlitedb.LockFolder on its folder first.
package sqliteacts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// applicationID marks the file ("tcAC").
const applicationID = 0x74634143

// migrations are the schema versions, in order. Released ones never change.
//
// Acts go the oldest first and seq has no gaps, so that first and last tell how many there are.
func migrations() []string {
	return []string{`
CREATE TABLE act (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE named (key TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)) STRICT, WITHOUT ROWID;
`}
}

// Config says where the acts are and how many are kept.
type Config struct {
	// Path of the database file; required. Its folder must exist.
	Path string
	// MaxActs bounds their number; zero: acts.MaxActs.
	MaxActs int
	// Remember is how long one is kept; zero: acts.Remember.
	Remember time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Observe, if set, is told of every commit (see sqlitedb.Config).
	Observe func(batch int, d time.Duration)
}

// Store is an [acts.Store] on SQLite. Safe for concurrent use.
type Store struct {
	cfg Config
	db  *sqlitedb.DB
}

var _ acts.Store = (*Store)(nil)

// Open opens the file of cfg, or makes it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.MaxActs < 0 || cfg.Remember < 0 {
		return nil, errors.New("sqliteacts: Config.MaxActs and Remember must not be negative")
	}
	if cfg.MaxActs == 0 {
		cfg.MaxActs = acts.MaxActs
	}
	if cfg.Remember == 0 {
		cfg.Remember = acts.Remember
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{
		Path: cfg.Path, ApplicationID: applicationID, Synchronous: sqlitedb.Full, Migrations: migrations(), Observe: cfg.Observe,
	})
	if err != nil {
		return nil, fmt.Errorf("sqliteacts: %w", err)
	}
	return &Store{cfg, db}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Note keeps an act.
func (s *Store) Note(ctx context.Context, act *eventlog.Act) (seq uint64, err error) {
	body, err := acts.Pack(act)
	if err != nil {
		return 0, err
	}
	err = s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var n int64
		err := tx.QueryRow("INSERT INTO act (at, body) VALUES (?, ?) RETURNING seq", s.cfg.Now().UnixMilli(), body).Scan(&n)
		if err != nil {
			return err
		}
		seq = uint64(n) //nolint:gosec // a row's number is positive
		if err := name(tx, n, act); err != nil {
			return err
		}
		return s.forget(tx, n)
	})
	if err != nil {
		return 0, fmt.Errorf("sqliteacts: %w", err)
	}
	return seq, nil
}

func name(tx *sqlitedb.Tx, seq int64, act *eventlog.Act) error {
	for _, key := range acts.Keys(act) {
		if _, err := tx.Exec("INSERT OR IGNORE INTO named (key, seq) VALUES (?, ?)", key, seq); err != nil {
			return err
		}
	}
	return nil
}

// Settle puts what became of an act in its place.
func (s *Store) Settle(ctx context.Context, seq uint64, act *eventlog.Act) error {
	body, err := acts.Pack(act)
	if err != nil {
		return err
	}
	n := int64(min(seq, 1<<62)) //nolint:gosec // bounded
	err = s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var old []byte
		err := tx.QueryRow("SELECT body FROM act WHERE seq = ?", n).Scan(&old)
		if errors.Is(err, sqlitedb.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = unname(tx, n, old)
		}
		if err == nil {
			_, err = tx.Exec("UPDATE act SET body = ? WHERE seq = ?", body, n)
		}
		if err != nil {
			return err
		}
		return name(tx, n, act)
	})
	if err != nil {
		return fmt.Errorf("sqliteacts: %w", err)
	}
	return nil
}

// unname takes away the keys of an act.
func unname(tx *sqlitedb.Tx, seq int64, body []byte) error {
	act, err := acts.Unpack(body)
	if err != nil {
		return err
	}
	for _, key := range acts.Keys(&act) {
		if _, err := tx.Exec("DELETE FROM named WHERE key = ? AND seq = ?", key, seq); err != nil {
			return err
		}
	}
	return nil
}

// forget drops a few acts that are too old or too many, the last one being at last.
func (s *Store) forget(tx *sqlitedb.Tx, last int64) error {
	oldest := s.cfg.Now().Add(-s.cfg.Remember).UnixMilli()
	for range acts.ForgetPerAct {
		var first, at int64
		var body []byte
		if err := tx.QueryRow("SELECT seq, at, body FROM act ORDER BY seq LIMIT 1").Scan(&first, &at, &body); err != nil {
			return err
		}
		if last-first+1 <= int64(s.cfg.MaxActs) && at >= oldest {
			return nil
		}
		if err := unname(tx, first, body); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM act WHERE seq = ?", first); err != nil {
			return err
		}
	}
	return nil
}

// Page returns acts that have a key, the newest first.
func (s *Store) Page(ctx context.Context, key string, before uint64, most int) ([]acts.Kept, error) {
	if before == 0 {
		before = 1 << 62
	}
	var list []acts.Kept
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT act.seq, act.at, act.body FROM named JOIN act ON act.seq = named.seq WHERE named.key = ? AND named.seq < ? ORDER BY named.seq DESC LIMIT ?",
			key, int64(min(before, 1<<62)), min(most, acts.MaxPage)) //nolint:gosec // bounded
		if err != nil {
			return err
		}
		for rows.Next() {
			var seq, at int64
			var body []byte
			if err := rows.Scan(&seq, &at, &body); err != nil {
				return err
			}
			act, err := acts.Unpack(body)
			if err != nil {
				return err
			}
			list = append(list, acts.Kept{Seq: uint64(seq), Time: time.UnixMilli(at), Act: act}) //nolint:gosec // positive
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("sqliteacts: %w", err)
	}
	return list, nil
}
