package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

var _ streams.Batcher = (*Store)(nil)

// StreamsOf implements [streams.Batcher]: an exchange for the owners and one for the
// streams, for each maxBatch of them.
func (s *Store) StreamsOf(ctx context.Context, owners []string) (all []streams.Stream, err error) {
	for begin := 0; begin < len(owners); begin += maxBatch {
		ids, err := s.owned(ctx, owners[begin:min(begin+maxBatch, len(owners))])
		if err != nil {
			return nil, err
		}
		list, _, err := s.readAll(ctx, ids)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// owned returns the ids of the streams of owners, owner by owner, in one exchange.
func (s *Store) owned(ctx context.Context, owners []string) (ids []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	cmds := make([]*redis.StringSliceCmd, len(owners))
	for i, owner := range owners {
		cmds[i] = pipe.ZRange(ctx, s.ownerKey(owner), 0, -1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, failure(ctx, err)
	}
	for _, cmd := range cmds {
		ids = append(ids, cmd.Val()...)
	}
	return ids, nil
}

// Standings implements [streams.Batcher]: two exchanges for each maxBatch of streams.
func (s *Store) Standings(ctx context.Context, ids []string) ([]*streams.Standing, error) {
	all := make([]*streams.Standing, len(ids))
	for begin := 0; begin < len(ids); begin += maxBatch {
		end := min(begin+maxBatch, len(ids))
		if err := s.standings(ctx, ids[begin:end], all[begin:end]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *Store) standings(ctx context.Context, ids []string, all []*streams.Standing) error {
	requests := make([]request, len(ids))
	for i, id := range ids {
		requests[i] = of(id)
	}
	own := func(i int) []any { return []any{ids[i]} }
	err := s.pipeline(ctx, s.scripts.depth, requests, own, func(i int, answer any) error {
		list, err := streamAnswer(answer)
		if errors.Is(err, streams.ErrNotFound) {
			return nil
		}
		if err == nil && len(list) != 4 {
			err = redisdb.ErrAnswer
		}
		if err != nil {
			return err
		}
		all[i] = &streams.Standing{Depth: depthOf(list)}
		return nil
	})
	if err != nil {
		return err
	}
	return s.pipeline(ctx, s.scripts.stream, requests, own, func(i int, answer any) error {
		v, err := s.versionOf(ids[i], answer)
		if errors.Is(err, streams.ErrNotFound) {
			all[i] = nil // deleted meanwhile
			return nil
		}
		if err != nil || all[i] == nil {
			return err
		}
		if all[i].Stream = v.Stream; len(v.health) == 0 {
			return nil
		}
		if err := json.Unmarshal(v.health, &all[i].Health); err != nil {
			return fmt.Errorf("redisstore: health: %w", err)
		}
		return nil
	})
}
