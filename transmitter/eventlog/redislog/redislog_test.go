package redislog_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// connect returns the server as a process of its own sees it.
func connect(tb testing.TB, cfg redisdb.Config) *redisdb.DB {
	tb.Helper()
	db, err := redisdb.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatalf("redisdb.Open: got %v, want no error", err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// open opens the log as a process of its own does.
func open(tb testing.TB, server redisdb.Config, cfg redislog.Config) *redislog.Log {
	tb.Helper()
	cfg.DB = connect(tb, server)
	l, err := redislog.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatalf("Open: got %v, want no error", err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l
}

// prefixOf makes a test's name a prefix of keys.
func prefixOf(tb testing.TB) string {
	name := tb.Name()
	if len(name) > redisdb.MaxPrefixBytes {
		name = name[len(name)-redisdb.MaxPrefixBytes:]
	}
	return strings.NewReplacer(" ", "_", "{", "_", "}", "_").Replace(name)
}

// plain is the configuration of a server that keeps nothing on disk.
func plain(s *redistest.Server) redisdb.Config {
	return redisdb.Config{URL: "redis://" + s.Addr, Volatile: true}
}

// store makes logs on a server; kill is what a kill does beside ending the process.
func store(server redisdb.Config, tail int, kill func()) logtest.Factory {
	return func(tb testing.TB) *logtest.Store {
		server := server
		server.Prefix = prefixOf(tb)
		var offset atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		again := func() *redislog.Log { return open(tb, server, redislog.Config{Tail: tail, Now: now}) }
		log := again()
		return &logtest.Store{
			Log: log,
			Reopen: func() eventlog.Log {
				if err := log.Close(); err != nil {
					tb.Errorf("Close: got %v, want no error", err)
				}
				log = again()
				return log
			},
			Kill: func() eventlog.Log {
				kill()
				log = again()
				return log
			},
			Advance:   func(d time.Duration) { offset.Add(int64(d)) },
			KeyMemory: redislog.DefaultKeyMemory,
		}
	}
}

// On a server that writes all to disk and is killed with the process.
func TestLog(t *testing.T) {
	s := redistest.StartDurable(t)
	logtest.Run(t, store(redisdb.Config{URL: "redis://" + s.Addr}, 0, func() { s.Restart(t) }))
}

// With a tail of three nearly all reads come from the server.
func TestLogShortTail(t *testing.T) {
	logtest.Run(t, store(plain(redistest.Start(t)), 3, func() {}))
}

// On a cluster no script and no command reaches into another slot.
func TestLogCluster(t *testing.T) {
	cfg := plain(redistest.StartCluster(t))
	cfg.Cluster = true
	logtest.Run(t, store(cfg, 0, func() {}))
}
