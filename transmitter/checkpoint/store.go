package checkpoint

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// keepAll is how long every checkpoint is kept; of those before, the first of
// each hour is, and those with cosignatures.
const keepAll = time.Hour

// maxPage bounds the checkpoints of one reading.
const maxPage = 1000

// ErrFork: the checkpoint and a stored one of its size are of different trees.
var ErrFork = errors.New("checkpoint: another tree of that size was signed before")

// Store keeps the log's key and its checkpoints in admin.db. Durable on
// return. Safe for concurrent use.
type Store struct{ db *sqlitedb.DB }

// NewStore returns the store in db, an admin.db as opened by transmitter/auth,
// whose schema has the tables. It does not close db.
func NewStore(db *sqlitedb.DB) *Store { return &Store{db} }

// Key returns the key, made at the first call, and the origin that it signed
// under last; "" if it never did.
func (s *Store) Key(ctx context.Context) (k Key, origin string, err error) {
	err = s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		fresh := NewKey()
		if _, err := tx.Exec("INSERT INTO log_key(one, seed, origin) VALUES(1, ?, '') ON CONFLICT DO NOTHING", fresh.seed[:]); err != nil {
			return err
		}
		var seed []byte
		if err := tx.QueryRow("SELECT seed, origin FROM log_key").Scan(&seed, &origin); err != nil {
			return err
		}
		if len(seed) != ed25519.SeedSize {
			return fmt.Errorf("the key has %d bytes, want %d", len(seed), ed25519.SeedSize)
		}
		k = Key{seed: [ed25519.SeedSize]byte(seed)}
		return nil
	})
	if err != nil {
		return Key{}, "", fmt.Errorf("checkpoint: key: %w", err)
	}
	return k, origin, nil
}

// Verifier returns the verifier key of the log; it makes none. Error: ErrNone.
func (s *Store) Verifier(ctx context.Context) (string, error) {
	var seed []byte
	var origin string
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		return v.QueryRow("SELECT seed, origin FROM log_key").Scan(&seed, &origin)
	})
	switch {
	case errors.Is(err, sqlitedb.ErrNoRows), err == nil && (origin == "" || len(seed) != ed25519.SeedSize):
		return "", ErrNone
	case err != nil:
		return "", fmt.Errorf("checkpoint: key: %w", err)
	}
	return Key{seed: [ed25519.SeedSize]byte(seed)}.Verifier(origin), nil
}

// Add stores a checkpoint, and lets older ones go that are not kept. Error:
// ErrFork.
func (s *Store) Add(ctx context.Context, c Checkpoint) error {
	made := c.Made.UnixMilli()
	hour := keepAll.Milliseconds()
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		if err := renamed(tx, &c); err != nil {
			return err
		}
		r, err := tx.Exec(`INSERT INTO checkpoints(size, root, made_ms, kept, text)
			VALUES(?, ?, ?, NOT EXISTS (SELECT 1 FROM checkpoints WHERE made_ms >= ?), ?)
			ON CONFLICT (size) DO UPDATE SET made_ms = excluded.made_ms, text = excluded.text WHERE root = excluded.root`,
			int64(c.Size), c.Root[:], made, made-made%hour, string(c.Text))
		if err != nil {
			return err
		}
		if r.Changes == 0 {
			return fmt.Errorf("%w (%d)", ErrFork, c.Size)
		}
		if _, err := tx.Exec("UPDATE log_key SET origin = ? WHERE origin <> ?", c.Origin, c.Origin); err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM checkpoints WHERE kept = 0 AND made_ms < ? AND size < ?", made-hour, int64(c.Size))
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint: store: %w", err)
	}
	return nil
}

// renamed lets the cosignatures of a checkpoint go that is stored once more under
// another origin: they are of the text with the former one.
func renamed(tx *sqlitedb.Tx, c *Checkpoint) error {
	var text string
	err := tx.QueryRow("SELECT text FROM checkpoints WHERE size = ?", int64(c.Size)).Scan(&text)
	if errors.Is(err, sqlitedb.ErrNoRows) || err == nil && firstLine(text) == c.Origin {
		return nil
	}
	if err == nil {
		_, err = tx.Exec("DELETE FROM cosignatures WHERE size = ?", int64(c.Size))
	}
	return err
}

// Last returns the one of the largest tree. Error: ErrNone.
func (s *Store) Last(ctx context.Context) (Checkpoint, error) {
	return s.one(ctx, "SELECT size, root, made_ms, text FROM checkpoints ORDER BY size DESC LIMIT 1")
}

// At returns the one of a size. Error: ErrNone.
func (s *Store) At(ctx context.Context, size uint64) (Checkpoint, error) {
	return s.one(ctx, "SELECT size, root, made_ms, text FROM checkpoints WHERE size = ?", int64(size))
}

// Cosigned returns the latest that a witness has cosigned. Error: ErrNone.
func (s *Store) Cosigned(ctx context.Context, witness string) (Checkpoint, error) {
	return s.one(ctx, `SELECT size, root, made_ms, text FROM checkpoints
		WHERE size = (SELECT max(size) FROM cosignatures WHERE witness = ?)`, witness)
}

// All returns up to max (at most 1000) whose size is at least from, smallest
// first, and without cosignatures.
func (s *Store) All(ctx context.Context, from uint64, max int) ([]Checkpoint, error) {
	var all []Checkpoint
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT size, root, made_ms, text FROM checkpoints WHERE size >= ? ORDER BY size LIMIT ?",
			int64(from), min(max, maxPage))
		if err != nil {
			return err
		}
		for rows.Next() {
			c, err := scan(rows)
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: read: %w", err)
	}
	return all, nil
}

// Cosign stores a witness's signature line under the checkpoint of a size, in
// place of an earlier one of the same key.
func (s *Store) Cosign(ctx context.Context, size uint64, witness string, keyHash uint32, line string) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		if _, err := tx.Exec("UPDATE checkpoints SET kept = 1 WHERE size = ?", int64(size)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO cosignatures(size, witness, key_hash, line) VALUES(?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET line = excluded.line`, int64(size), witness, int64(keyHash), line)
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint: cosign: %w", err)
	}
	return nil
}

// one returns the checkpoint of a query, with its cosignatures.
func (s *Store) one(ctx context.Context, query string, args ...any) (c Checkpoint, err error) {
	err = s.db.Read(ctx, func(v *sqlitedb.View) error {
		if c, err = scan(v.QueryRow(query, args...)); err != nil {
			return err
		}
		rows, err := v.Query("SELECT line FROM cosignatures WHERE size = ? ORDER BY witness, key_hash", int64(c.Size))
		if err != nil {
			return err
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return err
			}
			c.Text = append(c.Text, line...)
		}
		return rows.Err()
	})
	switch {
	case errors.Is(err, sqlitedb.ErrNoRows):
		return Checkpoint{}, ErrNone
	case err != nil:
		return Checkpoint{}, fmt.Errorf("checkpoint: read: %w", err)
	}
	return c, nil
}

func scan(row interface{ Scan(dest ...any) error }) (Checkpoint, error) {
	var c Checkpoint
	var root []byte
	var made int64
	var text string
	if err := row.Scan(&c.Size, &root, &made, &text); err != nil {
		return Checkpoint{}, err
	}
	if len(root) != eventlog.HashSize {
		return Checkpoint{}, fmt.Errorf("the root of %d has %d bytes", c.Size, len(root))
	}
	c.Root, c.Made, c.Text = eventlog.Hash(root), time.UnixMilli(made).UTC(), []byte(text)
	c.Origin = firstLine(text)
	return c, nil
}
