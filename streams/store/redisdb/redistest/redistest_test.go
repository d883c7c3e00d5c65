package redistest_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// The server serves, and does not once it is stopped.
func TestStart(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(t)
	if err := c.Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := c.Get(t.Context(), "a").Err(); err == nil {
		t.Error("got an answer of a stopped server, want none")
	}
}

// A server that was restarted is at its place, empty.
func TestRestart(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(t)
	for range 2 {
		if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 0 {
			t.Fatalf("got %d keys, %v, want none", n, err)
		}
		if err := c.Set(t.Context(), "a", "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
		s.Restart(t)
	}
}

// A cluster refuses one command on keys of different slots.
func TestStartCluster(t *testing.T) {
	c := redistest.StartCluster(t).ClusterClient(t)
	if err := c.Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	err := c.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, m *redis.Client) error {
		return m.Do(ctx, "DEL", "a", "b").Err()
	})
	if err == nil {
		t.Error("got keys of two slots deleted at once, want CROSSSLOT")
	}
}

// What a durable server was told it has after a crash, and a replica has it too.
func TestDurable(t *testing.T) {
	s := redistest.StartDurable(t)
	c := s.Client(t)
	replica := s.StartReplica(t)
	if err := c.Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Do(t.Context(), "WAIT", 1, 5000).Int(); err != nil || n != 1 {
		t.Errorf("got %d replicas (%v), want 1", n, err)
	}
	if got, err := replica.Client(t).Get(t.Context(), "a").Result(); err != nil || got != "1" {
		t.Errorf("got %q (%v) at the replica, want what was set", got, err)
	}
	s.Restart(t)
	if got, err := c.Get(t.Context(), "a").Result(); err != nil || got != "1" {
		t.Errorf("got %q (%v) after a crash, want what was set", got, err)
	}
}
