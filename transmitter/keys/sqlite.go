package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// sqliteStore keeps keys in the table signing_keys of admin.db.
type sqliteStore struct{ db *sqlitedb.DB }

var _ Store = sqliteStore{}

// NewStore returns the store of keys in db, an admin.db as opened by
// transmitter/auth, whose schema has the table. It does not close db.
func NewStore(db *sqlitedb.DB) Store { return sqliteStore{db} }

func (s sqliteStore) Keys(ctx context.Context) ([]Record, error) {
	var all []Record
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(`SELECT kid, algorithm, private_jwk, created_ms, last_used_ms, current, next
			FROM signing_keys ORDER BY next, current, created_ms, rowid`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var r Record
			var alg string
			var made, used int64
			if err := rows.Scan(&r.ID, &alg, &r.Private, &made, &used, &r.Current, &r.Next); err != nil {
				return err
			}
			r.Algorithm = jose.Algorithm(alg)
			r.Created, r.LastUsed = time.UnixMilli(made).UTC(), time.UnixMilli(used).UTC()
			all = append(all, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("keys: read: %w", err)
	}
	return all, nil
}

func (s sqliteStore) Add(ctx context.Context, r Record, before string, replaced time.Time) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var n int
		var current string
		if err := tx.QueryRow("SELECT count(*), coalesce(max(CASE current WHEN 1 THEN kid END), '') FROM signing_keys").Scan(&n, &current); err != nil {
			return err
		}
		switch {
		case current != before:
			return ErrChanged
		case n >= MaxKeys:
			return ErrFull
		}
		if _, err := tx.Exec(`UPDATE signing_keys SET current = 0, last_used_ms = max(last_used_ms, ?)
			WHERE current = 1`, replaced.UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM signing_keys WHERE next = 1"); err != nil {
			return err
		}
		return insert(tx, r, 1, 0)
	})
	if err != nil {
		return fmt.Errorf("keys: add: %w", err)
	}
	return nil
}

func insert(tx *sqlitedb.Tx, r Record, current, next int) error {
	_, err := tx.Exec(`INSERT INTO signing_keys (kid, algorithm, private_jwk, created_ms, last_used_ms, current, next)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.ID, string(r.Algorithm), r.Private, r.Created.UnixMilli(), r.LastUsed.UnixMilli(), current, next)
	return err
}

func (s sqliteStore) Announce(ctx context.Context, r Record, current string) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var n, next int
		var now string
		if err := tx.QueryRow("SELECT count(*), coalesce(sum(next), 0), coalesce(max(CASE current WHEN 1 THEN kid END), '') FROM signing_keys").Scan(&n, &next, &now); err != nil {
			return err
		}
		switch {
		case now != current || next > 0:
			return ErrChanged
		case n >= MaxKeys:
			return ErrFull
		}
		return insert(tx, r, 0, 1)
	})
	if err != nil {
		return fmt.Errorf("keys: announce: %w", err)
	}
	return nil
}

func (s sqliteStore) Promote(ctx context.Context, kid, before string, at time.Time) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		for _, step := range []struct{ set, kid, was string }{
			{"current = 0", before, "current"}, {"next = 0, current = 1", kid, "next"},
		} {
			done, err := tx.Exec("UPDATE signing_keys SET "+step.set+", last_used_ms = max(last_used_ms, ?) WHERE kid = ? AND "+step.was+" = 1", at.UnixMilli(), step.kid)
			if err != nil {
				return err
			}
			if done.Changes == 0 {
				return ErrChanged
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keys: promote: %w", err)
	}
	return nil
}

func (s sqliteStore) Replace(ctx context.Context, kid string, from, to []byte) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		done, err := tx.Exec("UPDATE signing_keys SET private_jwk = ? WHERE kid = ? AND private_jwk = ?", to, kid, from)
		if err == nil && done.Changes == 0 {
			err = ErrChanged
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keys: replace: %w", err)
	}
	_ = s.db.Checkpoint(ctx, true) // as in Remove
	return nil
}

func (s sqliteStore) Mark(ctx context.Context, used map[string]time.Time) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		for kid, at := range used {
			if _, err := tx.Exec("UPDATE signing_keys SET last_used_ms = max(last_used_ms, ?) WHERE kid = ?",
				at.UnixMilli(), kid); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keys: mark: %w", err)
	}
	return nil
}

func (s sqliteStore) Remove(ctx context.Context, kid string, unused time.Time) error {
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var used int64
		var current bool
		err := tx.QueryRow("SELECT last_used_ms, current FROM signing_keys WHERE kid = ?", kid).Scan(&used, &current)
		switch {
		case errors.Is(err, sqlitedb.ErrNoRows):
			return nil
		case err != nil:
			return err
		case current:
			return ErrCurrent
		case !unused.IsZero() && used > unused.UnixMilli():
			return ErrTooSoon
		}
		_, err = tx.Exec("DELETE FROM signing_keys WHERE kid = ?", kid)
		return err
	})
	if err != nil {
		return fmt.Errorf("keys: remove: %w", err)
	}
	// The key shall be gone from the write-ahead log too. A reader in the way
	// puts that off until the next checkpoint.
	_ = s.db.Checkpoint(ctx, true)
	return nil
}
