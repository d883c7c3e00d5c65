package redisdb_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// newer has a server pass for Redis 7.2, and answers WAITAOF in its place: how many disks
// have it, its own and its replicas'. Without an answer the server itself is asked.
type newer struct {
	answer []any
	asked  atomic.Pointer[[]any]
}

func (n *newer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n *newer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if info, ok := cmd.(*redis.StringCmd); ok && cmd.Name() == "info" {
			info.SetVal(strings.Replace(info.Val(), "redis_version:7.0", "redis_version:7.2", 1))
		}
		return err
	}
}

func (n *newer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		last := cmds[len(cmds)-1]
		if last.Name() != "waitaof" || n.answer == nil {
			return next(ctx, cmds)
		}
		args := last.Args()
		n.asked.Store(&args)
		last.(*redis.Cmd).SetVal(n.answer)
		return next(ctx, cmds[:len(cmds)-1])
	}
}

// Where the server can be asked for the disk it is, and its answer counts.
func TestDurable(t *testing.T) {
	s := redistest.StartDurable(t)
	if err := s.Client(t).ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		answer []any
		want   string // of the error
	}{
		{"on the disks", []any{int64(1), int64(1)}, ""},
		{"not on its own", []any{int64(0), int64(1)}, "not on its own disk"},
		{"not on a replica's", []any{int64(1), int64(0)}, "on the disks of 0 of 1"},
		{"it is an older one", nil, "0 of 1"}, // WAIT, and no replica is there
	} {
		t.Run(tt.name, func(t *testing.T) {
			hook := &newer{answer: tt.answer}
			client := s.Client(t)
			client.AddHook(hook)
			var log syncBuffer
			db := open(t, redisdb.Config{
				Client: client, Durable: true, Replicas: 1, ReplicaWait: 10 * time.Millisecond,
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			for range 2 {
				_, err := db.Write(t.Context(), note(), []string{"a"}, "1")
				if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, redisdb.ErrReplicas) || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			}
			if asked := hook.asked.Load(); tt.answer != nil && (asked == nil || len(*asked) != 4 || (*asked)[1] != 1 || (*asked)[2] != 1) {
				t.Errorf("got %v asked, want WAITAOF 1 1 and a time", asked)
			}
			if strings.Contains(log.String(), "everysec") {
				t.Errorf("got %q logged, want no warning: writes are waited for", log.String())
			}
		})
	}
}

// A server that cannot be asked for the disk is warned of, one without a file is refused.
func TestDurableOlder(t *testing.T) {
	s := redistest.StartDurable(t)
	info, err := s.Client(t).Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	db := open(t, redisdb.Config{URL: s.URL(), Durable: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := db.Write(t.Context(), note(), []string{"a"}, "1"); err != nil {
		t.Errorf("got %v, want it written", err)
	}
	if got := strings.Contains(log.String(), "cannot be asked for the disk"); got != strings.Contains(info, "redis_version:7.0") {
		t.Errorf("got %q logged, want a warning where the server is before 7.2", log.String())
	}
	if err := s.Client(t).ConfigSet(t.Context(), "appendonly", "no").Err(); err != nil {
		t.Fatal(err)
	}
	_, err = redisdb.Open(t.Context(), redisdb.Config{URL: s.URL(), Durable: true, Volatile: true})
	if !errors.Is(err, redisdb.ErrRefused) || !strings.Contains(err.Error(), "to be on disk") {
		t.Errorf("got %v, want %v", err, redisdb.ErrRefused)
	}
}
