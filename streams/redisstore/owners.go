package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// reservationLife is how long a place with an owner counts before the stream is there. One
// that is older and without a stream was left by a process that ended; nothing is created
// on it any more, by a margin for the clocks of two servers of a cluster.
const (
	reservationLife   = time.Minute
	reservationMargin = 15 * time.Second
)

// digestOf names an owner, or an id that was used, in 22 characters.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (s *Store) ownerKey(owner string) string {
	return s.db.Prefix() + ":{owner-" + digestOf(owner) + "}:streams"
}

// reserve keeps a place for a stream of owner and returns when, or ErrConflict.
func (s *Store) reserve(ctx context.Context, owner, id string, limit int) (string, error) {
	for again := true; ; again = false {
		answer, err := s.ownerScript(ctx, s.scripts.reserve, owner, id, limit)
		if err != nil {
			return "", err
		}
		list, err := redisdb.List(answer)
		if err != nil || len(list) == 0 {
			return "", redisdb.ErrAnswer
		}
		if at := redisdb.Text(list[0]); at != "0" {
			return at, nil
		}
		if len(list)%2 != 0 {
			return "", redisdb.ErrAnswer
		}
		dropped := false
		if again { // some may be left from processes that ended
			dropped, err = s.dropStale(ctx, owner, redisdb.Number(list[1]), list[2:])
		}
		if err != nil || !dropped {
			return "", errors.Join(streams.ErrConflict, err)
		}
	}
}

// dropStale drops the places that have no stream although they are old. places are ids
// and times in turn, now is the server's time in milliseconds.
func (s *Store) dropStale(ctx context.Context, owner string, now int64, places []any) (bool, error) {
	var stale []any
	var ids []string
	for i := 0; i+1 < len(places); i += 2 {
		if now-redisdb.Number(places[i+1]) > reservationLife.Milliseconds() {
			ids, stale = append(ids, redisdb.Text(places[i])), append(stale, places[i], places[i+1])
		}
	}
	_, missing, err := s.readAll(ctx, ids)
	if err != nil {
		return false, err
	}
	var args []any
	for _, i := range missing {
		args = append(args, stale[2*i], stale[2*i+1])
	}
	if len(args) == 0 {
		return false, nil
	}
	_, err = s.ownerScript(ctx, s.scripts.unreserve, owner, args...)
	return err == nil, err
}

// unreserve gives a place back; at is when it was reserved, "0" whenever it was.
func (s *Store) unreserve(ctx context.Context, owner, id, at string) error {
	_, err := s.ownerScript(ctx, s.scripts.unreserve, owner, id, at)
	return err
}

func (s *Store) ownerScript(ctx context.Context, script *redis.Script, owner string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	answer, err := s.db.Write(ctx, script, []string{s.ownerKey(owner)}, args...)
	if err != nil {
		return nil, failure(ctx, err)
	}
	return answer, nil
}

// Streams implements [streams.Registry].
func (s *Store) Streams(ctx context.Context, owner string) ([]streams.Stream, error) {
	inner, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	ids, err := s.db.Client().ZRange(inner, s.ownerKey(owner), 0, -1).Result()
	if err != nil {
		return nil, failure(inner, err)
	}
	list, _, err := s.readAll(ctx, ids)
	return list, err
}

// readAll reads streams, in parts, and returns those that there are, and the indexes of the
// ids of the others.
func (s *Store) readAll(ctx context.Context, ids []string) (list []streams.Stream, missing []int, err error) {
	for begin := 0; begin < len(ids); begin += maxBatch {
		part := ids[begin:min(begin+maxBatch, len(ids))]
		requests := make([]request, len(part))
		for i, id := range part {
			requests[i] = of(id)
		}
		err := s.pipeline(ctx, s.scripts.stream, requests, func(i int) []any { return []any{part[i]} }, func(i int, answer any) error {
			switch v, err := s.versionOf(part[i], answer); {
			case errors.Is(err, streams.ErrNotFound):
				missing = append(missing, begin+i)
			case err != nil:
				return err
			default:
				list = append(list, v.Stream)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return list, missing, nil
}
