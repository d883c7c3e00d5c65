package sessions_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sessionstest"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func TestMemory(t *testing.T) {
	sessionstest.RunIndex(t, func(t *testing.T, cfg sessions.IndexConfig) sessions.Lookup {
		m, err := sessions.NewMemory(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func TestMemoryRevocations(t *testing.T) {
	sessionstest.RunRevocations(t, func(t *testing.T, cfg sessions.RevocationsConfig) sessions.Revocations {
		m, err := sessions.NewMemoryRevocations(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
}

// Beyond MaxSessions a login is told so; what expires or is removed makes room.
func TestMemoryBound(t *testing.T) {
	now := time.Unix(1700000000, 0)
	m, err := sessions.NewMemory(sessions.IndexConfig{MaxSessions: 3, Lifetime: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	add := func(id string) error {
		return m.Add(t.Context(), sessions.Session{ID: id, Begun: now, Members: map[string][]subject.Identifier{"user": {subject.Email("jo@example.com")}}})
	}
	for i := range 3 {
		if err := add(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("one more"); !errors.Is(err, sessions.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if err := add("1"); err != nil {
		t.Errorf("the same again: got %v, want no error", err)
	}
	now = now.Add(time.Hour)
	if err := add("one more"); err != nil || m.Len() != 1 {
		t.Errorf("after they expired: got %v and %d sessions, want it alone", err, m.Len())
	}
}
