package rediskeeper

import (
	"context"
	"sync"
)

// part is a lease, and who uses it in this process.
type part struct {
	mu      sync.Mutex
	held    <-chan struct{} // nil: not held; closed when the lease is to be given up
	users   int
	idle    chan struct{} // closed when the lease is to be given up and nobody uses it
	changed chan struct{} // closed when it is held
}

// hold lets the part be used until ctx ends, and returns when it is no longer.
func (p *part) hold(ctx context.Context) {
	p.mu.Lock()
	p.held, p.idle = ctx.Done(), make(chan struct{})
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	idle := p.idle
	p.held = nil
	if p.users == 0 {
		close(idle)
	}
	p.mu.Unlock()
	<-idle
}

// enter uses the part. If it is not held it returns nil, and a channel that is closed when
// it is.
func (p *part) enter() (held, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.held:
		return nil, p.changed
	default:
	}
	if p.held == nil {
		return nil, p.changed
	}
	p.users++
	return p.held, nil
}

func (p *part) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users--
	if p.users == 0 && p.held == nil {
		close(p.idle)
	}
}

// turn runs work while the part is held, until ctx ends.
func (p *part) turn(ctx context.Context, work func(ctx context.Context)) {
	for ctx.Err() == nil {
		held, changed := p.enter()
		if held == nil {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		p.use(ctx, held, work)
		select { // work ends with its context; by itself it is not begun anew in this turn
		case <-held:
		case <-ctx.Done():
		}
	}
}

// use runs work until it ends, ctx does, or the lease is to be given up.
func (p *part) use(ctx context.Context, held <-chan struct{}, work func(ctx context.Context)) {
	defer p.leave()
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		defer cancel()
		select {
		case <-held:
		case <-ctx.Done():
		}
	})
	work(ctx)
	cancel()
	watch.Wait()
}
