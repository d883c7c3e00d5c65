package redisstore

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// depthOf reads items, leased, dead and when the oldest was added.
func depthOf(list []any) streams.Depth {
	d := streams.Depth{Items: int(redisdb.Number(list[0])), Leased: int(redisdb.Number(list[1])), Dead: int(redisdb.Number(list[2]))}
	if at := redisdb.Text(list[3]); len(at) == 8 {
		d.Oldest = form.Instant(int64(binary.BigEndian.Uint64([]byte(at))))
	}
	return d
}

// Depth implements [streams.Queue].
func (s *Store) Depth(ctx context.Context, stream string) (streams.Depth, error) {
	return s.depth(ctx, of(stream), stream)
}

func (s *Store) depth(ctx context.Context, r request, stream string) (streams.Depth, error) {
	answer, err := s.call(ctx, r, s.scripts.depth, stream)
	if err != nil {
		return streams.Depth{}, err
	}
	list, err := streamAnswer(answer)
	if err != nil {
		return streams.Depth{}, err
	}
	if len(list) != 4 {
		return streams.Depth{}, redisdb.ErrAnswer
	}
	return depthOf(list), nil
}

// Depths implements [streams.Queue]. Counts are kept by partition.
func (s *Store) Depths(ctx context.Context, max int) (streams.Depth, map[string]streams.Depth, error) {
	var total streams.Depth
	all := make(map[string]streams.Depth)
	var ids []string
	err := s.each(ctx, s.scripts.depths, []any{max}, func(_ int, answer any) error {
		list, err := redisdb.List(answer)
		if err != nil || len(list)%5 != 4 {
			return redisdb.ErrAnswer
		}
		d := depthOf(list)
		total.Items, total.Leased, total.Dead = total.Items+d.Items, total.Leased+d.Leased, total.Dead+d.Dead
		if !d.Oldest.IsZero() && (total.Oldest.IsZero() || d.Oldest.Before(total.Oldest)) {
			total.Oldest = d.Oldest
		}
		for i := 4; i < len(list); i += 5 {
			id := redisdb.Text(list[i])
			all[id], ids = depthOf(list[i+1:]), append(ids, id)
		}
		return nil
	})
	if err != nil {
		return streams.Depth{}, nil, err
	}
	slices.SortFunc(ids, func(a, b string) int { return all[b].Items - all[a].Items })
	for _, id := range ids[min(max, len(ids)):] {
		delete(all, id)
	}
	return total, all, nil
}

// Purge implements [streams.Queue].
func (s *Store) Purge(ctx context.Context, stream string) (int, error) {
	r := of(stream)
	r.once, r.durable = true, true
	answer, err := s.call(ctx, r, s.scripts.purge, stream)
	if err != nil {
		return 0, err
	}
	if redisdb.Text(answer) == "none" {
		return 0, streams.ErrNotFound
	}
	return int(redisdb.Number(answer)), nil
}

// Expire implements [streams.Queue]. Events of a queue expire in their order: one that was
// added before an earlier one, by the clock of another process, waits for it.
func (s *Store) Expire(ctx context.Context, before time.Time, max int) (map[string]int, error) {
	expired := make(map[string]int)
	parts, err := s.aged(ctx, before)
	if err != nil {
		return nil, err
	}
	for _, n := range parts {
		for again := true; again && max > 0; {
			some, err := s.expire(ctx, n, before, min(max, maxBatch))
			if err != nil {
				return expired, err
			}
			again = false
			for id, k := range some {
				expired[id] += k
				max -= k
				again = true
			}
		}
	}
	return expired, nil
}

// aged returns the partitions that have an item that was added before.
func (s *Store) aged(ctx context.Context, before time.Time) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	var cmds [streams.Partitions]*redis.StringSliceCmd
	for n := range cmds {
		cmds[n] = pipe.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: s.partKey(n, "ages"), ByScore: true, Start: "-inf", Stop: "(" + strconv.FormatInt(form.Nanos(before), 10), Count: 1,
		})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, failure(ctx, err)
	}
	var parts []int
	for n, cmd := range cmds {
		if len(cmd.Val()) > 0 {
			parts = append(parts, n)
		}
	}
	return parts, nil
}

func (s *Store) expire(ctx context.Context, part int, before time.Time, max int) (map[string]int, error) {
	answer, err := s.call(ctx, request{part: part, once: true}, s.scripts.expire, strconv.FormatInt(form.Nanos(before), 10), max)
	if err != nil {
		return nil, err
	}
	list, err := redisdb.List(answer)
	if err != nil || len(list)%2 != 0 {
		return nil, redisdb.ErrAnswer
	}
	some := make(map[string]int, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		some[redisdb.Text(list[i])] += int(redisdb.Number(list[i+1]))
	}
	return some, nil
}
