package redisdb

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// exchange sends calls, those of one server together. Where wait is, each server is asked
// for its replicas on the connection that wrote: WAIT is about what that wrote.
func (db *DB) exchange(ctx context.Context, calls []*pending, wait bool) {
	cluster, ok := db.client.(*redis.ClusterClient)
	if !ok || !wait { // a cluster's client finds the nodes by itself
		db.send(ctx, db.client, calls, wait)
		return
	}
	nodes := make(map[*redis.Client][]*pending)
	for _, p := range calls {
		node, err := db.nodeOf(ctx, cluster, p)
		if err != nil {
			p.Answer = Answer{Err: err}
			continue
		}
		nodes[node] = append(nodes[node], p)
	}
	var group sync.WaitGroup
	for node, calls := range nodes {
		group.Go(func() { db.send(ctx, node, calls, wait) })
	}
	group.Wait()
}

// nodeOf returns who has the call's slot, or gets it at present.
func (db *DB) nodeOf(ctx context.Context, cluster *redis.ClusterClient, p *pending) (*redis.Client, error) {
	if p.asking != "" {
		var mu sync.Mutex
		var found *redis.Client
		err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			if node.Options().Addr == p.asking {
				mu.Lock()
				defer mu.Unlock()
				found = node
			}
			return nil
		})
		if found != nil || err != nil {
			return found, err
		}
		p.asking = "" // a node without slots; it has this one soon
	}
	return cluster.MasterForKey(ctx, p.Keys[0])
}

// reload has a cluster's client look for who has which slot.
func (db *DB) reload(ctx context.Context) {
	if cluster, ok := db.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(ctx)
	}
}

// send sends calls to one server and takes their answers.
func (db *DB) send(ctx context.Context, node redis.UniversalClient, calls []*pending, wait bool) {
	if len(calls) == 1 && !wait {
		calls[0].take(calls[0].command(ctx, node), nil)
		return
	}
	pipe := node.Pipeline()
	commands := make([]*redis.Cmd, len(calls))
	for i, p := range calls {
		if p.asking != "" {
			pipe.Do(ctx, "ASKING")
		}
		commands[i] = p.command(ctx, pipe)
	}
	var waited *redis.Cmd
	disk := db.cfg.Durable && db.knowsDisk.Load()
	switch ms := db.cfg.ReplicaWait.Milliseconds(); {
	case wait && disk:
		waited = pipe.Do(ctx, "WAITAOF", 1, db.cfg.Replicas, ms)
	case wait:
		waited = pipe.Do(ctx, "WAIT", db.cfg.Replicas, ms)
	}
	_, err := pipe.Exec(ctx)
	for _, c := range commands {
		if c.Err() != nil {
			err = nil // each has its own
		}
	}
	if waited != nil && err == nil {
		err = db.acknowledged(waited, disk)
	}
	for i, p := range calls {
		p.take(commands[i], err)
	}
}

// command sends the call, or adds it to a pipeline.
func (p *pending) command(ctx context.Context, to redis.Scripter) *redis.Cmd {
	if p.text {
		return p.Script.Eval(ctx, to, p.Keys, p.Args...)
	}
	return p.Script.EvalSha(ctx, to, p.Keys, p.Args...)
}

// take takes the answer of the script, and what went wrong beside it.
func (p *pending) take(answer *redis.Cmd, err error) {
	p.Answer = Answer{answer.Val(), answer.Err()}
	if err != nil && (p.Err == nil || p.Err == redis.Nil) { //nolint:errorlint // as it is, an answer
		p.Answer = Answer{Err: err}
	}
}

// acknowledged reads the answer of WAIT, or WAITAOF.
func (db *DB) acknowledged(waited *redis.Cmd, disk bool) error {
	if !disk {
		n, err := waited.Int()
		if err == nil && n < db.cfg.Replicas {
			err = fmt.Errorf("%w: %d of %d within %v", ErrReplicas, n, db.cfg.Replicas, db.cfg.ReplicaWait)
		}
		return err
	}
	counts, err := waited.Int64Slice()
	switch {
	case err != nil:
		return err
	case len(counts) != 2:
		return fmt.Errorf("got %d answers of WAITAOF, want 2", len(counts))
	case counts[0] < 1:
		return fmt.Errorf("%w: not on its own disk within %v", ErrReplicas, db.cfg.ReplicaWait)
	case counts[1] < int64(db.cfg.Replicas):
		return fmt.Errorf("%w: on the disks of %d of %d within %v", ErrReplicas, counts[1], db.cfg.Replicas, db.cfg.ReplicaWait)
	}
	return nil
}
