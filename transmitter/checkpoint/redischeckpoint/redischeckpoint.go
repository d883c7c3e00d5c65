// Package redischeckpoint keeps the log's key and its checkpoints in Redis (7.0 or
// later), for several processes that sign the heads of one log.
//
// The key is there as it is given: in clear, unless a vault has sealed it, see
// docs/operations/keys.md. All is in one slot of a
// cluster, another than the log's.
package redischeckpoint

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// page is how many checkpoints are asked for at once: some of 300 bytes each.
const page = 256

// Store is a [checkpoint.Store] on Redis. Safe for concurrent use, also by several
// processes.
type Store struct {
	db      *redisdb.DB
	keys    []string // as the scripts take them
	scripts scripts
}

var _ checkpoint.Importer = (*Store)(nil)

// New returns the store in db, which it does not close.
func New(db *redisdb.DB) *Store {
	root := db.Prefix() + ":{admin}:"
	return &Store{db: db, scripts: newScripts(), keys: []string{
		root + "log:key", root + "checkpoints", root + "checkpoints:sizes", root + "checkpoints:made",
		root + "checkpoints:passing", root + "cosignatures", root + "cosignatures:of",
	}}
}

// Key returns the key, made at the first call, and its origin.
func (s *Store) Key(ctx context.Context) (checkpoint.Key, string, error) {
	answer, err := s.db.Write(ctx, s.scripts.key, s.keys, checkpoint.NewKey().Stored())
	if err != nil {
		return checkpoint.Key{}, "", fmt.Errorf("checkpoint: key: %w", err)
	}
	parts, _ := answer.([]any)
	if len(parts) != 2 {
		return checkpoint.Key{}, "", errors.New("checkpoint: the log's key cannot be read")
	}
	seed, _ := parts[0].(string)
	origin, _ := parts[1].(string)
	k, err := checkpoint.ParseKey([]byte(seed))
	return k, origin, err
}

// ReplaceKey puts another form of the key in the place of from. Until the server rewrites
// its append-only file, the form before is still in that.
func (s *Store) ReplaceKey(ctx context.Context, from, to checkpoint.Key) error {
	was := []byte{}
	if from != (checkpoint.Key{}) {
		was = from.Stored()
	}
	answer, err := s.db.Write(ctx, s.scripts.replace, s.keys, was, to.Stored())
	if err == nil && answer != "ok" {
		err = checkpoint.ErrOtherKey
	}
	if err != nil {
		return fmt.Errorf("checkpoint: key: %w", err)
	}
	return nil
}

// Verifier returns the verifier key of the log; it makes none.
func (s *Store) Verifier(ctx context.Context) (string, error) {
	kept, err := s.db.Client().HMGet(ctx, s.keys[0], "seed", "origin").Result()
	if err != nil {
		return "", fmt.Errorf("checkpoint: key: %w", err)
	}
	seed, _ := kept[0].(string)
	origin, _ := kept[1].(string)
	if origin == "" {
		return "", checkpoint.ErrNone
	}
	k, err := checkpoint.ParseKey([]byte(seed))
	if err != nil {
		return "", err
	}
	return k.Verifier(origin), nil
}

// Add stores a checkpoint that goes on from after.
func (s *Store) Add(ctx context.Context, c checkpoint.Checkpoint, after eventlog.Tree) error {
	made := c.Made.UnixMilli()
	hour := checkpoint.KeepAll.Milliseconds()
	size, root := "", ""
	if after != (eventlog.Tree{}) {
		size, root = number(after.Size), hex.EncodeToString(after.Root[:])
	}
	answer, err := s.db.Write(ctx, s.scripts.add, s.keys, number(c.Size), hex.EncodeToString(c.Root[:]), made, c.Text, c.Origin,
		size, root, made-made%hour, made-hour)
	if err == nil {
		switch answer {
		case "ok":
			return nil
		case "fork":
			err = fmt.Errorf("%w (%d)", checkpoint.ErrFork, c.Size)
		case "behind":
			err = checkpoint.ErrBehind
		default:
			err = fmt.Errorf("the server answered %T", answer)
		}
	}
	return fmt.Errorf("checkpoint: store: %w", err)
}

// Last returns the one of the largest tree.
func (s *Store) Last(ctx context.Context) (checkpoint.Checkpoint, error) {
	return s.one(ctx, "last", "")
}

// At returns the one of a size.
func (s *Store) At(ctx context.Context, size uint64) (checkpoint.Checkpoint, error) {
	return s.one(ctx, "at", number(size))
}

