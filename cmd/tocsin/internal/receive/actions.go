package receive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// actions are hooks and rules as one configuration has them. They are exchanged as a
// whole: an event that is being handled ends with those it began with.
type actions struct {
	engine *policy.Engine

	mu     sync.Mutex
	users  int
	closed bool
	idle   chan struct{} // closed when closed and without users
	hooks  map[string]hooks.Hook
}

// newActions builds hooks and rules of cfg. What the hooks did goes to the journal.
func newActions(cfg Config, to policy.Config, outside hookEnv) (*actions, error) {
	a := &actions{idle: make(chan struct{})}
	var err error
	var names marked
	a.hooks, names, err = newHooks(cfg.Hooks, outside)
	if err != nil {
		return nil, err
	}
	to.DryHooks, to.AnyIssuer = names.dry, names.anyIssuer
	to.Hooks, to.DryRun, to.HookTimeout = a.hooks, cfg.DryRun, cfg.HookTimeout
	if to.Rules, err = loadRules(cfg, a.hooks); err == nil {
		a.engine, err = policy.New(to)
	}
	if err != nil {
		return nil, errors.Join(err, a.release())
	}
	return a, nil
}

// loadRules compiles the rules of cfg.
func loadRules(cfg Config, all map[string]hooks.Hook) (*policy.Rules, error) {
	known := policy.Known{Hooks: slices.Sorted(maps.Keys(all)), Issuers: map[string]string{}}
	for _, is := range cfg.Issuers {
		known.Issuers[is.Name] = is.Issuer
	}
	if cfg.rules.Name == "" {
		return policy.Load(known)
	}
	return policy.Load(known, cfg.rules)
}

// handle does what the rules say about an event of an issuer.
func (a *actions) handle(ctx context.Context, issuer string, d receiver.Delivery) error {
	return a.engine.Feed(issuer)(ctx, d)
}

// release closes the hooks that hold something.
func (a *actions) release() error {
	var errs []error
	for name, hook := range a.hooks {
		if closer, ok := hook.(io.Closer); ok {
			if err := closer.Close(); err != nil {
				errs = append(errs, fmt.Errorf("closing the hook %s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
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
