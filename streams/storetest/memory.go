package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Memory is a [streams.Store] in memory, for tests: simple, exact and slow.
// Nothing in it outlives the process. Safe for concurrent use.
type Memory struct {
	maxDepth int

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by every change
	streams map[string]*memoryStream
	order   []*memoryStream // in order of creation
	used    map[string]bool
	cursors map[string]uint64
	shared  memoryLeases
}

var _ streams.Store = (*Memory)(nil)

// memoryStream is one stream.
type memoryStream struct {
	streams.Stream
	high       streams.Position
	highRef    streams.Position
	arrivals   uint64
	items      []*memoryItem // in the order of Take
	letters    []streams.DeadLetter
	health     streams.Health
	backingOff bool // health.NextDue is still to come
	cause      bool // for Ready
	entries    []subject.Identifier
	exclusions []subject.Identifier
}

// memoryItem is one item on a queue.
type memoryItem struct {
	streams.Item
	arrival uint64    // in the control lane
	until   time.Time // end of the lease; zero: not out
	worker  bool      // out at the holder of the partition
}

// defaultMaxDepth is the bound of a queue if Options name none.
const defaultMaxDepth = 1_000_000

// NewMemory returns an empty store.
func NewMemory(opts Options) *Memory {
	m := &Memory{
		changed: make(chan struct{}),
		streams: make(map[string]*memoryStream), used: make(map[string]bool), cursors: make(map[string]uint64),
	}
	m.Restart(opts)
	return m
}

// lock locks m, ends what is over, and returns the function that unlocks and
// wakes all who wait.
func (m *Memory) lock() func() {
	m.mu.Lock()
	m.tick()
	return func() {
		close(m.changed)
		m.changed = make(chan struct{})
		m.mu.Unlock()
	}
}

// tick ends the leases and back-offs that are over.
func (m *Memory) tick() {
	now := time.Now()
	for _, s := range m.order {
		for _, it := range s.items {
			if !it.until.IsZero() && !it.until.After(now) {
				it.until = time.Time{}
				s.cause = true
			}
		}
		if s.backingOff && !s.health.NextDue.After(now) {
			s.backingOff = false
			s.cause = true
		}
	}
}

// next is the time of the next tick that changes something.
func (m *Memory) next() (at time.Time) {
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, s := range m.order {
		for _, it := range s.items {
			earliest(it.until)
		}
		if s.backingOff {
			earliest(s.health.NextDue)
		}
	}
	return at
}

// wait waits for a change, the next tick or the end of ctx. It is called
// with m locked by m.mu alone and unlocks it.
func (m *Memory) wait(ctx context.Context) error {
	changed, next := m.changed, m.next()
	m.mu.Unlock()
	var tick <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-changed:
	case <-tick:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Restart does to m what the end of the process and a new start do to a store:
// leases are gone, and every stream with work is told of by Ready.
func (m *Memory) Restart(opts Options) {
	defer m.lock()()
	if m.maxDepth = opts.MaxDepth; m.maxDepth == 0 {
		m.maxDepth = defaultMaxDepth
	}
	for _, s := range m.order {
		for _, it := range s.items {
			it.until = time.Time{}
		}
		s.cause = true
	}
}

func (m *Memory) find(id string) (*memoryStream, error) {
	if s := m.streams[id]; s != nil {
		return s, nil
	}
	return nil, streams.ErrNotFound
}

// Create implements [streams.Registry].
func (m *Memory) Create(_ context.Context, s streams.Stream, limit int) error {
	defer m.lock()()
	owned := 0
	for _, o := range m.order {
		if o.Owner == s.Owner {
			owned++
		}
	}
	switch {
	case limit > 0 && owned >= limit:
		return streams.ErrConflict
	case m.used[s.ID]:
		return streams.ErrExists
	}
	m.used[s.ID] = true
	one := &memoryStream{Stream: s.Clone()}
	m.streams[s.ID] = one
	m.order = append(m.order, one)
	return nil
}

// Stream implements [streams.Registry].
func (m *Memory) Stream(_ context.Context, id string) (streams.Stream, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return streams.Stream{}, err
	}
	return s.Clone(), nil
}

// Streams implements [streams.Registry].
func (m *Memory) Streams(_ context.Context, owner string) ([]streams.Stream, error) {
	defer m.lock()()
	var list []streams.Stream
	for _, s := range m.order {
		if s.Owner == owner {
			list = append(list, s.Clone())
		}
	}
	return list, nil
}

// Owners implements [streams.Registry].
func (m *Memory) Owners(context.Context) ([]string, error) {
	defer m.lock()()
	var owners []string
	for _, s := range m.order {
		if !slices.Contains(owners, s.Owner) {
			owners = append(owners, s.Owner)
		}
	}
	return owners, nil
}

// Update implements [streams.Registry].
func (m *Memory) Update(_ context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return streams.Stream{}, err
	}
	next := s.Clone()
	items, err := change(&next)
	if err != nil {
		return streams.Stream{}, err
	}
	if next.ID != s.ID || next.Owner != s.Owner || !next.Created.Equal(s.Created) {
		return streams.Stream{}, errors.New("storetest: ID, Owner and Created cannot be changed")
	}
	if next.Epoch > s.Epoch {
		s.items = slices.DeleteFunc(s.items, func(it *memoryItem) bool { return !isUpdated(it) })
	}
	if next.Status == streams.Enabled && s.Status != streams.Enabled || next.Delivery != s.Delivery {
		s.health, s.backingOff = streams.Health{}, false
	}
	s.Stream = next.Clone()
	for _, it := range items {
		s.putControl(it)
	}
	s.cause = true
	return next, nil
}

