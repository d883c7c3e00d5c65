package sqlitestore

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// stream is one stream in memory.
//
// Locks are taken in the order put, mu, then those of the store's indexes.
// put is held over the commit of whatever changes epoch, status or the
// highest position, so these never race. mu is never taken inside a
// transaction's function, so it may be held over a commit.
type stream struct {
	num       int64
	id, owner string

	facts      atomic.Pointer[facts]
	config     atomic.Pointer[streams.Stream] // cached; nil: read it
	active     atomic.Int64
	entries    atomic.Int64
	exclusions atomic.Int64
	items      atomic.Int64 // on the queue, all lanes; changed under mu
	dead       atomic.Int64
	oldest     atomic.Int64 // at most the least added of the items; 0: unknown

	put sync.Mutex

	mu      sync.Mutex
	gone    bool
	queue   int64
	control int // items in the control lane
	// arrivals is the last number given in the control lane by this process.
	arrivals int64
	high     streams.Position
	highRef  streams.Position // of the items with a Ref at high.Seq
	// read is the last event that was read from the disk. A Put that is about
	// to make its items count leaves those up to it alone: they have been
	// seen, and may be gone again.
	read   place
	health streams.Health
	win    *window       // nil: nothing is in memory
	wake   chan struct{} // closed to wake the takers that wait; nil: none

	dueAt  int64 // guarded by dueTimes.mu
	dueIdx int   // in the heap, from 1; 0: not in it
	queued bool  // guarded by readyList.mu
}

// facts are what decides about a stream's events; never changed in place.
type facts struct {
	status  streams.Status
	by      streams.Party
	epoch   uint64
	from    uint64
	push    bool
	all     bool
	types   []string // each once
	timeout time.Duration
}

func factsOf(s *streams.Stream) *facts {
	types := slices.Clone(s.EventsDelivered)
	slices.Sort(types)
	return &facts{
		status: s.Status, by: s.StatusBy, epoch: s.Epoch, from: s.From,
		push:  s.Delivery.Pushed(),
		all:   s.DefaultSubjects != streams.SubjectsNone,
		types: slices.Compact(types), timeout: s.InactivityTimeout,
	}
}

// wakeTakers wakes the takers that wait. Needs mu.
func (st *stream) wakeTakers() {
	if st.wake != nil {
		close(st.wake)
		st.wake = nil
	}
}

// waiting returns a channel that is closed by the next wakeTakers. Needs mu.
func (st *stream) waiting() <-chan struct{} {
	if st.wake == nil {
		st.wake = make(chan struct{})
	}
	return st.wake
}

// window returns the window, making it if need be. Needs mu.
func (st *stream) window() *window {
	if st.win == nil {
		st.win = newWindow(st.items.Load() == 0)
	}
	return st.win
}
