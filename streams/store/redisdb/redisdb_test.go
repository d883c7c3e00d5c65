package redisdb_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

func open(t *testing.T, cfg redisdb.Config) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestConfig(t *testing.T) {
	_, err := redisdb.Open(t.Context(), redisdb.Config{
		URL: "http://user:secret@example.com", Prefix: "a{b}", Replicas: -1, ReplicaWait: time.Microsecond,
	})
	for _, want := range []string{"prefix", "replicas", "replica_wait"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
	_, err = redisdb.Open(t.Context(), redisdb.Config{URL: "http://user:secret@example.com"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

// A server that is away is waited for, as long as is said, and a line of the log says so.
func TestOpenWaits(t *testing.T) {
	s := redistest.StartDurable(t)
	s.Stop()
	var log syncBuffer
	cfg := redisdb.Config{URL: s.URL() + "?max_retries=-1", Await: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	opened := make(chan error)
	go func() {
		db, err := redisdb.Open(context.Background(), cfg)
		if err == nil {
			err = db.Close()
		}
		opened <- err
	}()
	eventually(t, "it is said that the server is waited for", func() bool { return strings.Contains(log.String(), "waiting for it") })
	s.Restart(t)
	if err := <-opened; err != nil {
		t.Errorf("got %v of a server that came back, want none", err)
	}
	if n := strings.Count(log.String(), "waiting for it"); n != 1 || !strings.Contains(log.String(), "is there") {
		t.Errorf("got %q logged, want one line that it is waited for, and one that it is there", log.String())
	}

	s.Stop()
	for _, await := range []time.Duration{0, 300 * time.Millisecond} {
		cfg.Await = await
		if _, err := redisdb.Open(t.Context(), cfg); err == nil {
			t.Errorf("got no error of a server that is away after %v, want one", await)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	cfg.Await = time.Minute
	began := time.Now()
	if _, err := redisdb.Open(ctx, cfg); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("got %v after %v, want an end with the context", err, time.Since(began))
	}
	if _, err := redisdb.Open(t.Context(), redisdb.Config{URL: s.URL(), Await: time.Hour}); err == nil || !strings.Contains(err.Error(), "await") {
		t.Errorf("got %v, want an error that names await", err)
	}
}

// What no waiting helps is told at once.
func TestOpenWaitsForNothing(t *testing.T) {
	s := redistest.Start(t) // nothing is on its disk
	began := time.Now()
	_, err := redisdb.Open(t.Context(), redisdb.Config{URL: s.URL(), Await: time.Minute})
	if !errors.Is(err, redisdb.ErrRefused) || time.Since(began) > 20*time.Second {
		t.Errorf("got %v after %v, want %v at once", err, time.Since(began), redisdb.ErrRefused)
	}
}

// A server that would lose what it acknowledged is refused, or warned of.
func TestServerChecked(t *testing.T) {
	s := redistest.StartDurable(t)
	c := s.Client(t)
	replica := s.StartReplica(t)
	for _, tt := range []struct {
		name           string
		setting, value string
		cfg            redisdb.Config
		refused        string
		warned         string
	}{
		{name: "as it should be", setting: "maxmemory", value: "100mb"},
		{name: "memory without bound", setting: "maxmemory", value: "0", warned: "maxmemory is not set"},
		{name: "evicts", setting: "maxmemory-policy", value: "allkeys-lru", refused: "noeviction"},
		{name: "evicts no more", setting: "maxmemory-policy", value: "noeviction"},
		{name: "every second", setting: "appendfsync", value: "everysec", warned: "one second"},
		{name: "no file", setting: "appendonly", value: "no", refused: "appendonly is off"},
		{name: "no file, replicas", setting: "appendonly", value: "no", cfg: redisdb.Config{Replicas: 1}, warned: "its replicas alone"},
		{name: "no file, accepted", setting: "appendonly", value: "no", cfg: redisdb.Config{Volatile: true}, warned: "lost when the server restarts"},
		{name: "a replica", setting: "maxmemory", value: "0", cfg: redisdb.Config{URL: "redis://" + replica.Addr}, refused: "connect to the master"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := c.ConfigSet(t.Context(), tt.setting, tt.value).Err(); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			tt.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			if tt.cfg.URL == "" {
				tt.cfg.URL = "redis://" + s.Addr
			}
			db, err := redisdb.Open(t.Context(), tt.cfg)
			if err == nil {
				_ = db.Close()
			}
			if got := err != nil; got != (tt.refused != "") || got && !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("got error %v, want one with %q, or none", err, tt.refused)
			}
			if !strings.Contains(log.String(), tt.warned) {
				t.Errorf("got %q logged, want a warning with %q", log.String(), tt.warned)
			}
		})
	}
}

// A write waits for replicas: it succeeds with them, is told apart without them, and the
// script is loaded where the server does not have it.
func TestWrite(t *testing.T) {
	script := redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)
	s := redistest.Start(t)
	replica := s.StartReplica(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr, Replicas: 1, ReplicaWait: 2 * time.Second})
	if got, err := db.Write(t.Context(), script, []string{"n"}, 2); err != nil || got != int64(2) {
		t.Fatalf("got %v, %v, want 2", got, err)
	}
	if got, err := replica.Client(t).Get(t.Context(), "n").Int(); err != nil || got != 2 {
		t.Errorf("got %d, %v at the replica, want 2", got, err)
	}
	replica.Stop()
	short := open(t, redisdb.Config{URL: "redis://" + s.Addr, Replicas: 1, ReplicaWait: 50 * time.Millisecond})
	if _, err := short.Write(t.Context(), script, []string{"n"}, 2); !errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("got %v without a replica, want %v", err, redisdb.ErrReplicas)
	}
	if got, err := short.Run(t.Context(), script, []string{"n"}, 0); err != nil || got != int64(4) {
		t.Errorf("got %v, %v, want 4: the script was run once", got, err)
	}
}

// In a cluster the WAIT goes to the node that has the key.
func TestWriteCluster(t *testing.T) {
	s := redistest.StartCluster(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr, Cluster: true, Replicas: 1, ReplicaWait: 10 * time.Millisecond})
	script := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	if _, err := db.Write(t.Context(), script, []string{"n"}); !errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("got %v without a replica, want %v", err, redisdb.ErrReplicas)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Write(ctx, script, []string{"n"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if got, err := db.Run(t.Context(), script, []string{"n"}); err != nil || got != int64(2) {
		t.Errorf("got %v, %v, want 2", got, err)
	}
}
