package redischeckpoint_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/checkpointtest"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// servers are a server by itself and one that is a cluster.
func servers(t *testing.T, test func(t *testing.T, open checkpointtest.Open)) {
	opener := func(cfg redisdb.Config) checkpointtest.Open {
		return func(t *testing.T, dir string) checkpoint.Store {
			cfg.Prefix = strings.NewReplacer("{", "_", "}", "_").Replace(filepath.Base(filepath.Dir(dir)) + filepath.Base(dir))
			return redischeckpoint.New(openDB(t, cfg))
		}
	}
	t.Run("single", func(t *testing.T) {
		test(t, opener(redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true}))
	})
	t.Run("cluster", func(t *testing.T) {
		test(t, opener(redisdb.Config{URL: "redis://" + redistest.StartCluster(t).Addr, Cluster: true, Volatile: true}))
	})
}

func openDB(t *testing.T, cfg redisdb.Config) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestContract(t *testing.T) { servers(t, checkpointtest.Run) }

func TestShared(t *testing.T) { servers(t, checkpointtest.RunShared) }

// Of what is let go nothing is left.
func TestNothingLeft(t *testing.T) {
	client := redistest.Start(t).Client(t)
	s := redischeckpoint.New(openDB(t, redisdb.Config{Client: client, Volatile: true}))
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	var after eventlog.Tree
	for i := range 600 {
		c := checkpoint.Checkpoint{Origin: "x", Made: at.Add(time.Duration(i) * 20 * time.Second), Text: []byte("x\ny\n")}
		c.Size, c.Root[0] = uint64(i), 1
		if err := s.Add(t.Context(), c, after); err != nil {
			t.Fatal(err)
		}
		after = c.Tree
	}
	const want = 3 + 60*60/20 // the first of each hour before, and an hour
	for key, count := range map[string]func() (int64, error){
		"checkpoints": func() (int64, error) { return client.HLen(t.Context(), "tocsin:{admin}:checkpoints").Result() },
		"sizes":       func() (int64, error) { return client.ZCard(t.Context(), "tocsin:{admin}:checkpoints:sizes").Result() },
		"made":        func() (int64, error) { return client.ZCard(t.Context(), "tocsin:{admin}:checkpoints:made").Result() },
		"passing":     func() (int64, error) { return client.ZCard(t.Context(), "tocsin:{admin}:checkpoints:passing").Result() },
	} {
		if n, err := count(); err != nil || n < want-3 || n > want+1 {
			t.Errorf("%s: got %d (%v), want about %d", key, n, err, want)
		}
	}
}
