package auth

import (
	"context"
	"slices"
	"time"
)

// Revoke makes the access token with this jti worthless from its return on. The
// jti is remembered until the token expires (RFC 7009 §2).
func (s *Store) Revoke(ctx context.Context, jti string, expires, now time.Time) error {
	return s.backend.Revoke(ctx, jti, expires, now)
}

// UseAssertion remembers until it expires that a client has used an assertion, which is
// told by a digest. Errors: [ErrUsed] if it had before; [ErrTooMany] if [MaxAssertions]
// of the client are still good.
func (s *Store) UseAssertion(ctx context.Context, client string, assertion []byte, expires, now time.Time) error {
	return s.backend.UseAssertion(ctx, client, assertion, expires, now)
}

// revokeStatic ends the static token with this digest for good, if the client
// still has it.
func (s *Store) revokeStatic(ctx context.Context, client string, static []byte) error {
	return s.backend.Write(ctx, func(tx *Tx) error {
		r, err := tx.Clients.Get(client)
		if err != nil {
			return ignore(err, ErrNotFound)
		}
		switch {
		case slices.Equal(r.StaticToken, static):
			r.StaticToken = nil
		case slices.Equal(r.OldStaticToken, static):
			r.OldStaticToken = nil
		default:
			return nil
		}
		return tx.Clients.Put(r)
	})
}
