package sessions

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// Defaults of an index.
const (
	DefaultMaxSessions = 1_000_000
	DefaultLifetime    = 30 * 24 * time.Hour
)

// IndexConfig says what an index keeps.
type IndexConfig struct {
	// MaxSessions bounds the sessions of an index in memory; zero: DefaultMaxSessions.
	// About 500 bytes each. Stores on a disk or a server do not read it.
	MaxSessions int
	// Lifetime is how long a session without Expires is kept after it was added last;
	// zero: DefaultLifetime. At least the longest life of a session.
	Lifetime time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Filled returns cfg with its defaults. The error names each bad field.
func (cfg IndexConfig) Filled() (IndexConfig, error) {
	var errs []error
	if cfg.MaxSessions < 0 {
		errs = append(errs, errors.New("sessions: MaxSessions must not be negative"))
	}
	if cfg.Lifetime < 0 {
		errs = append(errs, errors.New("sessions: Lifetime must not be negative"))
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = DefaultMaxSessions
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = DefaultLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, errors.Join(errs...)
}

// Deadline returns until when an index keeps s that is added now.
func (cfg IndexConfig) Deadline(s Session) time.Time {
	if s.Expires.IsZero() {
		return cfg.Now().Add(cfg.Lifetime)
	}
	return s.Expires
}

// Memory is an Index in memory: it knows the logins of this process since it started.
type Memory struct {
	cfg IndexConfig

	mu       sync.Mutex
	byID     map[string]*entry
	byKey    map[Digest]*posting
	expiring byExpiry
}

var _ Lookup = (*Memory)(nil)

// entry is a session that is kept.
type entry struct {
	id      string
	bearer  Bearer
	expires time.Time
	at      int  // its place in the heap
	gone    bool // and still in postings
}

// NewMemory returns an empty index. Errors name what is wrong in cfg.
func NewMemory(cfg IndexConfig) (*Memory, error) {
	cfg, err := cfg.Filled()
	if err != nil {
		return nil, err
	}
	return &Memory{cfg: cfg, byID: make(map[string]*entry), byKey: make(map[Digest]*posting)}, nil
}

// Add keeps a session. Error: ErrInvalid; ErrFull beyond MaxSessions.
func (m *Memory) Add(_ context.Context, s Session) error {
	if err := s.Check(); err != nil {
		return err
	}
	e := &entry{id: s.ID, bearer: s.Bearer(), expires: m.cfg.Deadline(s)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	if old := m.byID[s.ID]; old != nil {
		m.drop(old)
	}
	if !e.expires.After(m.cfg.Now()) {
		return nil // over already
	}
	if len(m.byID) >= m.cfg.MaxSessions {
		return ErrFull
	}
	m.byID[e.id] = e
	heap.Push(&m.expiring, e)
	for _, key := range e.bearer.keys {
		if m.byKey[key] == nil {
			m.byKey[key] = new(posting)
		}
		m.byKey[key].add(e)
	}
	return nil
}

// Find returns sessions in scope, in the order of their IDs, without their Members.
func (m *Memory) Find(_ context.Context, scope receiver.Scope, until time.Time, after string, max int) ([]Session, error) {
	clauses, err := FindClauses(scope, max)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	var found []Session
	for _, c := range clauses {
		n := 0
		for e := range m.shortest(c).above(after) {
			if !e.bearer.begun.After(until) && e.bearer.Meets(c) {
				found = append(found, Session{ID: e.id, Begun: e.bearer.begun, Expires: e.bearer.expires})
				if n++; n == max {
					break
				}
			}
		}
	}
	return Page(found, max), nil
}

// FindClauses returns the clauses to look for, for a backend's Find.
func FindClauses(scope receiver.Scope, max int) ([]Clause, error) {
	if max < 1 || max > MaxPage {
		return nil, fmt.Errorf("sessions: max is %d, want 1 to %d", max, MaxPage)
	}
	return Clauses(scope)
}

// Page sorts what was found by one clause after the other by ID, once each, and keeps
// up to max. It changes found.
func Page(found []Session, max int) []Session {
	slices.SortFunc(found, func(a, b Session) int { return cmp.Compare(a.ID, b.ID) })
	found = slices.CompactFunc(found, func(a, b Session) bool { return a.ID == b.ID })
	return found[:min(max, len(found))]
}

// Lookup returns whose a session is.
func (m *Memory) Lookup(_ context.Context, id string) (Bearer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	if e := m.byID[id]; e != nil {
		return e.bearer, nil
	}
	return Bearer{}, ErrUnknown
}

// Remove forgets sessions.
func (m *Memory) Remove(_ context.Context, ids ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if e := m.byID[id]; e != nil {
			m.drop(e)
		}
	}
	return nil
}

// Len returns how many sessions are known.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	return len(m.byID)
}

// expire drops the sessions that are over, at a cost that grows with them.
func (m *Memory) expire() {
	now := m.cfg.Now()
	for len(m.expiring) > 0 && !m.expiring[0].expires.After(now) {
		m.drop(m.expiring[0])
	}
}

func (m *Memory) drop(e *entry) {
	e.gone = true
	delete(m.byID, e.id)
	heap.Remove(&m.expiring, e.at)
	for _, key := range e.bearer.keys {
		if m.byKey[key].removed(); m.byKey[key].empty() {
			delete(m.byKey, key)
		}
	}
}

// shortest returns the sessions of that digest of a clause which fewest have.
func (m *Memory) shortest(c Clause) *posting {
	var best *posting
	for _, d := range c.Digests() {
		p := m.byKey[d]
		if p == nil {
			return nil
		}
		if best == nil || len(p.entries) < len(best.entries) {
			best = p
		}
	}
	return best
}
