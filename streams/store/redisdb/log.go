package redisdb

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo has what the client library tells by itself (a dial that failed, a Sentinel's new
// master) go to log, at level debug, in place of standard error. It is for the whole
// process: a program calls it when it starts.
func LogTo(log *slog.Logger) { redis.SetLogger(library{log}) }

type library struct{ log *slog.Logger }

// Printf is that of go-redis.
func (l library) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "the Redis client says", "text", fmt.Sprintf(format, args...))
}
