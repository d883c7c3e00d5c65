package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// scanPage is how many members of a set, or fields of a hash, are read at a time.
const scanPage = 256

// Pointing implements [streams.Eraser].
func (s *Store) Pointing(ctx context.Context, records []uint64, max int) (queued, dead []streams.Item, err error) {
	if len(records) == 0 || max < 1 {
		return nil, nil, ctx.Err()
	}
	wanted := make(map[uint64]bool, len(records))
	for _, seq := range records {
		wanted[seq] = true
	}
	filled, err := s.members(ctx, "depths")
	if err != nil {
		return nil, nil, err
	}
	if queued, err = s.pointing(ctx, slices.Concat(filled[:]...), records, max); err != nil {
		return nil, nil, err
	}
	with, err := s.members(ctx, "deads")
	if err != nil {
		return nil, nil, err
	}
	for _, ids := range with {
		for _, id := range ids {
			if dead, err = s.deadPointing(ctx, id, wanted, max, dead); err != nil {
				return nil, nil, err
			}
		}
	}
	return queued, dead, nil
}

// members returns the streams in a sorted set of each partition.
func (s *Store) members(ctx context.Context, kind string) (all [streams.Partitions][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	var cmds [streams.Partitions]*redis.StringSliceCmd
	for n := range cmds {
		cmds[n] = pipe.ZRange(ctx, s.partKey(n, kind), 0, -1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return all, failure(ctx, err)
	}
	for n, cmd := range cmds {
		all[n] = cmd.Val()
	}
	return all, nil
}

// atOnce is how many queues are asked in one exchange for items that point at records.
const atOnce = 64

// pointing returns up to max items of queues that point at the records.
func (s *Store) pointing(ctx context.Context, ids []string, records []uint64, max int) (found []streams.Item, err error) {
	for some := range slices.Chunk(ids, atOnce) {
		requests := make([]request, len(some))
		for i, id := range some {
			requests[i] = of(id)
		}
		for batch := range slices.Chunk(records, maxBatch) {
			room := max - len(found)
			if room <= 0 {
				return found, nil
			}
			own := func(i int) []any {
				args := []any{some[i], room}
				for _, seq := range batch {
					args = append(args, seq)
				}
				return args
			}
			err := s.pipeline(ctx, s.scripts.pointing, requests, own, func(i int, answer any) error {
				items, err := itemsOf(some[i], answer)
				found = append(found, items[:min(len(items), max-len(found))]...)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// deadPointing appends the dead letters of a stream that point at the records.
func (s *Store) deadPointing(ctx context.Context, id string, wanted map[uint64]bool, max int, found []streams.Item) ([]streams.Item, error) {
	for after := ""; len(found) < max; {
		page, next, err := s.DeadLetters(ctx, id, after, maxBatch)
		if errors.Is(err, streams.ErrNotFound) {
			return found, nil // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		for i := range page {
			it := &page[i].Item
			if it.Lane == streams.LaneEvents && wanted[it.Event().Seq] && len(found) < max {
				found = append(found, *it)
			}
		}
		if next == "" {
			break
		}
		after = next
	}
	return found, nil
}

// Earliest implements [streams.Eraser].
func (s *Store) Earliest(ctx context.Context) (uint64, error) {
	var first int64
	filled, err := s.members(ctx, "depths")
	if err != nil {
		return 0, err
	}
	for n, ids := range filled {
		for len(ids) > 0 {
			batch := ids[:min(maxBatch, len(ids))]
			ids = ids[len(batch):]
			args := make([]any, len(batch))
			for i, id := range batch {
				args[i] = id
			}
			answer, err := s.call(ctx, request{part: n}, s.scripts.earliest, args...)
			if err != nil {
				return 0, err
			}
			if seq := redisdb.Number(answer); seq != 0 && (first == 0 || seq < first) {
				first = seq
			}
		}
	}
	return uint64(first), nil
}

// Forget implements [streams.Eraser]. There is no index by member: the subjects of all
// streams are looked at.
func (s *Store) Forget(ctx context.Context, owner string, id subject.Identifier) (int, error) {
	n := 0
	for part := range streams.Partitions {
		err := s.scan(ctx, s.partKey(part, "streams"), func(ids []string) error {
			for _, stream := range ids {
				if owner != "" {
					switch v, err := s.Stream(ctx, stream); {
					case errors.Is(err, streams.ErrNotFound) || err == nil && v.Owner != owner:
						continue
					case err != nil:
						return err
					}
				}
				erased, err := s.eraseSubjects(ctx, part, stream, func(sub subject.Identifier) bool { return sub.Contains(id) })
				if err != nil {
					return err
				}
				n += erased
			}
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// scan calls fn with the members of a set, in parts. Some may come twice.
func (s *Store) scan(ctx context.Context, key string, fn func([]string) error) error {
	for cursor := uint64(0); ; {
		inner, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		members, next, err := s.db.Client().SScan(inner, key, cursor, "", scanPage).Result()
		cancel()
		if err != nil {
			return failure(ctx, err)
		}
		if len(members) > 0 {
			if err := fn(members); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// eraseSubjects erases the subjects of a stream that are meant, and returns how many.
func (s *Store) eraseSubjects(ctx context.Context, part int, stream string, meant func(subject.Identifier) bool) (int, error) {
	n := 0
	err := s.scan(ctx, s.key(part, "subjects", stream), func(members []string) error {
		args, size := []any{stream}, 0
		flush := func() error {
			if size == 0 {
				return nil
			}
			answer, err := s.call(ctx, request{part: part, durable: true, once: true}, s.scripts.forget, args...)
			n += int(redisdb.Number(answer))
			args, size = []any{stream}, 0
			return err
		}
		for _, m := range members {
			id, err := subject.Parse([]byte(m[1:]))
			if err != nil {
				return fmt.Errorf("redisstore: a subject of stream %s: %w", stream, err)
			}
			if !meant(id) {
				continue
			}
			args = append(args, subjectArgs(id, m[:1])...)
			if size++; len(args) > 8*maxBatch { // a complex one has up to 255 keys
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return flush()
	})
	return n, err
}

// sweep erases the subjects that deleted streams of a partition have left, also those that
// a process which ended had to.
func (s *Store) sweep(ctx context.Context, part int) error {
	var ids []string
	err := s.scan(ctx, s.partKey(part, "gone"), func(some []string) error {
		ids = append(ids, some...)
		return nil
	})
	for _, id := range ids {
		if err == nil {
			_, err = s.eraseSubjects(ctx, part, id, func(subject.Identifier) bool { return true })
		}
		if err == nil { // also where there were none left
			_, err = s.call(ctx, request{part: part}, s.scripts.forget, id)
		}
	}
	return err
}
