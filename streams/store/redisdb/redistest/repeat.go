package redistest

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Repeat is a hook of a client, as where a connection breaks behind what was asked: each
// script of a pipeline is run on another connection first, whose answer is lost, and then
// sent again.
type Repeat struct {
	// By has the other connection.
	By redis.UniversalClient
	// Between, if set, is called before it is sent again.
	Between func()

	lost atomic.Int64
}

var _ redis.Hook = (*Repeat)(nil)

// Lost returns how many answers were lost.
func (r *Repeat) Lost() int64 { return r.lost.Load() }

// DialHook changes nothing.
func (r *Repeat) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook changes nothing.
func (r *Repeat) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook repeats scripts.
func (r *Repeat) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if strings.HasPrefix(cmd.Name(), "eval") && r.By.Do(ctx, cmd.Args()...).Err() == nil {
				r.lost.Add(1)
			}
		}
		if r.Between != nil {
			r.Between()
		}
		return next(ctx, cmds)
	}
}
