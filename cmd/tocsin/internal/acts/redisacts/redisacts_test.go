package redisacts_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts/actstest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts/redisacts"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// servers are a server by itself and one that is a cluster, to see that no script
// reaches into another slot.
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

// process is a store with a connection of its own.
type process struct {
	*redisacts.Store
	db *redisdb.DB
}

func (p *process) Close() error { return p.db.Close() }

func open(t *testing.T, server redisdb.Config, cfg redisacts.Config) *process {
	t.Helper()
	db, err := redisdb.Open(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DB = db
	s, err := redisacts.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &process{s, db}
}

// prefixOf makes a folder's name a prefix of keys.
func prefixOf(dir string) string {
	if len(dir) > redisdb.MaxPrefixBytes {
		dir = dir[len(dir)-redisdb.MaxPrefixBytes:]
	}
	return strings.NewReplacer(" ", "_", "{", "_", "}", "_").Replace(dir)
}

func TestContract(t *testing.T) {
	servers(t, func(t *testing.T, server redisdb.Config, _ redis.UniversalClient) {
		in := func(t *testing.T, dir string, most int, remember time.Duration, now func() time.Time) actstest.Closer {
			server.Prefix = prefixOf(dir)
			return open(t, server, redisacts.Config{MaxActs: most, Remember: remember, Now: now})
		}
		actstest.Run(t, in)
		actstest.RunShared(t, in)
	})
}

// All keys end: nothing of an act that went stays, and what is not used any more goes.
func TestKeysEnd(t *testing.T) {
	servers(t, func(t *testing.T, server redisdb.Config, client redis.UniversalClient) {
		s := open(t, server, redisacts.Config{MaxActs: 3})
		for range 10 {
			act := &eventlog.Act{Act: "a.b", By: eventlog.Actor{Client: "admin token"}, Objects: map[string]string{"dead_letter": "x", "issuer": "y"}}
			seq, err := s.Note(t.Context(), act)
			if err == nil {
				act.Outcome = eventlog.ActDone
				err = s.Settle(t.Context(), seq, act)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		n, err := client.HLen(t.Context(), "tocsin:{acts}:acts").Result()
		names, err2 := client.ZCard(t.Context(), "tocsin:{acts}:index").Result()
		if err := errors.Join(err, err2); err != nil || n != 3 || names != 3*5 {
			t.Errorf("got %d acts with %d names, want 3 with 5 each", n, names)
		}
		for _, key := range []string{"seq", "acts", "index"} {
			if left := client.PTTL(t.Context(), "tocsin:{acts}:"+key).Val(); left < 365*24*time.Hour {
				t.Errorf("%s: got %v until it ends, want a year and a day", key, left)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A call whose answer was lost and that is sent again keeps one act.
func TestRepeated(t *testing.T) {
	server := redistest.Start(t)
	_ = server.StartReplica(t)
	client, way := server.Client(t), &redistest.Repeat{By: server.Client(t)}
	client.AddHook(way)
	s := open(t, redisdb.Config{Client: client, Replicas: 1, ReplicaWait: time.Second}, redisacts.Config{})
	defer func() { _ = s.Close() }()
	for want := uint64(1); want <= 3; want++ {
		if seq, err := s.Note(t.Context(), &eventlog.Act{Act: "a.b"}); err != nil || seq != want {
			t.Errorf("got place %d %v, want %d", seq, err, want)
		}
	}
	if way.Lost() == 0 {
		t.Error("got no answer lost, want some")
	}
	if got, err := s.Page(t.Context(), eventlog.RefAll, 0, 10); err != nil || len(got) != 3 {
		t.Errorf("got %d acts %v, want three", len(got), err)
	}
}
