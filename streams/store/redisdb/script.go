package redisdb

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// MaxCalls is how many calls of a WriteMany are sent in one exchange; what is beyond it
// follows in further ones.
const MaxCalls = 256

// WhenFull begins a script that is carried out though the server's memory is full
// (maxmemory): one that makes room in the end, or without which nothing would.
const WhenFull = "#!lua flags=allow-oom\n"

// Call is a script on keys (at least one, all of one slot). It may be sent again where an
// answer is lost, or the server fails over: it must come to the same then.
type Call struct {
	Script *redis.Script
	Keys   []string
	Args   []any
}

// Answer is what came of a Call: the script's answer, or an error.
type Answer struct {
	Value any
	Err   error
}

// Run runs a script, and tries again for Config.Patience while the server is away, or
// fails over. Errors: [ErrAway], [ErrReplicas] where the server itself asks for them
// (min-replicas-to-write); redis.Nil if the script's answer is nil; what the script says.
func (db *DB) Run(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	a := db.run(ctx, []Call{{script, keys, args}}, false)[0]
	return a.Value, a.Err
}

// Write is Run, and waits for the configured replicas (and the disk, where Durable): once
// for all that the script wrote, and everything before it. The script must write, also
// when it is repeated, or there is nothing to be acknowledged. Error: [ErrReplicas].
func (db *DB) Write(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	a := db.run(ctx, []Call{{script, keys, args}}, true)[0]
	return a.Value, a.Err
}

// WriteMany is Write for several calls, of any slots: one exchange with each server, and
// one wait for its replicas. answers[i] is that of calls[i]. The calls must not depend on
// each other: some may be sent again when others are done.
func (db *DB) WriteMany(ctx context.Context, calls []Call) (answers []Answer) {
	answers = make([]Answer, 0, len(calls))
	for chunk := range slices.Chunk(calls, MaxCalls) {
		answers = append(answers, db.run(ctx, chunk, true)...)
	}
	return answers
}

// waits says whether writes are waited for.
func (db *DB) waits() bool { return db.cfg.Replicas > 0 || db.cfg.Durable && db.knowsDisk.Load() }
