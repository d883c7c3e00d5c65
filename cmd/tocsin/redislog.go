package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds on what the client of Redis says of itself.
const (
	redisWordsEvery = 10 * time.Second // between two lines
	redisWordsBytes = 500              // of a line
)

// redisWords hand what the client of Redis says (each dial that failed, and so on) to the
// log, at debug: that the server is away, and back, the stores say themselves. The client
// would print it on standard error.
type redisWords struct {
	now func() time.Time

	mu      sync.Mutex
	said    time.Time
	leftOut int
}

// quietRedis makes the client of Redis, which has one log for all, speak to ours.
func quietRedis() { redis.SetLogger(&redisWords{now: time.Now}) }

// Printf says one line, and leaves out those that come too soon after it.
func (w *redisWords) Printf(ctx context.Context, format string, v ...any) {
	log := slog.Default()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	w.mu.Lock()
	now := w.now()
	if now.Sub(w.said) < redisWordsEvery {
		w.leftOut++
		w.mu.Unlock()
		return
	}
	leftOut := w.leftOut
	w.said, w.leftOut = now, 0
	w.mu.Unlock()
	text := fmt.Sprintf(format, v...)
	if len(text) > redisWordsBytes {
		text = strings.ToValidUTF8(text[:redisWordsBytes], "") + "…"
	}
	log.DebugContext(ctx, "redis client", "says", text, "left_out", leftOut)
}
