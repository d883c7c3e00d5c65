package storetest

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// recorder is a testing.TB that notes a failure instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

func (r *recorder) fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Helper() {}

func (r *recorder) Log(...any) {}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Fail() { r.fail() }

func (r *recorder) Error(...any) { r.fail() }

func (r *recorder) Errorf(string, ...any) { r.fail() }

func (r *recorder) FailNow() { r.fail(); runtime.Goexit() }

func (r *recorder) Fatal(...any) { r.FailNow() }

func (r *recorder) Fatalf(string, ...any) { r.FailNow() }

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

// record runs a case and reports whether it failed.
func record(t *testing.T, c testCase, place Harness) bool {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(r.cleanups) {
				f()
			}
		}()
		defer func() {
			if p := recover(); p != nil {
				r.fail() // a broken store may break the case too
			}
		}()
		c.run(newFixture(r, place, Options{}))
	}()
	<-done
	return r.failed
}

// broken is Memory with a fault.
type broken struct {
	*Memory
	fault fault
}

// fault is what may be wrong; nil functions are right.
type fault struct {
	put     func(*Memory, []streams.Item) []streams.Item
	took    func(*Memory, string, []streams.Item) []streams.Item
	settle  func(*Memory, string, []streams.Outcome, *streams.Health) ([]streams.Outcome, *streams.Health)
	settled func(*Memory, string)
	ready   func([]string) []string
	update  func(m *Memory, before, after streams.Stream)
	reopen  func(*Memory)
	match   func(*Memory, []streams.Candidate) []streams.Candidate
	query   func(*streams.Query)
	create  func(*streams.Stream)
	deleted func(*Memory, string)
	subject func(subject.Identifier) subject.Identifier
	resent  func(*Memory, string, string)
	expire  func(*time.Time)
	points  func(queued, dead []streams.Item) ([]streams.Item, []streams.Item)
	forget  func(subject.Identifier) subject.Identifier
}

func (b *broken) Pointing(ctx context.Context, records []uint64, max int) (queued, dead []streams.Item, err error) {
	queued, dead, err = b.Memory.Pointing(ctx, records, max)
	if b.fault.points != nil {
		queued, dead = b.fault.points(queued, dead)
	}
	return queued, dead, err
}

func (b *broken) Forget(ctx context.Context, owner string, id subject.Identifier) (int, error) {
	if b.fault.forget != nil {
		id = b.fault.forget(id)
	}
	return b.Memory.Forget(ctx, owner, id)
}

func (b *broken) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	if b.fault.put != nil {
		items = b.fault.put(b.Memory, items)
	}
	return b.Memory.Put(ctx, items...)
}

func (b *broken) Take(ctx context.Context, id string, opts streams.TakeOptions) ([]streams.Item, error) {
	items, err := b.Memory.Take(ctx, id, opts)
	if b.fault.took != nil && err == nil {
		items = b.fault.took(b.Memory, id, items)
	}
	return items, err
}

func (b *broken) Settle(ctx context.Context, id string, outcomes []streams.Outcome, h *streams.Health) ([]streams.Item, error) {
	if b.fault.settle != nil {
		outcomes, h = b.fault.settle(b.Memory, id, outcomes, h)
	}
	items, err := b.Memory.Settle(ctx, id, outcomes, h)
	if b.fault.settled != nil {
		b.fault.settled(b.Memory, id)
	}
	return items, err
}

func (b *broken) Ready(ctx context.Context, max int) ([]string, error) {
	for {
		ids, err := b.Memory.Ready(ctx, max)
		if b.fault.ready != nil && err == nil {
			if ids = b.fault.ready(ids); len(ids) == 0 {
				continue
			}
		}
		return ids, err
	}
}

func (b *broken) Update(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	before, _ := b.Memory.Stream(ctx, id)
	after, err := b.Memory.Update(ctx, id, change)
	if b.fault.update != nil && err == nil {
		b.fault.update(b.Memory, before, after)
	}
	return after, err
}

func (b *broken) Match(ctx context.Context, q streams.Query) ([]streams.Candidate, error) {
	if b.fault.query != nil {
		b.fault.query(&q)
	}
	found, err := b.Memory.Match(ctx, q)
	if b.fault.match != nil {
		found = b.fault.match(b.Memory, found)
	}
	return found, err
}

func (b *broken) Create(ctx context.Context, s streams.Stream, limit int) error {
	if b.fault.create != nil {
		b.fault.create(&s)
	}
	return b.Memory.Create(ctx, s, limit)
}

func (b *broken) Delete(ctx context.Context, id string) error {
	err := b.Memory.Delete(ctx, id)
	if b.fault.deleted != nil {
		b.fault.deleted(b.Memory, id)
	}
	return err
}

func (b *broken) Add(ctx context.Context, id string, sub subject.Identifier, limit int) error {
	if b.fault.subject != nil {
		sub = b.fault.subject(sub)
	}
	return b.Memory.Add(ctx, id, sub, limit)
}

func (b *broken) Resend(ctx context.Context, id, jti string) error {
	err := b.Memory.Resend(ctx, id, jti)
	if b.fault.resent != nil && err == nil {
		b.fault.resent(b.Memory, id, jti)
	}
	return err
}

func (b *broken) Expire(ctx context.Context, before time.Time, max int) (map[string]int, error) {
	if b.fault.expire != nil {
		b.fault.expire(&before)
	}
	return b.Memory.Expire(ctx, before, max)
}

// brokenPlace is the harness of a broken store.
type brokenPlace struct {
	store *broken
	fault fault
}

func (p *brokenPlace) Open(_ context.Context, opts Options) (streams.Store, error) {
	if p.store == nil {
		p.store = &broken{NewMemory(opts), p.fault}
		return p.store, nil
	}
	p.store.Restart(opts)
	if p.fault.reopen != nil {
		p.fault.reopen(p.store.Memory)
	}
	return p.store, nil
}

func (p *brokenPlace) Close() error { return nil }

func (p *brokenPlace) Kill() error { return nil }

// each calls f for every stream under the lock.
func (m *Memory) each(f func(*memoryStream)) {
	defer m.lock()()
	for _, s := range m.order {
		f(s)
	}
}

// one calls f for one stream, if it is there, under the lock.
func (m *Memory) one(id string, f func(*memoryStream)) {
	defer m.lock()()
	if s := m.streams[id]; s != nil {
		f(s)
	}
}
