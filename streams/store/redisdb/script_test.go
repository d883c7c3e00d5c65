package redisdb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// counted is what a command was called, by the server's own account.
func counted(t *testing.T, c redis.UniversalClient, command string) int {
	t.Helper()
	raw, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`cmdstat_` + command + `:calls=(\d+)`).FindStringSubmatch(raw)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func increments(n int, script *redis.Script) []redisdb.Call {
	calls := make([]redisdb.Call, n)
	for i := range calls {
		calls[i] = redisdb.Call{Script: script, Keys: []string{fmt.Sprint("k", i)}, Args: []any{i}}
	}
	return calls
}

// Many writes are one exchange with one WAIT, each with its own answer; what is beyond the
// bound is in further ones.
func TestWriteMany(t *testing.T) {
	script := redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)
	s := redistest.StartDurable(t)
	s.StartReplica(t)
	c := s.Client(t)
	db := open(t, redisdb.Config{URL: s.URL(), Replicas: 1, ReplicaWait: 2 * time.Second})
	for round, want := range []int{2, 3} { // the script is not known at first
		for i, a := range db.WriteMany(t.Context(), increments(16, script)) {
			if a.Err != nil || a.Value != int64((round+1)*i) {
				t.Errorf("got %v, %v for call %d, want %d", a.Value, a.Err, i, (round+1)*i)
			}
		}
		if got := counted(t, c, "wait"); got != want {
			t.Errorf("got %d WAITs after %d batches, want %d", got, round+1, want)
		}
	}
	before := counted(t, c, "wait")
	if got := db.WriteMany(t.Context(), increments(redisdb.MaxCalls+1, script)); len(got) != redisdb.MaxCalls+1 || got[redisdb.MaxCalls].Err != nil {
		t.Errorf("got %d answers, want all", len(got))
	}
	if got := counted(t, c, "wait") - before; got != 2 {
		t.Errorf("got %d WAITs, want 2", got)
	}
	if got := db.WriteMany(t.Context(), nil); len(got) != 0 {
		t.Errorf("got %v of no calls, want nothing", got)
	}
}

// One that fails is told apart from the others, and an answer of nil is one.
func TestWriteManyErrors(t *testing.T) {
	good := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	bad := redis.NewScript(`redis.call('INCR', KEYS[1]) return redis.error_reply('ODD it is')`)
	nothing := redis.NewScript(`redis.call('INCR', KEYS[1]) return false`)
	for name, cfg := range reached(t) {
		db := open(t, cfg)
		got := db.WriteMany(t.Context(), []redisdb.Call{
			{Script: good, Keys: []string{"a"}}, {Script: bad, Keys: []string{"b"}}, {Script: nothing, Keys: []string{"c"}},
		})
		if got[0].Err != nil || got[0].Value != int64(1) {
			t.Errorf("%s: got %v, %v, want 1", name, got[0].Value, got[0].Err)
		}
		if !redis.HasErrorPrefix(errors.Unwrap(got[1].Err), "ODD") {
			t.Errorf("%s: got %v, want what the script says", name, got[1].Err)
		}
		if !errors.Is(got[2].Err, redis.Nil) {
			t.Errorf("%s: got %v, want %v", name, got[2].Err, redis.Nil)
		}
		if n, err := db.Client().Get(t.Context(), "b").Int(); err != nil || n != 1 {
			t.Errorf("%s: got %d, %v, want the failed call sent once", name, n, err)
		}
	}
}

// reached are the ways to reach a server.
func reached(t *testing.T) map[string]redisdb.Config {
	one := redistest.StartDurable(t)
	followed := redistest.StartDurable(t)
	followed.StartReplica(t)
	return map[string]redisdb.Config{
		"single":   {URL: one.URL()},
		"replicas": {URL: followed.URL(), Replicas: 1, ReplicaWait: 2 * time.Second},
		"cluster":  {URL: redistest.StartCluster3(t).URL(), Volatile: true},
	}
}

// Scripts that the server forgot are sent again, one by one and together.
func TestScriptsForgotten(t *testing.T) {
	script := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	for name, cfg := range reached(t) {
		db := open(t, cfg)
		for want := range int64(3) {
			forget := func(ctx context.Context, node *redis.Client) error { return node.ScriptFlush(ctx).Err() }
			if cluster, ok := db.Client().(*redis.ClusterClient); ok {
				if err := cluster.ForEachMaster(t.Context(), forget); err != nil {
					t.Fatal(err)
				}
			} else if err := forget(t.Context(), db.Client().(*redis.Client)); err != nil {
				t.Fatal(err)
			}
			if got, err := db.Run(t.Context(), script, []string{"run"}); err != nil || got != want+1 {
				t.Errorf("%s: got %v, %v, want %d", name, got, err, want+1)
			}
			for _, a := range db.WriteMany(t.Context(), increments(8, script)) {
				if a.Err != nil || a.Value != want+1 {
					t.Errorf("%s: got %v, %v, want %d", name, a.Value, a.Err, want+1)
				}
			}
		}
	}
}

// A slot that moves is followed: while its keys are on the way, and afterwards. In a
// cluster whose masters have no replica WAIT says so, also at the node that gets the slot.
func TestSlotMoves(t *testing.T) {
	cluster := redistest.StartCluster3(t)
	script := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	free := open(t, redisdb.Config{URL: cluster.URL(), Volatile: true})
	waits := open(t, redisdb.Config{URL: cluster.URL(), Replicas: 1, ReplicaWait: 10 * time.Millisecond})
	n := int64(0)
	count := func(when string) {
		t.Helper()
		if got, err := free.Write(t.Context(), script, []string{"k"}); err != nil || got != n+1 {
			t.Fatalf("%s: got %v, %v, want %d", when, got, err, n+1)
		}
		if _, err := waits.Write(t.Context(), script, []string{"k"}); !errors.Is(err, redisdb.ErrReplicas) {
			t.Fatalf("%s: got %v, want %v", when, err, redisdb.ErrReplicas)
		}
		n += 2
	}
	count("at first")
	from := cluster.Owner(t, "k")
	to := cluster.Nodes[0]
	if to == from {
		to = cluster.Nodes[1]
	}
	id := func(s *redistest.Server) string { return s.Client(t).Do(t.Context(), "CLUSTER", "MYID").Val().(string) }
	slot, err := from.Client(t).ClusterKeySlot(t.Context(), "k").Result()
	if err != nil {
		t.Fatal(err)
	}
	do := func(s *redistest.Server, args ...any) {
		t.Helper()
		if err := s.Client(t).Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
	do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
	count("while it moves, the key still here")
	host, port, _ := net.SplitHostPort(to.Addr)
	do(from, "MIGRATE", host, port, "k", 0, 5000)
	count("while it moves, the key there")
	for _, s := range []*redistest.Server{to, from, cluster.Nodes[2]} {
		do(s, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
	}
	count("moved")
}
