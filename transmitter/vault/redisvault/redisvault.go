// Package redisvault keeps the sealed data key of a vault in Redis (7.0 or later), for
// several processes that open the same secrets.
package redisvault

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// Store is a [vault.Store] on Redis. Safe for concurrent use, also by several processes.
type Store struct {
	db      *redisdb.DB
	key     string
	replace *redis.Script
}

var _ vault.Store = (*Store)(nil)

// New returns the store in db, which it does not close.
func New(db *redisdb.DB) *Store {
	return &Store{db: db, key: Key(db), replace: redis.NewScript(`
local there = redis.call('GET', KEYS[1]) or ''
if there ~= ARGV[1] and there ~= ARGV[2] then return 'changed' end
redis.call('SET', KEYS[1], ARGV[2])
return 'ok'`)}
}

// Key is the name of what the store has, which is there when all is to be sealed. Who writes a
// secret in the same slot looks at it in the same script.
func Key(db *redisdb.DB) string { return db.Prefix() + ":{admin}:vault" }

// Header returns it; nil if there is none.
func (s *Store) Header(ctx context.Context) ([]byte, error) {
	stored, err := s.db.Client().Get(ctx, s.key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("vault: read: %w", err)
	}
	return stored, nil
}

// Replace puts to in the place of from.
func (s *Store) Replace(ctx context.Context, from, to []byte) error {
	answer, err := s.db.Write(ctx, s.replace, []string{s.key}, string(from), string(to))
	if err == nil && answer != "ok" {
		err = vault.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("vault: write: %w", err)
	}
	return nil
}
