package redisstore

import (
	"context"
	"sync"

	"github.com/tocsin-ssf/tocsin/streams"
)

// glances are looks at streams right before their requests. Of a stream one is under way
// at a time, and all who ask meanwhile share the next: it begins after each of them asked,
// so that it sees whatever was changed before (SSF-8.1.2.1-04, SSF-8.1.1.5-02). The zero
// value is ready.
type glances struct {
	mu   sync.Mutex
	last map[string]*glance // of each stream that is looked at: the one to join, or to follow
}

// glance is one look.
type glance struct {
	begun  bool
	asked  int // by how many
	done   chan struct{}
	stream streams.Stream
	err    error
}

// at returns what look says of a stream, when it is called after at.
func (g *glances) at(ctx context.Context, id string, look func(context.Context) (streams.Stream, error)) (streams.Stream, error) {
	g.mu.Lock()
	before := g.last[id]
	mine := before
	if before == nil || before.begun {
		if g.last == nil {
			g.last = make(map[string]*glance)
		}
		mine = &glance{done: make(chan struct{})}
		g.last[id] = mine
		// It is others' as well: it goes on when who began it does not wait any more.
		go g.look(context.WithoutCancel(ctx), id, mine, before, look)
	}
	mine.asked++
	g.mu.Unlock()
	select {
	case <-mine.done:
		return mine.stream.Clone(), mine.err
	case <-ctx.Done():
		return streams.Stream{}, ctx.Err()
	}
}

// look makes a look when the one before it has ended.
func (g *glances) look(ctx context.Context, id string, mine, before *glance, look func(context.Context) (streams.Stream, error)) {
	if before != nil {
		<-before.done
	}
	g.mu.Lock()
	mine.begun = true
	g.mu.Unlock()
	mine.stream, mine.err = look(ctx)
	g.mu.Lock()
	if g.last[id] == mine {
		delete(g.last, id)
	}
	g.mu.Unlock()
	close(mine.done)
}
