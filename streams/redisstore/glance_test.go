package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
)

// Who asks while a look at the stream is under way gets the answer of a later one, and all
// who do share it: a status that was changed before they asked is seen (SSF-8.1.2.1-04).
func TestStreamIsReadAfterItIsAskedFor(t *testing.T) {
	cfg := fresh(serverOf(t))
	a, b := join(t, cfg, redisstore.Config{}), join(t, cfg, redisstore.Config{})
	must(t, b.Create(t.Context(), some("s", "app", streams.SubjectsAll, typeA), 0))
	part := mustPart(t, a, "s")
	_, err := part.Stream(t.Context(), "s") // the script is sent
	must(t, err)
	slow := &slowAnswer{came: make(chan struct{}), pass: make(chan struct{})}
	slow.on.Store(true)
	a.db.Client().AddHook(slow)
	var group sync.WaitGroup
	group.Go(func() {
		if s, err := part.Stream(t.Context(), "s"); err != nil || s.Status != streams.Enabled {
			t.Errorf("first: got %v, %v, want what was before the change", s.Status, err)
		}
	})
	<-slow.came // it was read, and is not answered yet
	set(t, b, "s", func(s *streams.Stream) { s.Status = streams.Paused })
	before := a.count.n.Load()
	const others = 31
	asking := make(chan struct{}, others)
	for range others {
		group.Go(func() {
			asking <- struct{}{}
			if s, err := part.Stream(t.Context(), "s"); err != nil || s.Status != streams.Paused {
				t.Errorf("another: got %v, %v, want what was changed before it asked", s.Status, err)
			}
		})
	}
	for range others {
		<-asking
	}
	redisstore.UntilAsked(part, "s", others)
	close(slow.pass)
	group.Wait()
	if n := a.count.n.Load() - before; n > 3 { // two; a lease may be renewed meanwhile
		t.Errorf("got %d exchanges for %d who asked together, want one that tells that it is another, and one that reads it", n, others)
	}
}

// slowAnswer keeps the first answer to a look back, once.
type slowAnswer struct {
	on         atomic.Bool
	came, pass chan struct{}
}

func (s *slowAnswer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *slowAnswer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return next
}

func (s *slowAnswer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if cmds[0].Name() == "time" && s.on.CompareAndSwap(true, false) {
			close(s.came)
			<-s.pass
		}
		return err
	}
}

// A stream that is looked at again is read anew where it is another, also where a failover
// gave its version's number anew, and not by who has lost the lease.
func TestStreamLookedAtAgain(t *testing.T) {
	cfg := fresh(serverOf(t))
	a, b := join(t, cfg, redisstore.Config{}), join(t, cfg, redisstore.Config{})
	must(t, b.Create(t.Context(), some("s", "app", streams.SubjectsAll, typeA), 0))
	part := mustPart(t, a, "s")
	look := func(what string, want streams.Status) {
		t.Helper()
		for range 2 {
			if s, err := part.Stream(t.Context(), "s"); err != nil || s.Status != want {
				t.Errorf("%s: got %q, %v, want %q", what, s.Status, err, want)
			}
		}
	}
	look("created", streams.Enabled)
	scripts := a.count.scripts.Load()
	look("again", streams.Enabled)
	if n := a.count.scripts.Load() - scripts; n > 0 {
		t.Errorf("got %d scripts for a stream that is known, want none", n)
	}
	set(t, b, "s", func(s *streams.Stream) { s.Status = streams.Paused })
	look("paused by another", streams.Paused)

	client, part2 := b.db.Client(), fmt.Sprintf("%s:{p%02d}:", cfg.Prefix, part.Number())
	state, err := client.HGetAll(t.Context(), part2+"s:s").Result()
	must(t, err)
	document, err := client.Get(t.Context(), part2+"doc:s").Result()
	must(t, err)
	set(t, b, "s", func(s *streams.Stream) { s.Status = streams.Disabled })
	look("disabled by another", streams.Disabled)
	must(t, client.HSet(t.Context(), part2+"s:s", state).Err()) // a failover takes it back
	must(t, client.Set(t.Context(), part2+"doc:s", document, 0).Err())
	set(t, b, "s", func(s *streams.Stream) { s.Status = streams.Enabled })
	look("enabled under the number that disabled it", streams.Enabled)

	must(t, client.HSet(t.Context(), part2+"lease", "token", "1").Err())
	if _, err := part.Stream(t.Context(), "s"); !errors.Is(err, streams.ErrNotHeld) {
		t.Errorf("lease lost: got %v, want ErrNotHeld", err)
	}
}
