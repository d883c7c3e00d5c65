package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Site is one place of storage that several processes may have open.
type Site interface {
	// Join opens the store once more, as a further process does, with leases of
	// a second or less.
	Join(ctx context.Context) (streams.Shared, error)
	// Leave closes what Join opened, after its Hold has returned.
	Leave(s streams.Shared) error
	// EndLeases ends all leases of partitions as if their holders had been
	// frozen past them: what is held meanwhile is held no more, and no process
	// is told.
	EndLeases() error
}

// RunShared runs the suite of [streams.Shared], in real time: each case is one
// sentence of its contract (contracts.md §9). site makes a fresh place.
func RunShared(t *testing.T, site func(testing.TB) Site) {
	for _, c := range sharedCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&crowd{TB: t, site: site(t)})
		})
	}
}

// soon bounds, in real time, what must come at once or after a lease.
const soon = 20 * time.Second

// crowd is some processes on one site.
type crowd struct {
	testing.TB
	site Site
}

// process is a store that is open; the fixture's helpers work on it.
type process struct {
	*fixture
	shared streams.Shared

	mu      sync.Mutex
	parts   map[int]streams.Partition // that it holds
	changed chan struct{}
	stop    func()
	ended   chan struct{}
}

// join opens the store as a further process.
func (c *crowd) join() *process {
	c.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := c.site.Join(ctx)
	if err != nil {
		c.Fatalf("Join: got %v, want no error", err)
	}
	p := &process{
		fixture: &fixture{TB: c.TB, ctx: ctx, store: s}, shared: s,
		parts: make(map[int]streams.Partition), changed: make(chan struct{}, 1),
	}
	c.Cleanup(func() {
		if p.stop != nil {
			p.stop()
			<-p.ended
		}
		cancel()
		if err := c.site.Leave(s); err != nil {
			c.Errorf("Leave: %v", err)
		}
	})
	return p
}

// hold takes part in the work.
func (p *process) hold() *process {
	ctx, cancel := context.WithCancel(p.ctx)
	p.stop, p.ended = cancel, make(chan struct{})
	go func() {
		defer close(p.ended)
		if err := p.shared.Hold(ctx, func(ctx context.Context, part streams.Partition) {
			p.set(part.Number(), part)
			<-ctx.Done()
			p.set(part.Number(), nil)
		}); err != nil {
			p.Errorf("Hold: got %v, want no error", err)
		}
	}()
	return p
}

func (p *process) set(n int, part streams.Partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts[n] != nil && part != nil {
		p.Errorf("partition %d is worked on twice at a time", n)
	}
	if delete(p.parts, n); part != nil {
		p.parts[n] = part
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// held returns the partitions held now, in order.
func (p *process) held() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []int
	for n := range p.parts {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// until waits until the process holds n partitions.
func (p *process) until(n int) {
	p.Helper()
	p.wait(fmt.Sprintf("hold %d partitions", n), func() bool { return len(p.held()) == n })
}

// part waits for the partition of a stream, other than a former one.
func (p *process) part(stream string, former streams.Partition) streams.Partition {
	p.Helper()
	var part streams.Partition
	p.wait("hold the partition of "+stream, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		part = p.parts[streams.PartitionOf(stream)]
		return part != nil && part != former
	})
	return part
}

func (p *process) wait(what string, is func() bool) {
	p.Helper()
	for end := time.After(soon); !is(); {
		select {
		case <-p.changed:
		case <-time.After(5 * time.Millisecond):
		case <-end:
			p.Fatalf("it did not come to %s; held are %v", what, p.held())
		}
	}
}

// streamIn returns a name of a stream in a partition.
func streamIn(partition int) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("s%d", i); streams.PartitionOf(id) == partition {
			return id
		}
	}
}

var takeOne = streams.TakeOptions{Max: 1, Lease: lease}

type sharedCase struct {
	name string
	run  func(*crowd)
}

func sharedCases() []sharedCase {
	return []sharedCase{
		{"ProcessesDivideThePartitions", divide},
		{"AnotherSeesWhatOneWrote", seen},
		{"OwnersLimitHoldsForAllProcesses", limited},
		{"APutWakesTakersOfOtherProcesses", wakes},
		{"ItemsOfAPollAreOutForAllAndAreSettledByAny", polled},
		{"ReadyIsOfPartitionsThatAreHeld", readyOfHeld},
		{"APartitionKnowsItsStreamsAlone", partitionAlone},
		{"AfterTheLeaseNothingIsWritten", fenced},
		{"WhatAFormerHolderHadTakenReturns", takenReturns},
		{"ANewHolderPutsNothingAgain", putAgain},
		{"CursorIsTheLeastOfThePartitions", leastCursor},
		{"DisablingEndsWhatAHolderMatched", disabled},
	}
}
