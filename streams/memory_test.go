package streams_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// memory keeps just enough of the contracts for the rules of the catalog.
type memory struct {
	mu       sync.Mutex
	order    []string
	streams  map[string]streams.Stream
	items    []streams.Item
	touched  []string
	subjects []string // "add <canonical>" or "remove <canonical>"
	full     bool
}

func newMemory() *memory { return &memory{streams: map[string]streams.Stream{}} }

func (m *memory) Create(_ context.Context, s streams.Stream, limit int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, other := range m.streams {
		if other.Owner == s.Owner {
			n++
		}
	}
	if limit > 0 && n >= limit {
		return streams.ErrConflict
	}
	if _, ok := m.streams[s.ID]; ok {
		return streams.ErrExists
	}
	m.streams[s.ID] = s
	m.order = append(m.order, s.ID)
	return nil
}

func (m *memory) Stream(_ context.Context, id string) (streams.Stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.streams[id]
	if !ok {
		return streams.Stream{}, streams.ErrNotFound
	}
	return s.Clone(), nil
}

func (m *memory) Streams(_ context.Context, owner string) ([]streams.Stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []streams.Stream
	for _, id := range m.order {
		if s, ok := m.streams[id]; ok && s.Owner == owner {
			out = append(out, s.Clone())
		}
	}
	return out, nil
}

func (m *memory) Update(_ context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.streams[id]
	if !ok {
		return streams.Stream{}, streams.ErrNotFound
	}
	var again streams.Stream
	var items []streams.Item
	for range 2 { // change may run more than once
		var err error
		again = s.Clone()
		if items, err = change(&again); err != nil {
			return streams.Stream{}, err
		}
	}
	m.streams[id] = again
	m.items = append(m.items, items...)
	return again.Clone(), nil
}

func (m *memory) Owners(context.Context) ([]string, error) {
	return nil, errors.New("the catalog asks for no owners")
}

func (m *memory) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.streams[id]; !ok {
		return streams.ErrNotFound
	}
	delete(m.streams, id)
	return nil
}

func (m *memory) Touch(_ context.Context, id string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.streams[id]; ok {
		s.Active = at
		m.streams[id] = s
		m.touched = append(m.touched, id)
	}
}

func (m *memory) Inactive(_ context.Context, now time.Time, most int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, id := range m.order {
		s, ok := m.streams[id]
		live := s.Status == streams.Enabled || s.Status == streams.Paused && s.StatusBy == streams.ByReceiver
		if ok && live && s.InactivityTimeout > 0 && now.Sub(s.Active) >= s.InactivityTimeout && len(out) < most {
			out = append(out, id)
		}
	}
	return out, nil
}

func (m *memory) Add(_ context.Context, _ string, id subject.Identifier, _ int) error {
	return m.note("add " + id.Canonical())
}

func (m *memory) Remove(_ context.Context, _ string, id subject.Identifier, _ int) error {
	return m.note("remove " + id.Canonical())
}

func (m *memory) note(what string) error {
	if m.full {
		return streams.ErrFull
	}
	m.subjects = append(m.subjects, what)
	return nil
}

func (m *memory) SubjectCount(context.Context, string) (int, error) { return len(m.subjects), nil }