// Delete implements [streams.Registry].
func (m *Memory) Delete(_ context.Context, id string) error {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return err
	}
	delete(m.streams, id)
	m.order = slices.DeleteFunc(m.order, func(o *memoryStream) bool { return o == s })
	return nil
}

// Touch implements [streams.Registry].
func (m *Memory) Touch(_ context.Context, id string, at time.Time) {
	defer m.lock()()
	if s := m.streams[id]; s != nil && at.After(s.Active) {
		s.Active = at
	}
}

// Inactive implements [streams.Registry].
func (m *Memory) Inactive(_ context.Context, now time.Time, max int) ([]string, error) {
	defer m.lock()()
	var ids []string
	for _, s := range m.order {
		counts := s.Status == streams.Enabled || s.Status == streams.Paused && s.StatusBy == streams.ByReceiver
		if counts && s.InactivityTimeout > 0 && !s.Active.Add(s.InactivityTimeout).After(now) && len(ids) < max {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}

// Add implements [streams.Subjects].
func (m *Memory) Add(_ context.Context, id string, sub subject.Identifier, limit int) error {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return err
	}
	if s.DefaultSubjects != streams.SubjectsNone && without(&s.exclusions, sub) {
		return nil
	}
	return s.with(&s.entries, sub, limit)
}

// Remove implements [streams.Subjects].
func (m *Memory) Remove(_ context.Context, id string, sub subject.Identifier, limit int) error {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return err
	}
	if s.DefaultSubjects != streams.SubjectsNone {
		if err := s.with(&s.exclusions, sub, limit); err != nil {
			return err
		}
	}
	without(&s.entries, sub)
	return nil
}

// SubjectCount implements [streams.Subjects].
func (m *Memory) SubjectCount(_ context.Context, id string) (int, error) {
	defer m.lock()()
	s, err := m.find(id)
	if err != nil {
		return 0, err
	}
	return len(s.entries) + len(s.exclusions), nil
}

// with adds sub to a list.
func (s *memoryStream) with(list *[]subject.Identifier, sub subject.Identifier, limit int) error {
	if slices.ContainsFunc(*list, sub.Equal) {
		return nil
	}
	if limit > 0 && len(s.entries)+len(s.exclusions) >= limit {
		return streams.ErrFull
	}
	*list = append(*list, sub)
	return nil
}

// without takes sub out of a list and reports whether it was there.
func without(list *[]subject.Identifier, sub subject.Identifier) bool {
	n := len(*list)
	*list = slices.DeleteFunc(*list, sub.Equal)
	return len(*list) < n
}

// Match implements [streams.Matcher].
func (m *Memory) Match(_ context.Context, q streams.Query) ([]streams.Candidate, error) {
	defer m.lock()()
	return m.match(q)
}

func (m *Memory) match(q streams.Query) ([]streams.Candidate, error) {
	var found []streams.Candidate
	for _, s := range m.order {
		if s.Status == streams.Disabled || s.From >= q.Seq || !slices.Contains(s.EventsDelivered, q.Type) ||
			q.Owners != nil && !slices.Contains(q.Owners, s.Owner) {
			continue
		}
		if i, ok := s.admits(q.Subjects); ok {
			found = append(found, streams.Candidate{Stream: s.ID, Owner: s.Owner, Epoch: s.Epoch, Subject: i})
		}
	}
	return found, nil
}

// admits returns which of the subjects the stream registered, -1 for all.
func (s *memoryStream) admits(subjects []subject.Identifier) (int, bool) {
	for i, id := range subjects {
		if s.DefaultSubjects == streams.SubjectsNone {
			if slices.ContainsFunc(s.entries, func(e subject.Identifier) bool { return subject.DefaultMatching().Match(e, id) }) {
				return i, true
			}
		} else if slices.ContainsFunc(s.exclusions, func(e subject.Identifier) bool { return subject.Excludes(e, id) }) {
			return 0, false
		}
	}
	return -1, s.DefaultSubjects != streams.SubjectsNone
}

// Cursor implements [streams.Cursors].
func (m *Memory) Cursor(_ context.Context, follower string) (uint64, error) {
	defer m.lock()()
	return m.cursors[follower], nil
}

// SaveCursor implements [streams.Cursors].
func (m *Memory) SaveCursor(_ context.Context, follower string, seq uint64) error {
	defer m.lock()()
	m.cursors[follower] = seq
	return nil
}

// Highest implements [streams.Cursors].
func (m *Memory) Highest(context.Context) (uint64, error) {
	defer m.lock()()
	var highest uint64
	for _, seq := range m.cursors {
		highest = max(highest, seq)
	}
	for _, s := range m.order {
		highest = max(highest, s.high.Seq, s.From)
	}
	return highest, nil
}

func (s *memoryStream) push() bool { return s.Delivery.Pushed() }

// isUpdated reports whether the item leaves a paused or disabled stream too.
func isUpdated(it *memoryItem) bool {
	return it.Lane == streams.LaneControl && it.Type == streams.TypeStreamUpdated
}
