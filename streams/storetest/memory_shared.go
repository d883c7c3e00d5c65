package storetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// memoryLeases are the leases of the partitions of a Memory.
type memoryLeases struct {
	members []*MemoryProcess // those in Hold
	parts   [streams.Partitions]memoryLease
	cursors map[string]*[streams.Partitions]uint64 // by follower
}

// memoryLease is the lease of one partition. The token of what was never held,
// or whose lease has ended, is nobody's.
type memoryLease struct {
	token  uint64
	holder *MemoryProcess // nil: free
}

// MemoryProcess is a Memory as one of several processes sees it: a
// [streams.Shared]. Its leases end only by [Memory.EndLeases].
type MemoryProcess struct{ *Memory }

var _ streams.Shared = (*MemoryProcess)(nil)

// Process returns m as a further process sees it.
func (m *Memory) Process() *MemoryProcess { return &MemoryProcess{m} }

// EndLeases ends the leases of all partitions, as time does to those that are
// not renewed. Nobody is told at once.
func (m *Memory) EndLeases() {
	defer m.lock()()
	for i := range m.shared.parts {
		m.shared.parts[i].token++
		m.shared.parts[i].holder = nil
	}
}

// Hold implements [streams.Shared].
func (p *MemoryProcess) Hold(ctx context.Context, work func(ctx context.Context, part streams.Partition)) error {
	p.mu.Lock()
	p.shared.members = append(p.shared.members, p)
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	grips := make(map[int]*memoryGrip)
	var group sync.WaitGroup
	for ctx.Err() == nil {
		p.mu.Lock()
		want := (streams.Partitions + len(p.shared.members) - 1) / len(p.shared.members)
		surplus := -want
		for _, g := range grips {
			if !g.part.held() {
				g.leave()
			}
			if !g.leaving {
				surplus++
			}
		}
		for _, g := range grips {
			if !g.leaving && surplus > 0 {
				g.leave()
				surplus--
			}
		}
		taken := false
		for i := range p.shared.parts {
			if len(grips) >= want || grips[i] != nil || p.shared.parts[i].holder != nil {
				continue
			}
			part := p.takeLease(i)
			inner, end := context.WithCancel(ctx)
			grips[i], taken = &memoryGrip{part: part, end: end}, true
			group.Go(func() {
				defer func() {
					end()
					defer p.lock()()
					if part.held() {
						p.shared.parts[i].holder = nil
					}
					delete(grips, i)
				}()
				work(inner, part)
			})
		}
		changed := p.changed
		p.mu.Unlock()
		if taken {
			p.lock()() // tells those who wait in Ready
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	group.Wait()
	defer p.lock()()
	p.shared.members = slices.DeleteFunc(p.shared.members, func(o *MemoryProcess) bool { return o == p })
	return nil
}

// memoryGrip is a partition whose work runs.
type memoryGrip struct {
	part    *memoryPartition
	end     func()
	leaving bool
}

// leave ends the work. The grip stays among those that are held until the work
// has returned.
func (g *memoryGrip) leave() {
	g.leaving = true
	g.end()
}

// takeLease takes the lease of a partition. What its last holder had taken returns.
func (p *MemoryProcess) takeLease(i int) *memoryPartition {
	lease := &p.shared.parts[i]
	lease.token++
	lease.holder = p
	for _, s := range p.order {
		if streams.PartitionOf(s.ID) != i {
			continue
		}
		s.cause = true
		for _, it := range s.items {
			if it.worker {
				it.until, it.worker = time.Time{}, false
			}
		}
	}
	return &memoryPartition{p, i, lease.token}
}

// Ready implements [streams.Queue].
func (p *MemoryProcess) Ready(ctx context.Context, max int) ([]string, error) {
	return p.ready(ctx, max, func(stream string) bool {
		return p.shared.parts[streams.PartitionOf(stream)].holder == p
	})
}

// Cursor implements [streams.Cursors].
func (p *MemoryProcess) Cursor(_ context.Context, follower string) (uint64, error) {
	defer p.lock()()
	if c := p.shared.cursors[follower]; c != nil {
		return slices.Min(c[:]), nil
	}
	return 0, nil
}

// SaveCursor implements [streams.Cursors].
func (p *MemoryProcess) SaveCursor(_ context.Context, follower string, seq uint64) error {
	defer p.lock()()
	for i := range streams.Partitions {
		p.saveCursor(i, follower, seq)
	}
	return nil
}

func (p *MemoryProcess) saveCursor(i int, follower string, seq uint64) {
	if p.shared.cursors == nil {
		p.shared.cursors = make(map[string]*[streams.Partitions]uint64)
	}
	if p.shared.cursors[follower] == nil {
		p.shared.cursors[follower] = new([streams.Partitions]uint64)
	}
	p.shared.cursors[follower][i] = seq
	p.cursors[follower] = max(p.cursors[follower], seq) // for Highest
}

// CursorOf implements [streams.Shared].
func (p *MemoryProcess) CursorOf(_ context.Context, follower, stream string) (uint64, error) {
	defer p.lock()()
	if c := p.shared.cursors[follower]; c != nil {
		return c[streams.PartitionOf(stream)], nil
	}
	return 0, nil
}

// memoryPartition is a partition that is, or was, held.
type memoryPartition struct {
	p     *MemoryProcess
	n     int
	token uint64
}

// held reports whether the lease lasts. The Memory is locked.
func (h *memoryPartition) held() bool {
	lease := h.p.shared.parts[h.n]
	return lease.holder == h.p && lease.token == h.token
}

// check is ErrNotHeld unless the lease lasts and the streams are of the
// partition. The Memory is locked.
func (h *memoryPartition) check(ids ...string) error {
	if !h.held() || slices.ContainsFunc(ids, func(id string) bool { return streams.PartitionOf(id) != h.n }) {
		return streams.ErrNotHeld
	}
	return nil
}

func (h *memoryPartition) Number() int { return h.n }

func (h *memoryPartition) Match(_ context.Context, q streams.Query) ([]streams.Candidate, error) {
	defer h.p.lock()()
	all, err := h.p.match(q)
	return slices.DeleteFunc(all, func(c streams.Candidate) bool { return streams.PartitionOf(c.Stream) != h.n }), err
}

func (h *memoryPartition) Cursor(_ context.Context, follower string) (uint64, error) {
	defer h.p.lock()()
	if c := h.p.shared.cursors[follower]; c != nil {
		return c[h.n], nil
	}
	return 0, nil
}

func (h *memoryPartition) SaveCursor(_ context.Context, follower string, seq uint64) error {
	defer h.p.lock()()
	if err := h.check(); err != nil {
		return err
	}
	h.p.saveCursor(h.n, follower, seq)
	return nil
}

func (h *memoryPartition) Stream(ctx context.Context, id string) (streams.Stream, error) {
	unlock := h.p.lock()
	err := h.check(id)
	unlock()
	if err != nil {
		return streams.Stream{}, err
	}
	return h.p.Stream(ctx, id)
}

func (h *memoryPartition) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	defer h.p.lock()()
	for i := range items {
		if err := h.check(items[i].Stream); err != nil {
			return streams.PutReport{}, err
		}
	}
	return h.p.put(ctx, items)
}

func (h *memoryPartition) Ready(ctx context.Context, max int) ([]string, error) {
	return h.p.ready(ctx, max, func(stream string) bool { return streams.PartitionOf(stream) == h.n && h.held() })
}

func (h *memoryPartition) Take(ctx context.Context, id string, opts streams.TakeOptions) ([]streams.Item, error) {
	return h.p.Memory.take(ctx, id, opts, h)
}

func (h *memoryPartition) Settle(_ context.Context, id string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	defer h.p.lock()()
	if err := h.check(id); err != nil {
		return nil, err
	}
	return h.p.settle(id, outcomes, health)
}

func (h *memoryPartition) Health(ctx context.Context, id string) (streams.Health, error) {
	if streams.PartitionOf(id) != h.n {
		return streams.Health{}, streams.ErrNotHeld
	}
	return h.p.Health(ctx, id)
}

func (h *memoryPartition) Depth(ctx context.Context, id string) (streams.Depth, error) {
	if streams.PartitionOf(id) != h.n {
		return streams.Depth{}, streams.ErrNotHeld
	}
	return h.p.Depth(ctx, id)
}
