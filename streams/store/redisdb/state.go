package redisdb

import (
	"context"
	"time"
)

// State is how it stands with the connections to the server, for metrics.
type State struct {
	// Err is why it does not answer; nil: it does, and Took says how fast.
	Err  error
	Took time.Duration
	// Idle and Used are connections; Timeouts counts calls that waited in vain for one.
	Idle, Used, Timeouts uint32
}

// State asks the server, or one of a cluster, whether it is there, once.
func (db *DB) State(ctx context.Context) State {
	began := time.Now()
	err := db.client.Ping(ctx).Err()
	pool := db.client.PoolStats()
	return State{
		Err: err, Took: time.Since(began),
		Idle: pool.IdleConns, Used: pool.TotalConns - pool.IdleConns, Timeouts: pool.Timeouts,
	}
}
