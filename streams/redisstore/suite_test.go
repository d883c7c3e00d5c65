package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

// poolSize gives every call a connection of its own: who waits for one does so on a timer
// of the client's that may be of another bubble.
const poolSize = "?pool_size=256"

// servers are a server by itself and one that is a cluster, to see that no script and no
// command reaches into another slot.
func servers(t *testing.T, test func(t *testing.T, cfg redisdb.Config)) {
	t.Run("single", func(t *testing.T) {
		s := redistest.Start(t)
		test(t, redisdb.Config{URL: "redis://" + s.Addr + poolSize, Volatile: true})
	})
	t.Run("cluster", func(t *testing.T) {
		s := redistest.StartCluster(t)
		test(t, redisdb.Config{URL: "redis://" + s.Addr + poolSize, Cluster: true, Volatile: true})
	})
}

// prefixes makes a prefix of keys for each place of storage.
var prefixes atomic.Int64

func TestSuite(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		storetest.Run(t, func(t testing.TB) storetest.Harness {
			// A cluster client's goroutines, which sleep a little, end with the bubble.
			t.Cleanup(func() { <-time.After(time.Second) })
			cfg.Prefix = fmt.Sprint("s", prefixes.Add(1))
			return &harness{t: t, cfg: cfg}
		})
	})
}

// harness keeps a store under a prefix. The process that has it open holds all partitions.
type harness struct {
	t     testing.TB
	cfg   redisdb.Config
	db    *redisdb.DB
	store *redisstore.Store
	stop  func()
}

func (h *harness) Open(ctx context.Context, opts storetest.Options) (streams.Store, error) {
	var err error
	if h.db, err = redisdb.Open(ctx, h.cfg); err != nil {
		return nil, err
	}
	h.store, err = redisstore.Open(ctx, redisstore.Config{
		DB: h.db, Node: "a", MaxDepth: opts.MaxDepth, Now: time.Now, Lease: 24 * time.Hour, Look: time.Hour, Poll: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	h.hold()
	return h.store, nil
}

// hold holds all partitions until h.stop.
func (h *harness) hold() {
	ctx, cancel := context.WithCancel(context.Background())
	begun, ended := make(chan int, streams.Partitions), make(chan struct{})
	go func() {
		defer close(ended)
		err := h.store.Hold(ctx, func(ctx context.Context, p streams.Partition) {
			begun <- p.Number()
			<-ctx.Done()
		})
		if err != nil {
			h.t.Errorf("Hold: %v", err)
		}
	}()
	h.stop = func() {
		cancel()
		<-ended
	}
	for range streams.Partitions {
		<-begun
	}
}

func (h *harness) Close() error {
	h.stop()
	return errors.Join(h.store.Close(), h.db.Close())
}

// Kill does not close the store: what it has in memory alone is lost. Its leases end at
// once, as they do in time.
func (h *harness) Kill() error {
	h.stop()
	h.store.Abandon()
	return h.db.Close()
}
