// Package rediskeys keeps the transmitter's signing keys in Redis (7.0 or later), for
// several processes that sign with the same keys.
//
// The private halves are there as the ring gives them: in clear, unless it encrypts them.
// Who may read these keys of the server can then sign as the transmitter, see
// docs/operations/keys.md. All is in one slot of a cluster.
package rediskeys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
	"github.com/tocsin-ssf/tocsin/transmitter/vault/redisvault"
)

// Store is a [keys.Shared] on Redis. Safe for concurrent use, also by several processes.
type Store struct {
	db      *redisdb.DB
	state   string
	keys    []string
	scripts scripts
}

var _ keys.Shared = (*Store)(nil)

// New returns the store of keys in db. It does not close db.
func New(db *redisdb.DB) *Store {
	root := db.Prefix() + ":{admin}:keys"
	state := root + ":state"
	return &Store{
		db: db, state: state, keys: []string{root, root + ":used", root + ":order", state, redisvault.Key(db)}, scripts: newScripts(),
	}
}

// kept is a key as it is stored.
type kept struct {
	Algorithm jose.Algorithm `json:"alg"`
	Created   int64          `json:"created_ms"`
	Private   []byte         `json:"private"`
}

// Version returns the number of the last change, which never falls.
func (s *Store) Version(ctx context.Context) (uint64, error) {
	n, err := s.db.Client().HGet(ctx, s.state, "version").Uint64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("keys: version: %w", err)
	}
	return n, nil
}

// Keys returns all keys, oldest first, the current one last.
func (s *Store) Keys(ctx context.Context) ([]keys.Record, error) {
	answer, err := s.db.Run(ctx, s.scripts.read, s.keys)
	if err != nil {
		return nil, fmt.Errorf("keys: read: %w", err)
	}
	parts, _ := answer.([]any)
	var all []keys.Record
	for part := range slices.Chunk(parts, 4) {
		r, err := decode(part)
		if err != nil {
			return nil, fmt.Errorf("keys: read: %w", err)
		}
		all = append(all, r)
	}
	return all, nil
}

// decode reads kid, key, last use, and whether it is current. Its errors show
// nothing of a key.
func decode(part []any) (keys.Record, error) {
	text := make([]string, 4)
	for i := range part {
		text[i], _ = part[i].(string)
	}
	var k kept
	used, err := strconv.ParseInt(text[2], 10, 64)
	if err != nil || json.Unmarshal([]byte(text[1]), &k) != nil {
		return keys.Record{}, fmt.Errorf("key %s cannot be read", text[0])
	}
	return keys.Record{
		Key: keys.Key{
			ID: text[0], Algorithm: k.Algorithm, Current: text[3] == "1", Next: text[3] == "2",
			Created: time.UnixMilli(k.Created).UTC(), LastUsed: time.UnixMilli(used).UTC(),
		},
		Private: k.Private,
	}, nil
}

// Add adds r as the current key in place of before.
func (s *Store) Add(ctx context.Context, r keys.Record, before string, replaced time.Time) error {
	text, err := json.Marshal(kept{r.Algorithm, r.Created.UnixMilli(), r.Private})
	if err != nil {
		return fmt.Errorf("keys: add: %w", err)
	}
	return s.write(ctx, "add", s.scripts.add, r.ID, text, r.LastUsed.UnixMilli(), before, replaced.UnixMilli(), keys.MaxKeys, clear(r))
}

// Announce adds r as the next key beside current.
func (s *Store) Announce(ctx context.Context, r keys.Record, current string) error {
	text, err := json.Marshal(kept{r.Algorithm, r.Created.UnixMilli(), r.Private})
	if err != nil {
		return fmt.Errorf("keys: announce: %w", err)
	}
	return s.write(ctx, "announce", s.scripts.announce, r.ID, text, r.LastUsed.UnixMilli(), current, keys.MaxKeys, clear(r))
}

// clear is how the scripts are told that the private half of a key would be kept in clear.
func clear(r keys.Record) string {
	if r.InClear() {
		return "clear"
	}
	return ""
}

// Promote makes the next key the current one.
func (s *Store) Promote(ctx context.Context, kid, before string, at time.Time) error {
	return s.write(ctx, "promote", s.scripts.promote, kid, before, at.UnixMilli())
}

// Replace puts another form of the private half of a key in the place of from. Until the
// server rewrites its append-only file, the form before is still in that.
func (s *Store) Replace(ctx context.Context, kid string, from, to []byte) error {
	all, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.ID != kid {
			continue
		}
		was, err1 := json.Marshal(kept{r.Algorithm, r.Created.UnixMilli(), from})
		is, err2 := json.Marshal(kept{r.Algorithm, r.Created.UnixMilli(), to})
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("keys: replace: %w", err)
		}
		return s.write(ctx, "replace", s.scripts.replace, kid, was, is)
	}
	return fmt.Errorf("keys: replace: %w", keys.ErrChanged)
}

// Mark sets the last use of keys by kid, never back.
func (s *Store) Mark(ctx context.Context, used map[string]time.Time) error {
	args := make([]any, 0, 2*len(used))
	for kid, at := range used {
		args = append(args, kid, at.UnixMilli())
	}
	return s.write(ctx, "mark", s.scripts.mark, args...)
}

// Remove erases the key, if its last use is not after unused. Until the server
// rewrites its append-only file, the key is still in that.
func (s *Store) Remove(ctx context.Context, kid string, unused time.Time) error {
	limit := ""
	if !unused.IsZero() {
		limit = strconv.FormatInt(unused.UnixMilli(), 10)
	}
	return s.write(ctx, "remove", s.scripts.remove, kid, limit)
}

// write runs a script that answers with a word.
func (s *Store) write(ctx context.Context, what string, script *redis.Script, args ...any) error {
	answer, err := s.db.Write(ctx, script, s.keys, args...)
	if err == nil {
		switch answer {
		case "ok":
			return nil
		case "changed":
			err = keys.ErrChanged
		case "full":
			err = keys.ErrFull
		case "sealed":
			err = vault.ErrSealed
		case "current":
			err = keys.ErrCurrent
		case "used":
			err = keys.ErrTooSoon
		default:
			err = fmt.Errorf("the server answered %T", answer)
		}
	}
	return fmt.Errorf("keys: %s: %w", what, err)
}
