package redisdb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrRewriting: the server rewrites its append-only file already, as it was before.
var ErrRewriting = errors.New("redisdb: a rewrite of the append-only file is under way, of what was there before")

// Rewrite lets the server that has a key rewrite its append-only file in the background:
// what was deleted is gone from it afterwards. Error: [ErrRewriting], repeat it later.
func (db *DB) Rewrite(ctx context.Context, key string) error {
	node := db.client
	if cluster, ok := node.(*redis.ClusterClient); ok {
		master, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return fmt.Errorf("redisdb: %w", err)
		}
		node = master
	}
	err := node.BgRewriteAOF(ctx).Err()
	if err != nil && strings.Contains(err.Error(), "already in progress") {
		return ErrRewriting
	}
	if err != nil {
		return fmt.Errorf("redisdb: %w", err)
	}
	return nil
}
