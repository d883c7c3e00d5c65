package sessions

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// MemoryRevocations keeps revocations in memory alone: a restart forgets them.
type MemoryRevocations struct {
	mu    sync.Mutex // of changes; checks do not take it
	state *State
}

var _ Revocations = (*MemoryRevocations)(nil)

// NewMemoryRevocations returns empty revocations. Errors name what is wrong in cfg.
func NewMemoryRevocations(cfg RevocationsConfig) (*MemoryRevocations, error) {
	state, err := NewState(cfg, false)
	if err != nil {
		return nil, err
	}
	return &MemoryRevocations{state: state}, nil
}

// Revoke ends the sessions in scope that began at or before until.
func (m *MemoryRevocations) Revoke(_ context.Context, scope receiver.Scope, until time.Time) error {
	return m.change(OpRevoke, scope, "", until)
}

// Deny ends the sessions in scope and lets none be good until Allow.
func (m *MemoryRevocations) Deny(_ context.Context, scope receiver.Scope, by string, at time.Time) error {
	return m.change(OpDeny, scope, by, at)
}

// Allow takes back what Deny said at or before at.
func (m *MemoryRevocations) Allow(_ context.Context, scope receiver.Scope, by string, at time.Time) error {
	return m.change(OpAllow, scope, by, at)
}

// State returns what checks read.
func (m *MemoryRevocations) State() *State { return m.state }

func (m *MemoryRevocations) change(op Op, scope receiver.Scope, by string, at time.Time) error {
	changes, err := Changes(op, scope, by, at, m.state.cfg.Now())
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.state.Room(changes); err != nil {
		return err
	}
	for _, c := range changes {
		if mark, changed := m.state.Mark(c.Clause).With(c); changed {
			m.state.Apply(c.Clause, mark, 0)
		}
	}
	return nil
}
