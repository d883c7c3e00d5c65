package redisstore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
)

// A look that failed is made anew by the next that needs it: one partition asks by
// itself, not all.
func TestLookThatFails(t *testing.T) {
	s := join(t, fresh(serverOf(t)), redisstore.Config{})
	s.LookEvery(time.Hour)
	must(t, s.Create(t.Context(), some("s", "app", streams.SubjectsAll, typeA), 0))
	parts, _ := s.hold(t)
	batch := func(head uint64) int64 {
		return s.count.during(func() {
			q := streams.Query{Seq: head, Head: head, Type: typeA, Subjects: []subject.Identifier{mail("u")}}
			if found := matchAll(t, parts, q); len(found) != 1 {
				t.Fatalf("got %d streams, want 1", len(found))
			}
		})
	}
	batch(1) // loads
	batch(2) // connects for what goes together
	fails := &failingLook{}
	s.db.Client().AddHook(fails)
	fails.on.Store(true)
	if n := batch(3); n != 3 {
		t.Errorf("got %d exchanges, want a look that fails, a script and another look", n)
	}
	if n := batch(4); n != 1 {
		t.Errorf("afterwards: got %d exchanges, want 1", n)
	}
}

// failingLook fails one exchange of looks.
type failingLook struct{ on atomic.Bool }

func (f *failingLook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *failingLook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (f *failingLook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "xrevrange" && f.on.CompareAndSwap(true, false) {
			return errors.New("the answer is lost")
		}
		return next(ctx, cmds)
	}
}
