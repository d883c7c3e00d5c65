package redisinbox_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/inbox/inboxtest"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/redisinbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// servers are a server by itself and one that is a cluster, to see that no script and
// no command reaches into another slot.
func servers(t *testing.T, test func(t *testing.T, cfg redisdb.Config, client redis.UniversalClient)) {
	t.Run("single", func(t *testing.T) {
		s := redistest.Start(t)
		test(t, redisdb.Config{URL: "redis://" + s.Addr, Volatile: true}, s.Client(t))
	})
	t.Run("cluster", func(t *testing.T) {
		s := redistest.StartCluster(t)
		test(t, redisdb.Config{URL: "redis://" + s.Addr, Cluster: true, Volatile: true}, s.ClusterClient(t))
	})
}

func open(t *testing.T, cfg redisinbox.Config) *redisinbox.Inbox {
	t.Helper()
	in, err := redisinbox.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// prefixOf makes a folder's name a prefix of keys.
func prefixOf(dir string) string {
	if len(dir) > redisdb.MaxPrefixBytes {
		dir = dir[len(dir)-redisdb.MaxPrefixBytes:]
	}
	return strings.NewReplacer(" ", "_", "{", "_", "}", "_").Replace(dir)
}

// settle lets a cluster client's goroutines, which sleep a little, end with the bubble.
func settle(t *testing.T) { t.Cleanup(func() { <-time.After(time.Second) }) }

func TestContract(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config, _ redis.UniversalClient) {
		inboxtest.Run(t, func(t *testing.T, dir string) inboxtest.Closer {
			settle(t)
			cfg.Prefix = prefixOf(dir)
			return open(t, redisinbox.Config{Redis: cfg, Now: time.Now})
		})
	})
}

// process is an inbox whose exchanges with the server can be made to fail.
type process struct {
	*redisinbox.Inbox
	client redis.UniversalClient
	cut    atomic.Bool
}

func (p *process) Close() error { return errors.Join(p.Inbox.Close(), p.client.Close()) }

func (p *process) failed() error {
	if p.cut.Load() {
		return errors.New("cut off")
	}
	return nil
}

func (p *process) DialHook(next redis.DialHook) redis.DialHook { return next }

func (p *process) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := p.failed(); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (p *process) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := p.failed(); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

func TestShared(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config, _ redis.UniversalClient) {
		inboxtest.RunShared(t, inboxtest.Shared{
			Lease: redisinbox.DefaultLease,
			Seen:  2 * redisinbox.DefaultPoll,
			Open: func(t *testing.T, dir string) (inboxtest.Closer, func(bool)) {
				settle(t)
				client, err := redisdb.Connect(cfg.URL, cfg.Cluster)
				if err != nil {
					t.Fatal(err)
				}
				p := &process{client: client}
				client.AddHook(p)
				cfg := cfg
				cfg.Client, cfg.Prefix = client, prefixOf(dir)
				p.Inbox = open(t, redisinbox.Config{Redis: cfg, Now: time.Now})
				return p, p.cut.Store
			},
		})
	})
}
