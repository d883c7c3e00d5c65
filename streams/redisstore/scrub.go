package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// scrubPause is how often Scrub looks whether a server has rewritten its file.
const scrubPause = 100 * time.Millisecond

// Scrub implements [streams.Eraser]. In memory nothing is left of what was erased; what is
// in the servers' append-only files is there until they are rewritten, which Scrub asks for
// and waits for. A server that does not allow it is told of in the log: its operator has to
// do it. Backups and RDB files are the operator's, too.
func (s *Store) Scrub(ctx context.Context) error {
	cluster, ok := s.db.Client().(*redis.ClusterClient)
	if !ok {
		return s.scrub(ctx, s.db.Client())
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return s.scrub(ctx, node) })
}

// scrub has the file of a server rewritten, if it has one.
func (s *Store) scrub(ctx context.Context, node redis.UniversalClient) error {
	for {
		if enabled, err := s.rewritten(ctx, node); err != nil || !enabled {
			return err
		}
		err := node.BgRewriteAOF(ctx).Err()
		switch {
		case err == nil:
			_, err = s.rewritten(ctx, node)
			return err
		case redis.HasErrorPrefix(err, "NOPERM"), redis.HasErrorPrefix(err, "ERR unknown command"):
			s.log.WarnContext(ctx, "what was erased stays in the server's append-only file until it is rewritten (BGREWRITEAOF), which it does not allow", "err", err)
			return nil
		case redis.HasErrorPrefix(err, "ERR Background"): // another came between: it began before what was erased, perhaps
			continue
		}
		return fmt.Errorf("redisstore: scrub: %w", err)
	}
}

// rewritten waits until the server rewrites no file, and says whether it has one.
func (s *Store) rewritten(ctx context.Context, node redis.UniversalClient) (enabled bool, err error) {
	for {
		info, err := node.Info(ctx, "persistence").Result()
		if err != nil {
			return false, fmt.Errorf("redisstore: scrub: %w", err)
		}
		has := func(line string) bool { return strings.Contains(info, "\n"+line+"\r") }
		if !has("aof_enabled:1") {
			return false, nil
		}
		if has("aof_rewrite_in_progress:0") && has("aof_rewrite_scheduled:0") {
			if !has("aof_last_bgrewrite_status:ok") {
				return true, errors.New("redisstore: scrub: the server could not rewrite its append-only file; its log says why")
			}
			return true, nil
		}
		timer := time.NewTimer(scrubPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return true, ctx.Err()
		}
	}
}
