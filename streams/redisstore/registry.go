package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Create implements [streams.Registry]. A place is reserved with the owner, then the
// stream is created in its partition. A process that ends between the two leaves a
// reservation that is found and dropped after reservationLife; until then the place counts.
// After redisdb.ErrReplicas the stream may be there: the server itself has it.
func (s *Store) Create(ctx context.Context, in streams.Stream, limit int) error {
	cfg := in.Clone()
	document, err := form.EncodeStream(&cfg)
	if err != nil {
		return fmt.Errorf("redisstore: create: %w", err)
	}
	facts, err := factsOf(&cfg)
	if err != nil {
		return err
	}
	at, err := s.reserve(ctx, cfg.Owner, cfg.ID, limit)
	if err != nil {
		return err
	}
	r := of(cfg.ID)
	r.durable = true
	args := append([]any{
		cfg.ID, cfg.Owner, digestOf(cfg.ID), rand.Text(), at, (reservationLife - reservationMargin).Milliseconds(), document,
	}, facts.args(form.Nanos(cfg.Active))...)
	answer, err := s.call(ctx, r, s.scripts.create, args...)
	if err != nil {
		return err // it may have been created: the reservation tells, in time
	}
	switch redisdb.Text(answer) {
	case "ok":
		s.waits.ring(r.part, cfg.ID)
		return nil
	case "exists":
		// The place is that of another stream's if the owner has the stream.
		if other, err := s.Stream(ctx, cfg.ID); err == nil && other.Owner == cfg.Owner {
			return streams.ErrExists
		}
		return errors.Join(streams.ErrExists, s.unreserve(ctx, cfg.Owner, cfg.ID, at))
	case "late":
		return errors.Join(errors.New("redisstore: create: the server was too slow; try again"), s.unreserve(ctx, cfg.Owner, cfg.ID, at))
	}
	return redisdb.ErrAnswer
}

// Stream implements [streams.Registry].
func (s *Store) Stream(ctx context.Context, id string) (streams.Stream, error) {
	v, err := s.version(ctx, of(id), id)
	return v.Stream, err
}

// version is a stream as it is kept.
type version struct {
	streams.Stream
	number string // rises with each update
	call   string // that made it: a failover may give a number anew
	health []byte // empty: healthy
}

func (s *Store) version(ctx context.Context, r request, id string) (version, error) {
	answer, err := s.call(ctx, r, s.scripts.stream, id)
	if err != nil {
		return version{}, err
	}
	return s.versionOf(id, answer)
}

// versionOf reads what lua/stream.lua answers. Activity may be known here alone.
func (s *Store) versionOf(id string, answer any) (version, error) {
	list, err := streamAnswer(answer)
	if err != nil {
		return version{}, err
	}
	if len(list) != 5 {
		return version{}, redisdb.ErrAnswer
	}
	v := version{number: redisdb.Text(list[0]), health: []byte(redisdb.Text(list[3])), call: redisdb.Text(list[4])}
	if v.Stream, err = form.DecodeStream([]byte(redisdb.Text(list[2]))); err != nil {
		return v, fmt.Errorf("redisstore: stream: %w", err)
	}
	v.Active = form.Instant(max(redisdb.Number(list[1]), s.activity.of(id)))
	return v, nil
}

// key is the key of a kind that a stream has.
func (s *Store) key(part int, kind, id string) string {
	return s.partKey(part, kind) + ":" + id
}

// partKey is a key of a partition.
func (s *Store) partKey(part int, kind string) string {
	return fmt.Sprintf("%s:{p%02d}:%s", s.db.Prefix(), part, kind)
}

// Delete implements [streams.Registry].
func (s *Store) Delete(ctx context.Context, id string) error {
	r := of(id)
	r.once, r.durable = true, true
	answer, err := s.call(ctx, r, s.scripts.remove, id, digestOf(id))
	if err != nil {
		return err
	}
	owner := redisdb.Text(answer)
	s.activity.forget(id)
	s.waits.ring(r.part, id)
	if owner == "none" {
		return streams.ErrNotFound
	}
	return errors.Join(s.unreserve(ctx, owner, id, "0"), s.sweep(ctx, r.part))
}

// Owners implements [streams.Registry].
func (s *Store) Owners(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	var cmds [streams.Partitions]*redis.StringSliceCmd
	for n := range cmds {
		cmds[n] = pipe.HKeys(ctx, s.partKey(n, "owners"))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, failure(ctx, err)
	}
	var owners []string
	seen := make(map[string]bool)
	for _, cmd := range cmds {
		for _, owner := range cmd.Val() {
			if !seen[owner] {
				seen[owner] = true
				owners = append(owners, owner)
			}
		}
	}
	return owners, nil
}

// Inactive implements [streams.Registry]. The activity that other processes still keep in
// memory is not seen: they save it within activityDelay (streams.ActivityLag).
func (s *Store) Inactive(ctx context.Context, now time.Time, max int) ([]string, error) {
	if err := s.saveActivity(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	var cmds [streams.Partitions]*redis.StringSliceCmd
	for n := range cmds {
		cmds[n] = pipe.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: s.partKey(n, "idle"), ByScore: true, Start: "-inf", Stop: now.UnixMilli(), Count: int64(max),
		})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, failure(ctx, err)
	}
	var ids []string
	for _, cmd := range cmds {
		ids = append(ids, cmd.Val()...)
	}
	return ids[:min(max, len(ids))], nil
}
