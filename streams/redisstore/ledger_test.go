package redisstore_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// holding is a partition as its work has it.
type holding struct {
	streams.Partition
	ctx context.Context
}

// works holds all partitions and tells of each that it begins to work on of a stream.
func (j *joined) works(t testing.TB, stream string) <-chan holding {
	t.Helper()
	begun := make(chan holding)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := j.Hold(ctx, func(ctx context.Context, p streams.Partition) {
			if p.Number() == streams.PartitionOf(stream) {
				select {
				case begun <- holding{p, ctx}:
				case <-ctx.Done():
				}
			}
			<-ctx.Done()
		}); err != nil {
			t.Errorf("Hold: got %v, want no error", err)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return begun
}

// copied is what keys had at a moment.
func copied(t *testing.T, c redis.UniversalClient) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, key := range keys(t, c) {
		text, err := c.Dump(t.Context(), key).Result()
		must(t, err)
		all[key] = text
	}
	return all
}

// goBack makes a server what it was, as a failover to a replica that lagged does.
func goBack(t *testing.T, c redis.UniversalClient, to map[string]string) {
	t.Helper()
	pipe := c.TxPipeline()
	pipe.FlushDB(t.Context())
	for key, text := range to {
		pipe.Restore(t.Context(), key, 0, text)
	}
	_, err := pipe.Exec(t.Context())
	must(t, err)
}

// A failover to a replica that lagged takes puts back that were answered, and lets the
// lease go on. Whatever its holder calls next tells it: it writes nothing any more, and who
// begins anew has the place of that moment, from which nothing is missing.
func TestServerWentBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(p streams.Partition) error
	}{
		{"put", func(p streams.Partition) error {
			_, err := p.Put(context.Background(), eventOf("s", 3, 3))
			return err
		}},
		{"place", func(p streams.Partition) error { return p.SaveCursor(context.Background(), "f", 2) }},
		{"ready", func(p streams.Partition) error {
			_, err := p.Ready(context.Background(), 1)
			return err
		}},
		{"take", func(p streams.Partition) error {
			_, err := p.Take(context.Background(), "s", streams.TakeOptions{Max: 9, Lease: lease})
			return err
		}},
		{"stream", func(p streams.Partition) error {
			_, err := p.Stream(context.Background(), "s")
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.Start(t)
			j := join(t, redisdb.Config{URL: server.URL() + poolSize, Volatile: true}, redisstore.Config{Look: 50 * time.Millisecond})
			c := server.Client(t)
			must(t, j.Create(t.Context(), streamOf("s"), 0))
			begun := j.works(t, "s")
			p := <-begun
			_, err := p.Put(t.Context(), eventOf("s", 1, 1))
			must(t, err)
			must(t, p.SaveCursor(t.Context(), "f", 1))
			before := copied(t, c)
			_, err = p.Put(t.Context(), eventOf("s", 2, 2))
			must(t, err)
			goBack(t, c, before)
			if err := tt.call(p); !errors.Is(err, streams.ErrNotHeld) {
				t.Errorf("got %v, want %v", err, streams.ErrNotHeld)
			}
			select {
			case <-p.ctx.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("got the work going on, want it ended")
			}
			again := <-begun
			if at, err := again.Cursor(t.Context(), "f"); at != 1 || err != nil {
				t.Errorf("got place %d, %v, want 1", at, err)
			}
			_, err = again.Put(t.Context(), eventOf("s", 2, 2), eventOf("s", 3, 3))
			must(t, err)
			items, err := again.Take(t.Context(), "s", streams.TakeOptions{Max: 9, Lease: lease})
			must(t, err)
			if got := seqs(items); got != "1 2 3" {
				t.Errorf("got %s, want 1 2 3", got)
			}
		})
	}
}

// deaf carries out what is asked, and lets no answer through while it is on.
type deaf struct{ on atomic.Bool }

func (d *deaf) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *deaf) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if name := cmd.Name(); d.on.Load() && (name == "evalsha" || name == "eval") && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			err = io.EOF
			cmd.SetErr(err)
		}
		return err
	}
}

func (d *deaf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// What a holder took, or was told is ready, and did not hear of, it has when it asks again:
// else it would be out, or unknown, until the lease of an item ends, or another event comes.
func TestAnswerLostForLong(t *testing.T) {
	cfg := serverOf(t)
	cfg.Patience = 20 * time.Millisecond
	j := join(t, cfg, redisstore.Config{Look: time.Hour, Lease: time.Hour})
	line := new(deaf)
	j.db.Client().AddHook(line)
	s := streamOf("s")
	must(t, j.Create(t.Context(), s, 0))
	p := <-j.works(t, "s")
	_, err := p.Put(t.Context(), eventOf("s", 1, 1), eventOf("s", 2, 2))
	must(t, err)

	line.on.Store(true)
	if ids, err := p.Ready(t.Context(), 9); err == nil {
		t.Fatalf("got %v ready, want a failure", ids)
	}
	line.on.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if ids, err := p.Ready(ctx, 9); len(ids) != 1 || err != nil {
		t.Errorf("got %v, %v ready, want the stream", ids, err)
	}

	opts := streams.TakeOptions{Max: 9, Lease: time.Hour}
	line.on.Store(true)
	if items, err := p.Take(t.Context(), "s", opts); err == nil {
		t.Fatalf("got %d items, want a failure", len(items))
	}
	line.on.Store(false)
	items, err := p.Take(t.Context(), "s", opts)
	must(t, err)
	if got := seqs(items); got != "1 2" {
		t.Errorf("got %q, want 1 2", got)
	}
	if items, err = p.Take(t.Context(), "s", opts); len(items) != 0 || err != nil {
		t.Errorf("got %d items, %v, want each once", len(items), err)
	}
}
