package signer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// maxCalls bounds the calls of a client at once, each on a connection of its own.
	maxCalls = 32
	// freshTime is how long a connection that is not used is trusted to be there still;
	// less than a server's idleTime.
	freshTime = time.Minute
)

// pool keeps connections for the next call.
type pool struct {
	path  string
	turns chan struct{}

	mu   sync.Mutex
	idle []*line // the one used last at the end; guarded by mu
}

// line is a connection that nobody uses, or one call does.
type line struct {
	conn net.Conn
	*frames
	used time.Time
}

func newPool(path string) *pool { return &pool{path: path, turns: make(chan struct{}, maxCalls)} }

// call asks once, and once more where a connection that was kept turns out to be gone. ctx
// has a deadline.
func (p *pool) call(ctx context.Context, ask request) (heard, error) {
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return heard{}, ctx.Err()
	}
	if l := p.kept(); l != nil {
		said, err := p.on(ctx, l, ask)
		if _, refused := errors.AsType[*Refusal](err); err == nil || refused || errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			return said, err
		}
		p.close() // the others are of the same process, which has ended
	}
	l, err := p.dial(ctx)
	if err != nil {
		return heard{}, err
	}
	return p.on(ctx, l, ask)
}

// kept returns a connection that is not used; nil: there is none.
func (p *pool) kept() *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		l := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if time.Since(l.used) < freshTime {
			return l
		}
		_ = l.conn.Close() // nothing is on its way
	}
	return nil
}

// on asks on a connection, which is kept if it is good.
func (p *pool) on(ctx context.Context, l *line, ask request) (heard, error) {
	var said heard
	deadline, _ := ctx.Deadline()
	err := l.conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	if err == nil {
		err = l.write(ask)
	}
	if err == nil {
		err = l.read(&said)
	}
	if !stop() || err != nil {
		_ = l.conn.Close() // it is in no known state
		if err == nil {
			err = ctx.Err()
		}
		return heard{}, err
	}
	p.keep(l)
	if said.Error != nil {
		return heard{}, said.Error
	}
	return said, nil
}

func (p *pool) keep(l *line) {
	l.used = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, l)
}

// dial opens a connection and hears the greeting.
func (p *pool) dial(ctx context.Context) (*line, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", p.path)
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn, frames: newFrames(conn)}
	var hello greeting
	deadline, _ := ctx.Deadline()
	err = conn.SetDeadline(deadline)
	if err == nil {
		err = l.read(&hello)
	}
	switch {
	case err != nil:
	case hello.Protocol != protocol || hello.Version != Version:
		err = fmt.Errorf("signer: it speaks %.40q version %d, want %s version %d", hello.Protocol, hello.Version, protocol, Version)
	case hello.Error != nil:
		err = hello.Error
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return l, nil
}

// close closes the connections that are not used.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.idle {
		_ = l.conn.Close() // nothing is on its way
	}
	p.idle = nil
}
