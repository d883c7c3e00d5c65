package redislog_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// lab is a clock, and the ends of a route under it.
type lab struct {
	tb     testing.TB
	offset atomic.Int64
}

func (l *lab) now() time.Time { return time.Now().Add(time.Duration(l.offset.Load())) }

func (l *lab) advance(d time.Duration) { l.offset.Add(int64(d)) }

func (l *lab) file(path string, id eventlog.Identity) (*sqlitelog.Log, error) {
	log, err := sqlitelog.Create(context.Background(), sqlitelog.Config{Path: path, Now: l.now}, id)
	if err == nil {
		l.tb.Cleanup(func() { _ = log.Close() })
	}
	return log, err
}

func (l *lab) server(cfg redisdb.Config, id eventlog.Identity) (*redislog.Log, error) {
	log, err := redislog.Create(context.Background(), redislog.Config{DB: connect(l.tb, cfg), Now: l.now}, id)
	if err == nil {
		l.tb.Cleanup(func() { _ = log.Close() })
	}
	return log, err
}

// toServer is the way from a file to a server.
func toServer(server redisdb.Config) func(testing.TB) *logtest.Route {
	return func(tb testing.TB) *logtest.Route {
		l, server := &lab{tb: tb}, server
		server.Prefix = prefixOf(tb)
		source, err := l.file(filepath.Join(tb.TempDir(), "log.db"), eventlog.Identity{})
		if err != nil {
			tb.Fatal(err)
		}
		return &logtest.Route{
			Source: source, Advance: l.advance, KeyMemory: redislog.DefaultKeyMemory,
			Target: func(id eventlog.Identity) (logtest.Importing, error) { return l.server(server, id) },
		}
	}
}

func TestPortFromFile(t *testing.T) { logtest.RunPort(t, toServer(plain(redistest.Start(t)))) }

func TestPortFromFileCluster(t *testing.T) {
	cfg := plain(redistest.StartCluster(t))
	cfg.Cluster = true
	logtest.RunPort(t, toServer(cfg))
}

// And back.
func TestPortToFile(t *testing.T) {
	server := plain(redistest.Start(t))
	logtest.RunPort(t, func(tb testing.TB) *logtest.Route {
		l, server := &lab{tb: tb}, server
		server.Prefix = prefixOf(tb)
		source, err := l.server(server, eventlog.Identity{})
		if err != nil {
			tb.Fatal(err)
		}
		path := filepath.Join(tb.TempDir(), "log.db")
		var open *sqlitelog.Log
		return &logtest.Route{
			Source: source, Advance: l.advance, KeyMemory: redislog.DefaultKeyMemory,
			Target: func(id eventlog.Identity) (logtest.Importing, error) {
				if open != nil { // a file has one process
					_ = open.Close()
				}
				log, err := l.file(path, id)
				if err != nil {
					return nil, err
				}
				open = log
				return log, nil
			},
		}
	})
}
