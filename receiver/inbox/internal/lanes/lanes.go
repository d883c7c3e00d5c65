// Package lanes is the order in which an inbox hands out its messages, in
// memory: a lane per (feed, issuer, order key), of which only the head may be out.
//
// Backends keep the messages; they tell a [Set] what came and what became of
// it, after they have kept it.
package lanes

import (
	"container/heap"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Key names a lane within a feed.
type Key [16]byte

// Entry is a message that waits.
type Entry struct {
	Seq      uint64
	Feed     string
	Lane     Key
	Ordered  bool // false: the message is in no order, Lane means nothing
	Due      time.Time
	Attempts int
}

// Count is how much a feed holds.
type Count struct{ Waiting, Out, Failing int }

// Set holds the lanes of all feeds. Safe for concurrent use.
type Set struct {
	now func() time.Time

	mu     sync.Mutex
	feeds  map[string]*feed
	out    map[uint64]*lane
	total  int
	closed bool
}

// New returns an empty set that reads the time from now.
func New(now func() time.Time) *Set {
	return &Set{now: now, feeds: make(map[string]*feed), out: make(map[uint64]*lane)}
}

// feed is one follower's lanes. Each lane is in ready, in later, or out.
type feed struct {
	ordered map[Key]*lane
	ready   laneHeap // by Seq of the head
	later   laneHeap // by Due of the head
	wake    chan struct{}
	count   Count
}

// lane is a queue of messages with one order key; entries[0] is the head.
type lane struct {
	feed    *feed
	entries []Entry
}

func (l *lane) head() *Entry { return &l.entries[0] }

// Add lets entries wait, each in the order of Seq within its lane.
func (s *Set) Add(entries ...Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		f := s.feed(e.Feed)
		s.total++
		f.count.Waiting++
		if e.Attempts > 0 {
			f.count.Failing++
		}
		if l := f.ordered[e.Lane]; e.Ordered && l != nil {
			s.enqueue(l, e)
			continue
		}
		l := &lane{feed: f, entries: []Entry{e}}
		if e.Ordered {
			f.ordered[e.Lane] = l
		}
		f.place(l, s.now())
	}
}

// enqueue puts e behind the entries of l that came before it. The head stays:
// it may be out, and callers of Add that overlap have no order among them.
func (s *Set) enqueue(l *lane, e Entry) {
	l.entries = append(l.entries, e)
	for i := len(l.entries) - 1; i > 1 && l.entries[i].Seq < l.entries[i-1].Seq; i-- {
		l.entries[i], l.entries[i-1] = l.entries[i-1], l.entries[i]
	}
}

// Feeds returns the names of the feeds that were ever heard of.
func (s *Set) Feeds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.feeds))
}

func (s *Set) feed(name string) *feed {
	f := s.feeds[name]
	if f == nil {
		f = &feed{
			ordered: make(map[Key]*lane),
			ready:   laneHeap{less: func(a, b *lane) bool { return a.head().Seq < b.head().Seq }},
			later:   laneHeap{less: func(a, b *lane) bool { return a.head().Due.Before(b.head().Due) }},
			wake:    make(chan struct{}),
		}
		s.feeds[name] = f
	}
	return f
}

// place puts a lane that is not out where its head belongs and wakes takers.
func (f *feed) place(l *lane, now time.Time) {
	if l.head().Due.After(now) {
		heap.Push(&f.later, l)
	} else {
		heap.Push(&f.ready, l)
	}
	close(f.wake)
	f.wake = make(chan struct{})
}

// Take returns up to max entries that are out from now on, and waits until
// there is one, ctx ends or the set is closed; then it returns none and
// ctx's error, nil if closed.
func (s *Set) Take(ctx context.Context, name string, max int) ([]Entry, error) {
	for {
		taken, wake, wait := s.take(name, max)
		if len(taken) > 0 || wake == nil {
			return taken, nil
		}
		if err := sleep(ctx, wake, wait); err != nil {
			return nil, err
		}
	}
}

