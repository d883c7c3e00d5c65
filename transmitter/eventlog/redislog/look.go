package redislog

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// jumpAt is from how many records behind on a process reads the edge of the
// tree anew in place of the leaves in between.
const jumpAt = 16 * segmentSize

// looks lets calls share looks at the server: a call is served by one that
// began after it.
type looks struct {
	mu            sync.Mutex
	running, next *glance
}

// glance is one look.
type glance struct {
	done chan struct{}
	err  error
}

// look asks the server where the log stands. What others had appended before
// the call is known afterwards.
func (l *Log) look(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.begin(); err != nil {
		return err
	}
	defer l.work.Done()
	g := l.looks.join(func(g *glance) {
		l.work.Add(1) // within that of the caller
		go l.glance(context.WithoutCancel(ctx), g)
	})
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join returns the next look to begin; start starts one.
func (s *looks) join(start func(*glance)) *glance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		s.running = &glance{done: make(chan struct{})}
		start(s.running)
		return s.running
	}
	if s.next == nil {
		s.next = &glance{done: make(chan struct{})}
	}
	return s.next
}

// glance looks until nobody wants it to.
func (l *Log) glance(ctx context.Context, g *glance) {
	defer l.work.Done()
	for g != nil {
		g.err = l.catchUp(ctx)
		close(g.done)
		l.looks.mu.Lock()
		g, l.looks.next = l.looks.next, nil
		l.looks.running = g
		l.looks.mu.Unlock()
	}
}

// catchUp takes in all that the server has now.
func (l *Log) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	t, err := l.ask(ctx)
	if err != nil {
		return fmt.Errorf("redislog: look: %w", err)
	}
	return l.reach(ctx, t.head)
}

// reach goes on to a head that the server told of.
func (l *Log) reach(ctx context.Context, h head) error {
	for {
		size := l.place.size()
		if size >= h.size {
			return nil
		}
		if h.size-size >= jumpAt {
			edge, err := l.loadEdge(ctx, h)
			if err != nil {
				return fmt.Errorf("redislog: look: %w", err)
			}
			l.place.jump(edge, h)
			continue
		}
		if _, err := l.ask(ctx); err != nil {
			return fmt.Errorf("redislog: look: %w", err)
		}
		if l.place.size() <= size {
			return fmt.Errorf("%w: record %d is missing", ErrDamaged, size+1)
		}
	}
}

// fresh makes sure that what is in memory is not older than lookEvery.
func (l *Log) fresh(ctx context.Context) error {
	_, looked, err := l.place.state()
	if err != nil {
		return err
	}
	select {
	case <-l.closed:
		return ErrClosed
	default:
	}
	if time.Since(looked) < lookEvery {
		return ctx.Err()
	}
	return l.look(ctx)
}

// wake hears of an append, whose message is the size of the log, of an erasure,
// or that something may have been missed: who waits looks at once.
func (l *Log) wake(message string) {
	size, err := strconv.ParseUint(message, 10, 64)
	p := &l.place
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && size <= p.edge.Size() {
		return // known already
	}
	p.looked = time.Time{}
	p.tell()
}

// Wait implements eventlog.Log. What other processes append is seen within a
// second, with Config.Wakes at once. A server that is away is waited for. Errors beside
// ctx's: ErrClosed, ErrLost.
func (l *Log) Wait(ctx context.Context, after uint64) error {
	for asked := false; ; asked = true {
		change := l.place.change()
		size, looked, err := l.place.state()
		if err != nil {
			return err
		}
		if size > after {
			return nil
		}
		left := lookEvery - time.Since(looked)
		if !asked || left <= 0 {
			if err := l.look(ctx); err == nil {
				continue
			} else if ctx.Err() != nil {
				return ctx.Err()
			}
			left = lookEvery
		}
		if err := l.pause(ctx, change, left); err != nil {
			return err
		}
	}
}

// pause waits for a change, at most for d.
func (l *Log) pause(ctx context.Context, change <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-change:
	case <-timer.C:
	case <-l.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Head implements eventlog.Log, and eventlog.Archive.
func (l *Log) Head(ctx context.Context) (uint64, error) {
	if err := l.look(ctx); err != nil {
		return 0, err
	}
	return l.place.size(), nil
}

// Tree implements eventlog.Prover.
func (l *Log) Tree(ctx context.Context) (eventlog.Tree, error) {
	if err := l.look(ctx); err != nil {
		return eventlog.Tree{}, err
	}
	return l.place.tree(), nil
}
