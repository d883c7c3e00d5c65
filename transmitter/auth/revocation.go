package auth

import (
	"context"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// pruneMost bounds the rows that one revocation clears away.
const pruneMost = 100

// Revoke makes the access token with this jti worthless from its return on. The
// jti is remembered until the token expires (RFC 7009 §2).
func (s *Store) Revoke(ctx context.Context, jti string, expires, now time.Time) error {
	return s.change(ctx, func(tx *sqlitedb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM revoked_tokens WHERE jti IN
			(SELECT jti FROM revoked_tokens WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)`,
			now.UnixMilli(), pruneMost); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO revoked_tokens (jti, expires_ms) VALUES (?, ?) ON CONFLICT DO NOTHING",
			jti, expires.UnixMilli())
		return err
	})
}

// revokeStatic ends the static token with this digest for good.
func (s *Store) revokeStatic(ctx context.Context, static []byte) error {
	return s.change(ctx, func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("UPDATE clients SET static_hash = NULL WHERE static_hash = ?", static)
		return err
	})
}

// revoked reports whether the token with this jti was revoked.
func (s *Store) revoked(ctx context.Context, jti string) (bool, error) {
	var n int
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		return v.QueryRow("SELECT count(*) FROM revoked_tokens WHERE jti = ?", jti).Scan(&n)
	})
	return n > 0, err
}