// take returns what is due, else what to wait for: a wake-up, or the time
// until a lane is due (0: none is). wake is nil if the set is closed.
func (s *Set) take(name string, max int) (taken []Entry, wake <-chan struct{}, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, 0
	}
	f, now := s.feed(name), s.now()
	for f.later.Len() > 0 && !f.later.lanes[0].head().Due.After(now) {
		heap.Push(&f.ready, heap.Pop(&f.later))
	}
	for len(taken) < max && f.ready.Len() > 0 {
		l := heap.Pop(&f.ready).(*lane)
		s.out[l.head().Seq] = l
		f.count.Out++
		taken = append(taken, *l.head())
	}
	if f.later.Len() > 0 {
		wait = f.later.lanes[0].head().Due.Sub(now)
	}
	return taken, f.wake, wait
}

func sleep(ctx context.Context, wake <-chan struct{}, wait time.Duration) error {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-due:
	}
	return nil
}

// Out reports whether the message is out.
func (s *Set) Out(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out[seq] != nil
}

// Remove ends a message that is out; the next of its lane may follow.
func (s *Set) Remove(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.back(seq)
	if l == nil {
		return
	}
	head := *l.head()
	s.total--
	l.feed.count.Waiting--
	if head.Attempts > 0 {
		l.feed.count.Failing--
	}
	if len(l.entries) == 1 {
		if head.Ordered {
			delete(l.feed.ordered, head.Lane)
		}
		return
	}
	l.entries[0] = Entry{}
	l.entries = l.entries[1:]
	l.feed.place(l, s.now())
}

// Return lets a message that is out wait in its place, until due; failed says
// whether an attempt counts.
func (s *Set) Return(seq uint64, due time.Time, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.back(seq)
	if l == nil {
		return
	}
	head := l.head()
	if failed {
		if head.Attempts == 0 {
			l.feed.count.Failing++
		}
		head.Attempts++
		head.Due = due
	}
	l.feed.place(l, s.now())
}

// back takes a message off those that are out and returns its lane, nil if it was not.
func (s *Set) back(seq uint64) *lane {
	l := s.out[seq]
	if l != nil {
		delete(s.out, seq)
		l.feed.count.Out--
	}
	return l
}

// Total returns how many messages wait in all feeds.
func (s *Set) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Count returns how much the feed holds.
func (s *Set) Count(name string) Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.feeds[name]; f != nil {
		return f.count
	}
	return Count{}
}

// Oldest returns the least Seq of the messages that wait in the feed, 0 if there is
// none. It costs what is out and what failed.
func (s *Set) Oldest(name string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[name]
	if f == nil {
		return 0
	}
	var oldest uint64
	least := func(l *lane) {
		if seq := l.head().Seq; oldest == 0 || seq < oldest {
			oldest = seq
		}
	}
	if f.ready.Len() > 0 {
		least(f.ready.lanes[0])
	}
	for _, l := range f.later.lanes {
		least(l)
	}
	for _, l := range s.out {
		if l.feed == f {
			least(l)
		}
	}
	return oldest
}

// Close ends all that wait in Take.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, f := range s.feeds {
		close(f.wake)
		f.wake = make(chan struct{})
	}
}

// laneHeap is a heap of lanes (container/heap).
type laneHeap struct {
	lanes []*lane
	less  func(a, b *lane) bool
}

func (h laneHeap) Len() int           { return len(h.lanes) }
func (h laneHeap) Less(i, j int) bool { return h.less(h.lanes[i], h.lanes[j]) }
func (h laneHeap) Swap(i, j int)      { h.lanes[i], h.lanes[j] = h.lanes[j], h.lanes[i] }

// Push appends x, a *lane.
func (h *laneHeap) Push(x any) { h.lanes = append(h.lanes, x.(*lane)) }

// Pop removes the last lane.
func (h *laneHeap) Pop() any {
	last := len(h.lanes) - 1
	l := h.lanes[last]
	h.lanes[last] = nil
	h.lanes = h.lanes[:last]
	return l
}
