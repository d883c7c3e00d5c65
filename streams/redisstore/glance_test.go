package redisstore_test

import (
	"context"
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
	if n := a.count.n.Load() - before; n > 2 { // one; a lease may be renewed meanwhile
		t.Errorf("got %d exchanges for %d who asked together, want one", n, others)
	}
}

// slowAnswer keeps the first answer back, once.
type slowAnswer struct {
	on         atomic.Bool
	came, pass chan struct{}
}

func (s *slowAnswer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *slowAnswer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if scriptsIn(cmd) > 0 && s.on.CompareAndSwap(true, false) {
			close(s.came)
			<-s.pass
		}
		return err
	}
}

func (s *slowAnswer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if scriptsIn(cmds...) > 0 && s.on.CompareAndSwap(true, false) {
			close(s.came)
			<-s.pass
		}
		return err
	}
}
