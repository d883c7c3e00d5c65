package rediskeys_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/keystest"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/rediskeys"
)

// servers are a server by itself and one that is a cluster.
func servers(t *testing.T, test func(t *testing.T, cfg redisdb.Config)) {
	t.Run("single", func(t *testing.T) {
		test(t, redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true})
	})
	t.Run("cluster", func(t *testing.T) {
		test(t, redisdb.Config{URL: "redis://" + redistest.StartCluster(t).Addr, Cluster: true, Volatile: true})
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

// opener opens the store of a folder, which is a prefix of keys here.
func opener(cfg redisdb.Config) keystest.Open {
	return func(t *testing.T, dir string) keys.Store {
		cfg.Prefix = strings.NewReplacer("{", "_", "}", "_").Replace(filepath.Base(filepath.Dir(dir)) + filepath.Base(dir))
		return rediskeys.New(openDB(t, cfg))
	}
}

func TestContract(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) { keystest.Run(t, opener(cfg)) })
}

func TestShared(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		keystest.RunShared(t, func(t *testing.T, dir string) keys.Store {
			t.Cleanup(func() { <-time.After(time.Second) }) // a cluster client's goroutines, which sleep a little, end with the bubble
			return opener(cfg)(t, dir)
		})
	})
}

// A call whose answer was lost is sent again, and comes to the same.
func TestRepeated(t *testing.T) {
	s := redistest.Start(t)
	client := s.Client(t)
	store := rediskeys.New(openDB(t, redisdb.Config{Client: client, Volatile: true}))
	at := time.Unix(1_800_000_000, 0).UTC()
	record := func(kid string) keys.Record {
		return keys.Record{Key: keys.Key{ID: kid, Algorithm: jose.ES256, Created: at, LastUsed: at, Current: true}, Private: []byte("{}")}
	}
	for _, kids := range [][2]string{{"a", ""}, {"b", "a"}, {"a", ""}, {"b", "a"}} {
		if err := store.Add(t.Context(), record(kids[0]), kids[1], at); err != nil {
			t.Fatalf("add %s: got %v, want no error", kids[0], err)
		}
	}
	all, err := store.Keys(t.Context())
	if err != nil || len(all) != 2 || all[1].ID != "b" || !all[1].Current {
		t.Errorf("got %v (%v), want a and b, b current", all, err)
	}
	for range 2 {
		if err := store.Remove(t.Context(), "a", at); err != nil {
			t.Errorf("remove: got %v, want no error", err)
		}
	}
	// Versions rise though the server that took over knows an older one.
	before, err := store.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(t.Context(), redisdb.DefaultPrefix+":{admin}:keys:state", "version", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := store.Add(t.Context(), record("c"), "b", at); err != nil {
		t.Fatal(err)
	}
	if after, err := store.Version(t.Context()); err != nil || after <= before {
		t.Errorf("got version %d (%v) after %d, want a later one", after, err, before)
	}
}

// What cannot be read is an error that shows nothing of the key.
func TestUnreadable(t *testing.T) {
	s := redistest.Start(t)
	client := s.Client(t)
	store := rediskeys.New(openDB(t, redisdb.Config{Client: client, Volatile: true}))
	at := time.Unix(1_800_000_000, 0)
	if err := store.Add(t.Context(), keys.Record{Key: keys.Key{ID: "a", Created: at, LastUsed: at}, Private: []byte("{}")}, "", at); err != nil {
		t.Fatal(err)
	}
	root := redisdb.DefaultPrefix + ":{admin}:keys"
	if err := client.HSet(t.Context(), root, "a", `{"private":"c2VjcmV0"`).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Keys(t.Context()); err == nil || strings.Contains(err.Error(), "c2Vj") {
		t.Errorf("got %v, want an error that shows nothing", err)
	}
	// Nor is a store without replicas one that acknowledged.
	db := openDB(t, redisdb.Config{Client: client, Volatile: true, Replicas: 1, ReplicaWait: 10 * time.Millisecond})
	if err := rediskeys.New(db).Mark(t.Context(), map[string]time.Time{"a": at.Add(time.Hour)}); !errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("got %v, want ErrReplicas", err)
	}
}
