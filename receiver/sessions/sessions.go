// Package sessions knows which sessions of an application are whose: an index from
// subjects and session ids of transmitters to the application's own sessions. It sits
// beside any session store, filled by one call at login.
package sessions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Bounds of a [Session] and of what an [Index] hands out.
const (
	MaxIDBytes     = 1024
	MaxIdentifiers = 32 // of one session, all names together
	MaxPage        = 1000
)

// ErrInvalid is what the errors of Check wrap.
var ErrInvalid = errors.New("sessions: invalid session")

// Session is a session of the application, and what the transmitters call it.
type Session struct {
	// ID is what the application finds the session by: a token, a key, a row's id.
	// Required, at most MaxIDBytes. A secret: it never stands in a log.
	ID string
	// Members are the identifiers that the session is known by, under the names of
	// the members of complex subjects: "user", "session" (the sid of the ID token as
	// an opaque identifier), "device", "tenant", … At least one.
	Members map[string][]subject.Identifier
	// Begun is when the user logged in. Required.
	Begun time.Time
	// Expires is when the session ends by itself; zero: not known.
	Expires time.Time
}

// Check reports what of a session is missing or beyond the bounds.
func (s Session) Check() error {
	n := 0
	for _, ids := range s.Members {
		n += len(ids)
	}
	switch {
	case s.ID == "" || len(s.ID) > MaxIDBytes:
		return fmt.Errorf("%w: an id of %d bytes, want 1 to %d", ErrInvalid, len(s.ID), MaxIDBytes)
	case n == 0 || n > MaxIdentifiers:
		return fmt.Errorf("%w: %d identifiers, want 1 to %d", ErrInvalid, n, MaxIdentifiers)
	case s.Begun.IsZero():
		return fmt.Errorf("%w: no time of its begin", ErrInvalid)
	}
	return nil
}

// In reports whether an event about scope at the time until ends the session: it fits
// the scope and began at or before.
func (s Session) In(scope receiver.Scope, until time.Time) bool {
	return !s.Begun.After(until) && scope.Fits(func(name string) []subject.Identifier { return s.Members[name] })
}

// Index finds sessions by what transmitters call them. Safe for concurrent use.
type Index interface {
	// Add keeps a session, in place of one with the same ID. It is found by every
	// Find that begins after Add has returned. One without Expires is kept for the
	// index's lifetime from then on. Errors: ErrInvalid, ErrFull, or the store's.
	Add(ctx context.Context, s Session) error
	// Find returns up to max (1 to MaxPage) sessions in scope that began at or
	// before until and have not expired, with an ID above after, in the order of
	// their IDs. Members may be left out. Its cost grows with the sessions that one
	// of the scope's identifiers has, never with all.
	Find(ctx context.Context, scope receiver.Scope, until time.Time, after string, max int) ([]Session, error)
	// Remove forgets sessions; those that are not there are ignored.
	Remove(ctx context.Context, ids ...string) error
}

// ErrUnknown: the index knows no such session, or it has expired.
var ErrUnknown = errors.New("sessions: unknown session")

// Lookup is an Index that also finds whose a session is, for a gate that is shown
// nothing but a cookie.
type Lookup interface {
	Index
	// Lookup returns the bearer of a session that has not expired. Errors:
	// ErrUnknown, or the store's.
	Lookup(ctx context.Context, id string) (Bearer, error)
}