// Cosigned returns the latest that a witness has cosigned.
func (s *Store) Cosigned(ctx context.Context, witness string) (checkpoint.Checkpoint, error) {
	return s.one(ctx, "cosigned", witness)
}

// one returns a checkpoint with its cosignatures.
func (s *Store) one(ctx context.Context, how, what string) (checkpoint.Checkpoint, error) {
	answer, err := s.db.Run(ctx, s.scripts.read, s.keys, how, what)
	if err != nil {
		return checkpoint.Checkpoint{}, fmt.Errorf("checkpoint: read: %w", err)
	}
	parts, _ := answer.([]any)
	if len(parts) == 0 {
		return checkpoint.Checkpoint{}, checkpoint.ErrNone
	}
	text := make([]string, 3) // size, checkpoint, cosignatures
	for i := range min(len(parts), len(text)) {
		text[i], _ = parts[i].(string)
	}
	c, err := decode(text[0], text[1])
	if err != nil {
		return c, err
	}
	var lines map[string]string
	if text[2] != "" && json.Unmarshal([]byte(text[2]), &lines) != nil {
		return c, fmt.Errorf("checkpoint: read: the cosignatures of %d cannot be read", c.Size)
	}
	for _, by := range slices.Sorted(maps.Keys(lines)) {
		c.Text = append(c.Text, lines[by]...)
	}
	return c, nil
}

// All returns up to max whose size is at least from, smallest first.
func (s *Store) All(ctx context.Context, from uint64, max int) ([]checkpoint.Checkpoint, error) {
	max = min(max, checkpoint.MaxPage)
	if max <= 0 {
		return nil, nil
	}
	sizes, err := s.db.Client().ZRangeByScore(ctx, s.keys[2], &redis.ZRangeBy{Min: number(from), Max: "+inf", Count: int64(max)}).Result()
	if err != nil {
		return nil, fmt.Errorf("checkpoint: read: %w", err)
	}
	var all []checkpoint.Checkpoint
	for part := range slices.Chunk(sizes, page) {
		texts, err := s.db.Client().HMGet(ctx, s.keys[1], part...).Result()
		if err != nil {
			return nil, fmt.Errorf("checkpoint: read: %w", err)
		}
		for i, text := range texts {
			text, there := text.(string)
			if !there {
				continue // let go since the sizes were read
			}
			c, err := decode(part[i], text)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// Cosign stores a witness's signature line.
func (s *Store) Cosign(ctx context.Context, size uint64, witness string, keyHash uint32, line string) error {
	// Sizes sort as text in the index of witnesses.
	member := fmt.Sprintf("%s\n%020d\n%08x", witness, size, keyHash)
	by := fmt.Sprintf("%s\n%08x", witness, keyHash)
	answer, err := s.db.Write(ctx, s.scripts.cosign, s.keys, number(size), by, line, member)
	if err == nil && answer != "ok" {
		err = checkpoint.ErrNone
	}
	if err != nil {
		return fmt.Errorf("checkpoint: cosign: %w", err)
	}
	return nil
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// decode reads a checkpoint: when it was made, whether it is kept, its root, its text.
func decode(size, text string) (checkpoint.Checkpoint, error) {
	var c checkpoint.Checkpoint
	words, note, _ := strings.Cut(text, "\n")
	parts := strings.Fields(words)
	if len(parts) != 3 {
		return c, fmt.Errorf("checkpoint: read: that of %s cannot be read", size)
	}
	n, sizeErr := strconv.ParseUint(size, 10, 64)
	made, madeErr := strconv.ParseInt(parts[0], 10, 64)
	root, rootErr := hex.DecodeString(parts[2])
	if err := errors.Join(sizeErr, madeErr, rootErr); err != nil || len(root) != eventlog.HashSize {
		return c, fmt.Errorf("checkpoint: read: that of %s cannot be read", size)
	}
	c.Size, c.Root, c.Made, c.Text = n, eventlog.Hash(root), time.UnixMilli(made).UTC(), []byte(note)
	c.Origin, _, _ = strings.Cut(note, "\n")
	return c, nil
}

// ImportKey makes k the key.
func (s *Store) ImportKey(ctx context.Context, k checkpoint.Key) error {
	answer, err := s.db.Write(ctx, s.scripts.key, s.keys, k.Stored())
	if err != nil {
		return fmt.Errorf("checkpoint: key: %w", err)
	}
	if parts, _ := answer.([]any); len(parts) != 2 || parts[0] != string(k.Stored()) {
		return checkpoint.ErrOtherKey
	}
	return nil
}
