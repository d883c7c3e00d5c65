// Package sessionstest is the suite of the contracts sessions.Index, sessions.Lookup
// and sessions.Revocations: each promise of theirs is a case that every backend passes.
package sessionstest

import (
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// clock is the time that a case's backend reads. It starts at the real time and moves
// only when told: servers count with their own.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

// Now returns the time of the case.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// members of sessions, for short.
type members = map[string][]subject.Identifier

func ids(list ...subject.Identifier) []subject.Identifier { return list }

func email(name string) subject.Identifier { return subject.Email(name + "@example.com") }

func sid(id string) subject.Identifier { return subject.Opaque(id) }

// failer is a test that can end.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// complexScope returns the scope of a complex subject of name, identifier, … pairs.
func complexScope(t failer, of map[string]subject.Identifier) receiver.Scope {
	t.Helper()
	id, err := subject.Complex(of)
	if err != nil {
		t.Fatal(err)
	}
	return receiver.ScopeOf(id)
}

func userScope(t failer, name string) receiver.Scope {
	t.Helper()
	return complexScope(t, map[string]subject.Identifier{subject.MemberUser: email(name)})
}

func userSession(t failer, name, session string) receiver.Scope {
	t.Helper()
	return complexScope(t, map[string]subject.Identifier{subject.MemberUser: email(name), subject.MemberSession: sid(session)})
}

// of returns a session of a user, and of a session at the transmitter unless empty.
func of(id, name, session string, begun time.Time) sessions.Session {
	s := sessions.Session{ID: id, Members: members{subject.MemberUser: ids(email(name))}, Begun: begun}
	if session != "" {
		s.Members[subject.MemberSession] = ids(sid(session))
	}
	return s
}
