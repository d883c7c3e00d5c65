package redisstore

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Cursor implements [streams.Cursors]: the least place of the follower in all partitions.
func (s *Store) Cursor(ctx context.Context, follower string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	var cmds [streams.Partitions]*redis.StringCmd
	for n := range cmds {
		cmds[n] = pipe.HGet(ctx, s.partKey(n, "cursors"), follower)
	}
	_, _ = pipe.Exec(ctx) // each has its own error
	var least uint64
	for n, cmd := range cmds {
		seq, err := placeOf(ctx, cmd)
		if err != nil {
			return 0, err
		}
		if n == 0 || seq < least {
			least = seq
		}
	}
	return least, nil
}

// CursorOf implements [streams.Shared].
func (s *Store) CursorOf(ctx context.Context, follower, stream string) (uint64, error) {
	return s.cursor(ctx, streams.PartitionOf(stream), follower)
}

func (s *Store) cursor(ctx context.Context, part int, follower string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return placeOf(ctx, s.db.Client().HGet(ctx, s.partKey(part, "cursors"), follower))
}

// placeOf reads a place, 0 if there is none.
func placeOf(ctx context.Context, cmd *redis.StringCmd) (uint64, error) {
	text, err := cmd.Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, failure(ctx, err)
	}
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, redisdb.ErrAnswer
	}
	return seq, nil
}

// SaveCursor implements [streams.Cursors]: in all partitions.
func (s *Store) SaveCursor(ctx context.Context, follower string, seq uint64) error {
	if seq > maxSeq {
		return errRange
	}
	return s.each(ctx, s.scripts.cursor, []any{follower, seq}, func(int, any) error { return nil })
}

// Highest implements [streams.Cursors]. It also counts what was deleted since.
func (s *Store) Highest(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	var cmds [streams.Partitions]*redis.StringCmd
	for n := range cmds {
		cmds[n] = pipe.HGet(ctx, s.partKey(n, "part"), "high")
	}
	_, _ = pipe.Exec(ctx) // each has its own error
	var highest uint64
	for _, cmd := range cmds {
		seq, err := placeOf(ctx, cmd)
		if err != nil {
			return 0, err
		}
		highest = max(highest, seq)
	}
	return highest, nil
}
