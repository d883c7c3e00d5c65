package redistest_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// The Sentinels make another the master, when they are told to and when it is killed; what
// replicas had it has.
func TestSentinel(t *testing.T) {
	s := redistest.StartSentinel(t)
	c := s.Client(t)
	if err := c.Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Do(t.Context(), "WAIT", 2, 5000).Int(); err != nil || n != 2 {
		t.Fatalf("got %d replicas, %v, want 2", n, err)
	}
	first := s.Master(t)
	if first != s.Servers[0] || len(s.Replicas(t)) != 2 {
		t.Errorf("got %s and %d replicas, want the first server and 2", first.Addr, len(s.Replicas(t)))
	}
	second := s.Failover(t)
	second.Stop()
	third := s.WaitMaster(t, second)
	if second == first || third == second {
		t.Errorf("got masters %s, %s and %s, want another each time", first.Addr, second.Addr, third.Addr)
	}
	if got, err := third.Client(t).Get(t.Context(), "a").Result(); err != nil || got != "1" {
		t.Errorf("got %q, %v, want what was set", got, err)
	}
}

// A frozen server answers nothing until it is woken.
func TestPause(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(t)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Pause(t)
	answered := make(chan error)
	go func() { answered <- c.Ping(t.Context()).Err() }()
	select {
	case err := <-answered:
		t.Errorf("got %v of a frozen server, want no answer", err)
	default:
	}
	s.Resume(t)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// Each of the three has some slots, and tells where the others' are.
func TestCluster3(t *testing.T) {
	cluster := redistest.StartCluster3(t)
	c := cluster.Client(t)
	owners := make(map[*redistest.Server]string)
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if err := c.Set(t.Context(), key, key, 0).Err(); err != nil {
			t.Fatal(err)
		}
		owners[cluster.Owner(t, key)] = key
	}
	if len(owners) != 3 {
		t.Errorf("got keys at %d nodes, want all 3", len(owners))
	}
	for owner, key := range owners {
		for _, node := range cluster.Nodes {
			if err := node.Client(t).Get(t.Context(), key).Err(); (err == nil) != (node == owner) {
				t.Errorf("got %v for %q at %s, want it at its owner alone", err, key, node.Addr)
			}
		}
	}
}
