package redisjournal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/journaltest"
	"github.com/tocsin-ssf/tocsin/receiver/journal/redisjournal"
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

// process is a journal with a connection of its own.
type process struct {
	*redisjournal.Journal
	db *redisdb.DB
}

func (p *process) Close() error { return errors.Join(p.Journal.Close(), p.db.Close()) }

func open(t *testing.T, server redisdb.Config, cfg redisjournal.Config) *process {
	t.Helper()
	db, err := redisdb.Open(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DB = db
	j, err := redisjournal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &process{j, db}
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
	servers(t, func(t *testing.T, server redisdb.Config, _ redis.UniversalClient) {
		in := func(t *testing.T, dir string, max int) journaltest.Closer {
			settle(t)
			server.Prefix = prefixOf(dir)
			return open(t, server, redisjournal.Config{MaxEntries: max, Now: time.Now})
		}
		journaltest.Run(t, in)
		journaltest.RunDurable(t, in)
		journaltest.RunShared(t, in)
	})
}

func TestConfig(t *testing.T) {
	_, err := redisjournal.New(redisjournal.Config{MaxEntries: -1, Remember: journal.MinRemember - time.Second, Timeout: -1})
	for _, want := range []string{"DB", "MaxEntries", "Remember", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
}
