package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// sqliteStore keeps the key and the checkpoints in admin.db.
type sqliteStore struct{ db *sqlitedb.DB }

// NewStore returns the store in db, an admin.db as opened by transmitter/auth,
// whose schema has the tables. It does not close db.
func NewStore(db *sqlitedb.DB) Exporter { return sqliteStore{db} }

func (s sqliteStore) Key(ctx context.Context) (k Key, origin string, err error) {
	err = s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		fresh := NewKey()
		if _, err := tx.Exec("INSERT INTO log_key(one, seed, origin) VALUES(1, ?, '') ON CONFLICT DO NOTHING", fresh.Stored()); err != nil {
			return err
		}
		var seed []byte
		if err := tx.QueryRow("SELECT seed, origin FROM log_key").Scan(&seed, &origin); err != nil {
			return err
		}
		var err error
		k, err = ParseKey(seed)
		return err
	})
	if err != nil {
		return Key{}, "", fmt.Errorf("checkpoint: key: %w", err)
	}
	return k, origin, nil
}

func (s sqliteStore) ReplaceKey(ctx context.Context, from, to Key) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var done sqlitedb.Result
		var err error
		if from == (Key{}) {
			done, err = tx.Exec("INSERT INTO log_key(one, seed, origin) VALUES(1, ?, '') ON CONFLICT DO NOTHING", to.Stored())
		} else {
			done, err = tx.Exec("UPDATE log_key SET seed = ? WHERE seed = ?", to.Stored(), from.Stored())
		}
		if err == nil && done.Changes == 0 {
			err = ErrOtherKey
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint: key: %w", err)
	}
	// The form before shall be gone from the write-ahead log too. A reader in the way puts
	// that off until the next checkpoint of the file.
	_ = s.db.Checkpoint(ctx, true)
	return nil
}

func (s sqliteStore) Verifier(ctx context.Context) (string, error) {
	var seed []byte
	var origin string
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		return v.QueryRow("SELECT seed, origin FROM log_key").Scan(&seed, &origin)
	})
	switch {
	case errors.Is(err, sqlitedb.ErrNoRows), err == nil && origin == "":
		return "", ErrNone
	case err != nil:
		return "", fmt.Errorf("checkpoint: key: %w", err)
	}
	k, err := ParseKey(seed)
	if err != nil {
		return "", fmt.Errorf("checkpoint: key: %w", err)
	}
	return k.Verifier(origin), nil
}

// Add does all in one transaction.
func (s sqliteStore) Add(ctx context.Context, c Checkpoint, after eventlog.Tree) error {
	made := c.Made.UnixMilli()
	hour := KeepAll.Milliseconds()
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		if known, err := goesOn(tx, &c, after); known || err != nil {
			return err
		}
		if err := renamed(tx, &c); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO checkpoints(size, root, made_ms, kept, text)
			VALUES(?, ?, ?, NOT EXISTS (SELECT 1 FROM checkpoints WHERE made_ms >= ?), ?)
			ON CONFLICT (size) DO UPDATE SET made_ms = excluded.made_ms, text = excluded.text`,
			int64(c.Size), c.Root[:], made, made-made%hour, string(c.Text)); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE log_key SET origin = ? WHERE origin <> ?", c.Origin, c.Origin); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM checkpoints WHERE kept = 0 AND made_ms < ? AND size < ?", made-hour, int64(c.Size))
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint: store: %w", err)
	}
	return nil
}

// goesOn reports whether c can stand behind what is stored, or is stored already.
func goesOn(tx *sqlitedb.Tx, c *Checkpoint, after eventlog.Tree) (known bool, err error) {
	same, err := scan(tx.QueryRow("SELECT size, root, made_ms, text FROM checkpoints WHERE size = ?", int64(c.Size)))
	switch {
	case err == nil && same.Root != c.Root:
		return false, fmt.Errorf("%w (%d)", ErrFork, c.Size)
	case err == nil && string(same.Text) == string(c.Text):
		return true, nil
	case err != nil && !errors.Is(err, sqlitedb.ErrNoRows):
		return false, err
	}
	last, err := scan(tx.QueryRow("SELECT size, root, made_ms, text FROM checkpoints ORDER BY size DESC LIMIT 1"))
	if err != nil && !errors.Is(err, sqlitedb.ErrNoRows) {
		return false, err
	}
	if last.Tree != after { // zero if there is none
		return false, ErrBehind
	}
	return false, nil
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

func (s sqliteStore) Last(ctx context.Context) (Checkpoint, error) {
	return s.one(ctx, "SELECT size, root, made_ms, text FROM checkpoints ORDER BY size DESC LIMIT 1")
}

func (s sqliteStore) At(ctx context.Context, size uint64) (Checkpoint, error) {
	return s.one(ctx, "SELECT size, root, made_ms, text FROM checkpoints WHERE size = ?", int64(size))
}

func (s sqliteStore) Cosigned(ctx context.Context, witness string) (Checkpoint, error) {
	return s.one(ctx, `SELECT size, root, made_ms, text FROM checkpoints
		WHERE size = (SELECT max(size) FROM cosignatures WHERE witness = ?)`, witness)
}

func (s sqliteStore) All(ctx context.Context, from uint64, max int) ([]Checkpoint, error) {
	var all []Checkpoint
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT size, root, made_ms, text FROM checkpoints WHERE size >= ? ORDER BY size LIMIT ?",
			int64(from), min(max, MaxPage))
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

func (s sqliteStore) Cosign(ctx context.Context, size uint64, witness string, keyHash uint32, line string) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		done, err := tx.Exec("UPDATE checkpoints SET kept = 1 WHERE size = ?", int64(size))
		if err == nil && done.Changes == 0 {
			err = ErrNone
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO cosignatures(size, witness, key_hash, line) VALUES(?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET line = excluded.line`, int64(size), witness, int64(keyHash), line)
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint: cosign: %w", err)
	}
	return nil
}

// one returns the checkpoint of a query, with its cosignatures.
func (s sqliteStore) one(ctx context.Context, query string, args ...any) (c Checkpoint, err error) {
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

// Cosignatures implements Exporter.
func (s sqliteStore) Cosignatures(ctx context.Context, size uint64) ([]Cosignature, error) {
	var all []Cosignature
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query("SELECT witness, key_hash, line FROM cosignatures WHERE size = ? ORDER BY witness, key_hash", int64(size))
		if err != nil {
			return err
		}
		for rows.Next() {
			c := Cosignature{Size: size}
			if err := rows.Scan(&c.Witness, &c.KeyHash, &c.Line); err != nil {
				return err
			}
			all = append(all, c)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: cosignatures: %w", err)
	}
	return all, nil
}
