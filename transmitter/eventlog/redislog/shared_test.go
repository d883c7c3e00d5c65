package redislog_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/logtest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// site is a log that processes join, with connections of their own.
func site(server redisdb.Config) func(testing.TB) *logtest.Site {
	return func(tb testing.TB) *logtest.Site {
		server := server
		server.Prefix = prefixOf(tb)
		return &logtest.Site{
			Join:      func() eventlog.Log { return open(tb, server, redislog.Config{}) },
			Forgotten: time.Second,
		}
	}
}

func TestShared(t *testing.T) { logtest.RunShared(t, site(plain(redistest.Start(t)))) }

func TestSharedCluster(t *testing.T) {
	cfg := plain(redistest.StartCluster(t))
	cfg.Cluster = true
	logtest.RunShared(t, site(cfg))
}

// Another process is woken at once: the goal is 50 ms.
func TestWoken(t *testing.T) {
	server := plain(redistest.Start(t))
	db := connect(t, server)
	wakes := redisdb.NewWakes(db, nil)
	waiter, err := redislog.Open(t.Context(), redislog.Config{DB: db, Wakes: wakes})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{}, 1)
	wakes.On("log", func(string) {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = wakes.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	<-heard // it listens
	appender := open(t, server, redislog.Config{})
	var took []time.Duration
	for n := range uint64(20) {
		began, woken := time.Now(), make(chan time.Time, 1)
		go func() {
			if err := waiter.Wait(t.Context(), n); err != nil {
				t.Errorf("Wait: got %v, want no error", err)
			}
			woken <- time.Now()
		}()
		for !redislog.Waiting(waiter, began) {
			<-time.After(time.Millisecond)
		}
		appended := time.Now()
		if _, err := appender.Append(t.Context(), eventlog.Event{Source: "s", Type: "t"}); err != nil {
			t.Fatal(err)
		}
		took = append(took, (<-woken).Sub(appended))
	}
	slices.Sort(took)
	t.Logf("an append at another process wakes after %v (median), %v at most", took[len(took)/2], took[len(took)-1])
	if got := took[len(took)/4]; got > 50*time.Millisecond { // the machine may be busy
		t.Errorf("got %v, want 50ms at most", got)
	}
}
