package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

// poolSize gives every call a connection of its own: who waits for one does so on a timer
// of the client's that may be of another bubble.
const poolSize = "?pool_size=256"

// servers are a server by itself, with a user that may do what is documented and no more,
// and one that is a cluster, to see that no script and no command reaches into another slot.
func servers(t *testing.T, test func(t *testing.T, cfg redisdb.Config)) {
	t.Run("single", func(t *testing.T) {
		s := redistest.Start(t)
		test(t, redisdb.Config{URL: s.Limit(t) + poolSize, Volatile: true})
	})
	t.Run("cluster", func(t *testing.T) {
		s := redistest.StartCluster(t)
		test(t, redisdb.Config{URL: "redis://" + s.Addr + poolSize, Cluster: true, Volatile: true})
	})
}

// prefixes numbers the places of storage.
var prefixes atomic.Int64

// newPrefix returns a prefix of keys for a place of storage, which limited users may use.
func newPrefix() string { return fmt.Sprint(redistest.LimitedPrefix, ":s", prefixes.Add(1)) }

func TestSuite(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		storetest.Run(t, func(t testing.TB) storetest.Harness {
			// A cluster client's goroutines, which sleep a little, end with the bubble.
			t.Cleanup(func() { <-time.After(time.Second) })
			cfg.Prefix = newPrefix()
			return &harness{t: t, cfg: cfg}
		})
	})
}

// What the client sends again, because an answer was lost, comes to the same: here it sends
// every script twice.
func TestSuiteRepeated(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		cfg := redisdb.Config{Volatile: true, Prefix: newPrefix()}
		return &harness{t: t, cfg: cfg, connect: func() redis.UniversalClient {
			client, err := redisdb.Connect("redis://"+server.Addr+poolSize, false)
			if err != nil {
				t.Fatal(err)
			}
			client.AddHook(twice{})
			return client
		}}
	})
}

// twice sends scripts twice, as a client does that had no answer.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook { return next }

func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := next(ctx, cmd); err != nil || cmd.Name() != "evalsha" {
			return err
		}
		return next(ctx, cmd)
	}
}

func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := next(ctx, cmds); err != nil || cmds[0].Name() != "evalsha" {
			return err
		}
		return next(ctx, cmds)
	}
}

// What a store promises the holder of a partition does, too.
func TestSuiteHolder(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		cfg := redisdb.Config{URL: server.URL() + poolSize, Volatile: true, Prefix: newPrefix()}
		return &harness{t: t, cfg: cfg, holder: true}
	})
}

// holder is a store that does as a holder of all partitions what one can.
type holder struct {
	*redisstore.Store
	parts *[streams.Partitions]streams.Partition
	head  *atomic.Uint64
}

func (h holder) of(stream string) streams.Partition { return h.parts[streams.PartitionOf(stream)] }

func (h holder) Match(ctx context.Context, q streams.Query) ([]streams.Candidate, error) {
	q.Head = h.head.Add(1) // each is asked as if of a later record
	var all []streams.Candidate
	for _, p := range h.parts {
		found, err := p.Match(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (h holder) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	var byPart [streams.Partitions][]streams.Item
	for _, it := range items {
		n := streams.PartitionOf(it.Stream)
		byPart[n] = append(byPart[n], it)
	}
	all := streams.PutReport{Full: make(map[string]int)}
	for n, list := range byPart {
		r, err := h.parts[n].Put(ctx, list...)
		if err != nil {
			return streams.PutReport{}, err
		}
		all.Kept, all.Seen, all.Gone = all.Kept+r.Kept, all.Seen+r.Seen, all.Gone+r.Gone
		maps.Copy(all.Full, r.Full)
	}
	return all, nil
}

func (h holder) Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	return h.of(stream).Take(ctx, stream, opts)
}

func (h holder) Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	return h.of(stream).Settle(ctx, stream, outcomes, health)
}

func (h holder) Stream(ctx context.Context, id string) (streams.Stream, error) {
	return h.of(id).Stream(ctx, id)
}

func (h holder) Health(ctx context.Context, stream string) (streams.Health, error) {
	return h.of(stream).Health(ctx, stream)
}

func (h holder) Depth(ctx context.Context, stream string) (streams.Depth, error) {
	return h.of(stream).Depth(ctx, stream)
}

// harness keeps a store under a prefix. The process that has it open holds all partitions.
type harness struct {
	t   testing.TB
	cfg redisdb.Config
	// connect, if set, makes the client that is used.
	connect func() redis.UniversalClient
	// holder says that the store is used by its partitions.
	holder bool

	db    *redisdb.DB
	store *redisstore.Store
	stop  func()
}

func (h *harness) Open(ctx context.Context, opts storetest.Options) (streams.Store, error) {
	var err error
	if h.connect != nil {
		h.cfg.Client = h.connect()
	}
	if h.db, err = redisdb.Open(ctx, h.cfg); err != nil {
		return nil, err
	}
	h.store, err = redisstore.Open(ctx, redisstore.Config{
		DB: h.db, Node: "a", MaxDepth: opts.MaxDepth, Now: time.Now, Lease: 24 * time.Hour, Look: time.Hour, Poll: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	parts := h.hold()
	if h.holder {
		return holder{h.store, parts, new(atomic.Uint64)}, nil
	}
	return h.store, nil
}

// hold holds all partitions until h.stop.
func (h *harness) hold() *[streams.Partitions]streams.Partition {
	ctx, cancel := context.WithCancel(context.Background())
	begun, ended := make(chan streams.Partition, streams.Partitions), make(chan struct{})
	go func() {
		defer close(ended)
		err := h.store.Hold(ctx, func(ctx context.Context, p streams.Partition) {
			begun <- p
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
	var parts [streams.Partitions]streams.Partition
	for range parts {
		p := <-begun
		parts[p.Number()] = p
	}
	return &parts
}

func (h *harness) Close() error {
	h.stop()
	return errors.Join(h.store.Close(), h.disconnect())
}

func (h *harness) disconnect() error {
	err := h.db.Close()
	if h.cfg.Client != nil {
		err = errors.Join(err, h.cfg.Client.Close())
	}
	return err
}

// Kill does not close the store: what it has in memory alone is lost. Its leases end at
// once, as they do in time.
func (h *harness) Kill() error {
	h.stop()
	h.store.Abandon()
	return h.disconnect()
}
