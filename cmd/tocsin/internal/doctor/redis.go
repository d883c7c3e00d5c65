package doctor

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// Bounds of a Redis.
const (
	redisTime   = 15 * time.Second
	fullMemory  = 0.8 // of maxmemory
	slowAnswer  = 10 * time.Millisecond
	redisChecks = "docs/operations/redis.md, \"Settings\""
)

// Redis opens a server as a node does, and looks at its settings, replicas, memory and
// clock. No URL is told: it may have a password.
func Redis(ctx context.Context, r *Report, cfg redisdb.Config, now func() time.Time) {
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	cfg.Await, cfg.Logger = 0, nil
	db, err := redisdb.Open(ctx, cfg)
	switch {
	case errors.Is(err, redisdb.ErrRefused):
		r.Fail("redis.settings", "", "redis-cli config set, and redis.conf: "+redisChecks, "the server is not taken: %v", err)
		return
	case err != nil:
		r.Fail("redis.reach", "", "look at the URL, the network and the user's rights: "+redisChecks, "the server cannot be used: %v", err)
		return
	}
	defer db.Close() // it holds connections alone
	r.OK("redis.reach", "", "the server answers, and its settings keep what is acknowledged")
	for _, risk := range db.Risks() {
		r.Warn("redis.settings", "", redisChecks, "%s", risk)
	}
	redisClock(ctx, r, db, now)
	raw, err := db.Client().Info(ctx).Result()
	if err != nil {
		return // it was asked at the opening, which has told
	}
	redisState(r, raw, cfg.Replicas)
}

func redisClock(ctx context.Context, r *Report, db *redisdb.DB, now func() time.Time) {
	asked := now()
	theirs, err := db.Client().Time(ctx).Result()
	took := now().Sub(asked)
	if err != nil {
		r.Warn("redis.clock", "", "let the user call TIME: "+redisChecks, "it does not tell its time: %v", err)
		return
	}
	ahead := theirs.Sub(asked.Add(took / 2))
	if ahead.Abs() <= took {
		ahead = 0
	}
	apart(r, "redis", ahead)
	if took > slowAnswer {
		r.Warn("redis.latency", "", "put nodes and Redis into one network", "an answer took %v: every event and every SET waits for some", took.Round(time.Millisecond))
	}
}

// redisState notes what a server tells of itself (INFO).
func redisState(r *Report, raw string, replicas int) {
	number := func(name string) float64 {
		for line := range strings.Lines(raw) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
				n, _ := strconv.ParseFloat(value, 64)
				return n
			}
		}
		return 0
	}
	if have := int(number("connected_slaves")); replicas > have {
		r.Fail("redis.replicas", "", "start the replicas, or lower redis-replicas", "%d replicas are to have each write and %d are connected: nothing is acknowledged", replicas, have)
	} else if replicas > 0 {
		r.OK("redis.replicas", "", "%d replicas are connected", have)
	}
	if most, used := number("maxmemory"), number("used_memory"); most > 0 && used > fullMemory*most {
		r.Warn("redis.memory", "", "give it more (maxmemory), archive old events (tocsin event archive), or bound the log (--retention)", "%.0f %% of its memory is used: when it is full, events are refused", 100*used/most)
	}
	for _, write := range []string{"rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"} {
		if strings.Contains(raw, "\n"+write+":err") {
			r.Fail("redis.disk", "", "make room on its disk, and look into its log", "its last write to disk failed (%s)", write)
		}
	}
}
