package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// milliseconds is the smallest number that is taken for a time in milliseconds.
const milliseconds = 100_000_000_000

// removeOld removes the keys whose sessions began at or before the event, and reports
// which those are.
func (r *run) removeOld(ctx context.Context, keys []string) ([]bool, error) {
	old, err := r.old(ctx, keys)
	if err != nil {
		return nil, err
	}
	var ending []string
	for i, key := range keys {
		if old[i] {
			ending = append(ending, key)
		}
	}
	return old, r.remove(ctx, ending)
}

// remove removes keys, one command each so that they may be anywhere in a cluster, and
// counts those that were there.
func (r *run) remove(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	pipe := r.client.Pipeline()
	counts := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		if r.dry {
			counts[i] = pipe.Exists(ctx, key)
		} else {
			counts[i] = pipe.Unlink(ctx, key)
		}
	}
	_, err := pipe.Exec(ctx)
	for _, c := range counts {
		if c.Err() == nil {
			r.ended.Add(c.Val())
		}
	}
	return err
}

// old reports for each key whether its session began at or before the event. One whose
// begin cannot be told is old.
func (r *run) old(ctx context.Context, keys []string) ([]bool, error) {
	old := make([]bool, len(keys))
	for i := range old {
		old[i] = true
	}
	if len(keys) == 0 || r.cfg.BegunField == "" && r.cfg.Lifetime == 0 {
		return old, nil
	}
	pipe := r.client.Pipeline()
	fields, lives := make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	for i, key := range keys {
		if r.cfg.BegunField != "" {
			fields[i] = pipe.HGet(ctx, key, r.cfg.BegunField)
		} else {
			lives[i] = pipe.PTTL(ctx, key)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !unreadable(err) {
		return nil, err
	}
	now := time.Now()
	for i := range keys {
		begun, err := r.begun(fields[i], lives[i], now)
		if err != nil {
			return nil, err
		}
		old[i] = !begun.After(r.until) // the zero time is old
	}
	return old, nil
}

// begun returns when a session began, zero if it cannot be told.
func (r *run) begun(field *redis.StringCmd, life *redis.DurationCmd, now time.Time) (time.Time, error) {
	if field == nil {
		left, err := life.Result()
		if err != nil || left <= 0 { // it is gone, or lives for ever
			return time.Time{}, err
		}
		return now.Add(left - r.cfg.Lifetime), nil
	}
	text, err := field.Result()
	if err != nil && !unreadable(err) {
		return time.Time{}, err
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return time.Time{}, nil
	case n >= milliseconds:
		return time.UnixMilli(int64(n)), nil
	}
	return time.UnixMicro(int64(n * 1e6)), nil
}

// unreadable reports whether a key has no such field, or is no hash.
func unreadable(err error) bool {
	return errors.Is(err, redis.Nil) || strings.HasPrefix(err.Error(), "WRONGTYPE")
}
