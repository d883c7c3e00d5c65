package redisdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// attempts is how often a write is sent where the script is not loaded yet, or its slot
// has moved meanwhile.
const attempts = 4

// Run runs a script on keys (at least one, all of one slot). The client may send it
// again where an answer is lost: it must come to the same then.
func (db *DB) Run(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	answer, err := script.Run(ctx, db.client, keys, args...).Result()
	if err != nil {
		return nil, fmt.Errorf("redisdb: %w", err)
	}
	return answer, nil
}

// Write is Run, and waits for the configured replicas: once for all that the script
// wrote, and everything before it. The script must write, also when it is repeated, or
// there is nothing to be acknowledged. Error: [ErrReplicas].
func (db *DB) Write(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	if db.cfg.Replicas == 0 {
		return db.Run(ctx, script, keys, args...)
	}
	var err error
	for range attempts {
		var answer any
		if answer, err = db.write(ctx, script, keys, args); err == nil {
			return answer, nil
		}
		switch {
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			err = db.load(ctx, script, keys[0])
		case redis.HasErrorPrefix(err, "MOVED"), redis.HasErrorPrefix(err, "ASK"), redis.HasErrorPrefix(err, "READONLY"):
			if cluster, ok := db.client.(*redis.ClusterClient); ok {
				cluster.ReloadState(ctx)
			}
			continue
		case errors.Is(err, ErrReplicas):
			return nil, err
		}
		if err != nil {
			break
		}
	}
	return nil, fmt.Errorf("redisdb: %w", err)
}

// write sends the script and the WAIT on one connection: WAIT is about what its own
// connection wrote.
func (db *DB) write(ctx context.Context, script *redis.Script, keys []string, args []any) (any, error) {
	node, err := db.node(ctx, keys[0])
	if err != nil {
		return nil, err
	}
	pipe := node.Pipeline()
	answer := script.EvalSha(ctx, pipe, keys, args...)
	acknowledged := pipe.Do(ctx, "WAIT", db.cfg.Replicas, db.cfg.ReplicaWait.Milliseconds())
	_, err = pipe.Exec(ctx)
	if answer.Err() != nil {
		return nil, answer.Err()
	}
	if err != nil {
		return nil, err
	}
	n, err := acknowledged.Int()
	if err != nil {
		return nil, err
	}
	if n < db.cfg.Replicas {
		return nil, fmt.Errorf("%w: %d of %d within %v", ErrReplicas, n, db.cfg.Replicas, db.cfg.ReplicaWait)
	}
	return answer.Val(), nil
}

func (db *DB) load(ctx context.Context, script *redis.Script, key string) error {
	node, err := db.node(ctx, key)
	if err != nil {
		return err
	}
	return script.Load(ctx, node).Err()
}

// node is who has the key: in a cluster its master.
func (db *DB) node(ctx context.Context, key string) (redis.UniversalClient, error) {
	if cluster, ok := db.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return db.client, nil
}
