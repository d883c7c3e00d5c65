package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Bounds of one script: it blocks the server.
const (
	maxBatch      = 256
	maxBatchBytes = 1 << 20
)

// maxSeq is the highest sequence number and epoch: scripts count in doubles.
const maxSeq = 1<<53 - 1

var errRange = errors.New("redisstore: number out of range")

// request says how a script is called.
type request struct {
	part    int
	token   uint64  // of who holds the partition; 0: anybody may call
	ledger  *ledger // the holder's; nil: it has none
	once    bool    // a repeat would do harm: it gets the answer again
	id      string  // of the call, where it is once; empty: it gets one
	durable bool    // replicas have it on return
}

// of returns the request for a stream.
func of(stream string) request { return request{part: streams.PartitionOf(stream)} }

// call runs a script in a partition.
func (s *Store) call(ctx context.Context, r request, script *redis.Script, own ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	run := s.db.Run
	if r.durable {
		run = s.db.Write
	}
	answer, err := run(ctx, script, []string{s.leases[r.part]}, s.args(r, own)...)
	if redis.HasErrorPrefix(err, "WENTBACK") && r.ledger != nil {
		r.ledger.lost()
	}
	if err != nil {
		return nil, failure(ctx, err)
	}
	return answer, nil
}

// args are those of lua/head.lua, and the script's own.
func (s *Store) args(r request, own []any) []any {
	args := make([]any, 5, 5+len(own))
	for i := range args {
		args[i] = ""
	}
	if s.cfg.Now != nil {
		now := s.cfg.Now().UnixNano()
		args[0] = strconv.FormatInt(now/1000, 10)
		args[1] = strconv.FormatInt((now+999_999)/1_000_000, 10)
	}
	if r.once {
		if args[2] = r.id; r.id == "" {
			args[2] = rand.Text()
		}
	}
	args[4] = s.marks[r.part]
	if r.token != 0 {
		token := strconv.FormatUint(r.token, 10)
		args[3], args[4] = fmt.Sprintf("%s %d", token, r.ledger.known()), "t"+token
	}
	return append(args, own...)
}

// each runs a script in every partition, in one exchange, and calls fn with the answers.
func (s *Store) each(ctx context.Context, script *redis.Script, own []any, fn func(part int, answer any) error) error {
	requests := make([]request, streams.Partitions)
	for n := range requests {
		requests[n].part = n
	}
	return s.pipeline(ctx, script, requests, func(int) []any { return own }, fn)
}

// pipeline runs a script for each request, in one exchange, and calls fn with the answers.
func (s *Store) pipeline(ctx context.Context, script *redis.Script, requests []request, own func(i int) []any, fn func(i int, answer any) error) error {
	inner, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pipe := s.db.Client().Pipeline()
	cmds := make([]*redis.Cmd, len(requests))
	for i, r := range requests {
		cmds[i] = script.EvalSha(inner, pipe, []string{s.leases[r.part]}, s.args(r, own(i))...)
	}
	_, _ = pipe.Exec(inner) // each has its own error
	for i, cmd := range cmds {
		answer, err := cmd.Result()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			answer, err = s.call(ctx, requests[i], script, own(i)...)
		} else if err != nil {
			err = failure(inner, err)
		}
		if err != nil {
			return err
		}
		if err := fn(i, answer); err != nil {
			return err
		}
	}
	return nil
}

// failure wraps a failure of the server.
func failure(ctx context.Context, err error) error {
	switch {
	case redis.HasErrorPrefix(err, "NOTHELD"), redis.HasErrorPrefix(err, "WENTBACK"):
		return streams.ErrNotHeld
	case ctx.Err() != nil:
		return fmt.Errorf("redisstore: %w: %w", ctx.Err(), err)
	}
	return fmt.Errorf("redisstore: %w", err)
}

// streamAnswer returns the list that a script answered about a stream, which says none if
// there is no such stream.
func streamAnswer(v any) ([]any, error) {
	if redisdb.Text(v) == "none" {
		return nil, streams.ErrNotFound
	}
	return redisdb.List(v)
}

// millis returns d in whole milliseconds, rounded up.
func millis(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// clock returns the time by which callers reckon.
func (s *Store) clock() time.Time {
	if s.cfg.Now != nil {
		return s.cfg.Now()
	}
	return time.Now()
}
