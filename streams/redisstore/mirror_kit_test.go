package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

const (
	typeB = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	typeC = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
)

// joined is a store that a process has open, with its exchanges counted.
type joined struct {
	*redisstore.Store
	db    *redisdb.DB
	count *exchanges
}

// join opens a store under a prefix, as a further process does.
func join(t testing.TB, cfg redisdb.Config, own redisstore.Config) *joined {
	t.Helper()
	db, err := redisdb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	own.DB = db
	s, err := redisstore.Open(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	j := &joined{Store: s, db: db, count: new(exchanges)}
	db.Client().AddHook(j.count)
	return j
}

// hold holds all partitions until the test ends, or the function that it returns is called.
func (j *joined) hold(t testing.TB) (parts []streams.Partition, stop func()) {
	t.Helper()
	parts = make([]streams.Partition, streams.Partitions)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Add(streams.Partitions)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := j.Hold(ctx, func(ctx context.Context, p streams.Partition) {
			parts[p.Number()] = p
			group.Done()
			<-ctx.Done()
		}); err != nil {
			t.Errorf("Hold: got %v, want no error", err)
		}
	}()
	group.Wait()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(stop)
	return parts, stop
}

// exchanges counts what is sent to the server and waited for.
type exchanges struct{ n, scripts atomic.Int64 }

func (x *exchanges) DialHook(next redis.DialHook) redis.DialHook { return next }

func (x *exchanges) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		x.n.Add(1)
		x.scripts.Add(scriptsIn(cmd))
		return next(ctx, cmd)
	}
}

func (x *exchanges) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		x.n.Add(1)
		x.scripts.Add(scriptsIn(cmds...))
		return next(ctx, cmds)
	}
}

func scriptsIn(cmds ...redis.Cmder) (n int64) {
	for _, cmd := range cmds {
		if name := cmd.Name(); name == "evalsha" || name == "eval" {
			n++
		}
	}
	return n
}

// during returns how many exchanges fn made.
func (x *exchanges) during(fn func()) int64 {
	before := x.n.Load()
	fn()
	return x.n.Load() - before
}

// matchAll asks all partitions.
func matchAll(t interface {
	Helper()
	Fatalf(string, ...any)
}, parts []streams.Partition, q streams.Query,
) []streams.Candidate {
	t.Helper()
	var all []streams.Candidate
	for _, p := range parts {
		found, err := p.Match(context.Background(), q)
		if err != nil {
			t.Fatalf("Match in partition %d: got %v, want no error", p.Number(), err)
		}
		all = append(all, found...)
	}
	return all
}

// told is what there is to compare of candidates.
func told(found []streams.Candidate) string {
	list := make([]string, len(found))
	for i, c := range found {
		list[i] = fmt.Sprintf("%s of %s epoch %d subject %d", c.Stream, c.Owner, c.Epoch, c.Subject)
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}

// some is a stream as tests have them.
func some(id, owner string, subjects streams.DefaultSubjects, types ...string) streams.Stream {
	return streams.Stream{
		ID: id, Owner: owner, EventsDelivered: types, DefaultSubjects: subjects, Status: streams.Enabled, Epoch: 1,
		Created: time.Unix(1, 0).UTC(), Active: time.Unix(1, 0).UTC(),
	}
}

func mail(name string) subject.Identifier { return subject.Email(name + "@example.com") }

// set changes a stream.
func set(t testing.TB, s streams.Store, id string, change func(*streams.Stream)) {
	t.Helper()
	_, err := s.Update(t.Context(), id, func(s *streams.Stream) ([]streams.Item, error) {
		change(s)
		return nil, nil
	})
	must(t, err)
}

// serverOf starts a server.
func serverOf(t *testing.T) redisdb.Config {
	return redisdb.Config{URL: redistest.Start(t).URL() + poolSize, Volatile: true}
}

// mustPart holds all partitions and returns that of a stream.
func mustPart(t testing.TB, j *joined, stream string) streams.Partition {
	parts, _ := j.hold(t)
	return parts[streams.PartitionOf(stream)]
}

// addArgs add an entry as it is read, under its id.
func addArgs(stream string, entry redis.XMessage) *redis.XAddArgs {
	return &redis.XAddArgs{Stream: stream, ID: entry.ID, Values: entry.Values}
}
