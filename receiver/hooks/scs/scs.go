// Package scs ends the sessions of an application that keeps them with
// alexedwards/scs when a transmitter says so.
//
// The application calls [Sessions.Login] where a user logs in, routes events to
// [Sessions.Hook], and puts [Sessions.Guard] inside scs's LoadAndSave:
//
//	sessions, err := scs.New(manager)
//	mux.Handle(receiver.OnType(caep.SessionRevokedType, sessions.Hook))
//	handler := manager.LoadAndSave(sessions.Guard(app))
//
// Sessions are found by iterating the store, so that logins through other processes
// count too, where it can iterate (scs.IterableStore, scs.IterableCtxStore); else by
// an index in memory of the logins through this process. Identifiers are kept as
// digests alone.
package scs

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Names of values in a session's data.
const (
	valueKeys  = "tocsin.keys"  // []string, digests of whom the session is of
	valueBegun = "tocsin.begun" // int64, nanoseconds since the epoch
)

// MaxIdentifiers bounds the users, and the sessions, that one login names.
const MaxIdentifiers = 16

// ErrNoTarget says that an event's subject names neither a user nor a session.
var ErrNoTarget = errors.New("scs: subject names neither a user nor a session")

// Login says whom a session is of, in the words of the transmitter.
type Login struct {
	// Users are the identifiers of the user: e-mail, issuer and subject, … At least one.
	Users []subject.Identifier
	// Sessions are identifiers of the transmitter's session that led to this one,
	// such as the sid of the ID token as an opaque identifier; none if not known.
	Sessions []subject.Identifier
}

// Sessions ends the sessions of one scs.SessionManager. Safe for concurrent use.
type Sessions struct {
	manager *scs.SessionManager

	mu    sync.Mutex
	marks map[string]mark                 // by key: what was revoked
	index map[string]map[string]time.Time // by key: tokens and when they began; nil if the store iterates
	swept time.Time
}

// mark is a revocation: sessions of its key that began at or before until are ended.
type mark struct{ until, expires time.Time }

// New returns a hook for the sessions of manager, whose Store must be set.
func New(manager *scs.SessionManager) (*Sessions, error) {
	if manager == nil || manager.Store == nil {
		return nil, errors.New("scs: a session manager with a store is needed")
	}
	s := &Sessions{manager: manager, marks: make(map[string]mark)}
	if !iterates(manager.Store) {
		s.index = make(map[string]map[string]time.Time)
	}
	return s, nil
}

// Login begins a session for a user: it renews the session's token and notes whom the
// session is of and that it begins now. ctx is that of a request within LoadAndSave.
func (s *Sessions) Login(ctx context.Context, l Login) error {
	if len(l.Users) == 0 || len(l.Users) > MaxIdentifiers || len(l.Sessions) > MaxIdentifiers {
		return errors.New("scs: a login has 1 to 16 users and at most 16 sessions")
	}
	if err := s.manager.RenewToken(ctx); err != nil {
		return err
	}
	keys, begun := l.keys(), time.Now()
	s.manager.Put(ctx, valueKeys, keys)
	s.manager.Put(ctx, valueBegun, begun.UnixNano())
	s.note(s.manager.Token(ctx), keys, begun)
	return nil
}

// note puts a session into the index, if there is one.
func (s *Sessions) note(token string, keys []string, begun time.Time) {
	if s.index == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(begun)
	for _, key := range keys {
		if s.index[key] == nil {
			s.index[key] = make(map[string]time.Time)
		}
		s.index[key][token] = begun
	}
}

// Hook ends the sessions that the event's subject names and that began at or before
// its time. A subject that names neither user nor session is set aside.
func (s *Sessions) Hook(ctx context.Context, d receiver.Delivery) error {
	_, err := s.Revoke(ctx, d.Subject, d.EventTime)
	if errors.Is(err, ErrNoTarget) {
		return receiver.Permanent(err)
	}
	return err
}

// Revoke ends the sessions that match the subject and began at or before until, and
// returns how many. Sessions begun later live, whenever Revoke is called; calling it
// again is harmless.
//
// A simple subject is a user or a session; of a complex one the members user and
// session count, both if both are there (CAEP §3.1). The session id "ALL" stands
// for every session of the user. Errors: ErrNoTarget, or a failure of the store.
func (s *Sessions) Revoke(ctx context.Context, id subject.Identifier, until time.Time) (ended int, err error) {
	keys := target(id)
	if len(keys) == 0 {
		return 0, ErrNoTarget
	}
	s.mark(keys, until) // first: a request that runs now may write its session back
	if s.index != nil {
		return s.revokeIndexed(ctx, keys, until)
	}
	return s.revokeStored(ctx, keys, until)
}

func (s *Sessions) mark(keys []string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.sweep(now)
	for _, key := range keys {
		m := s.marks[key]
		if until.After(m.until) {
			m.until = until
		}
		m.expires = now.Add(s.manager.Lifetime)
		s.marks[key] = m
	}
}

// sweep forgets, once an hour, what no living session can need.
func (s *Sessions) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Hour {
		return
	}
	s.swept = now
	for key, m := range s.marks {
		if now.After(m.expires) {
			delete(s.marks, key)
		}
	}
	for key, tokens := range s.index {
		for token, begun := range tokens {
			if now.Sub(begun) > s.manager.Lifetime {
				delete(tokens, token)
			}
		}
		if len(tokens) == 0 {
			delete(s.index, key)
		}
	}
}

// Guard ends a session that was revoked while a request of it was running and that
// this request then wrote back. It belongs inside scs's LoadAndSave; next sees such a
// session as empty.
func (s *Sessions) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		keys, _ := s.manager.Get(ctx, valueKeys).([]string)
		begun, _ := s.manager.Get(ctx, valueBegun).(int64)
		if s.revoked(keys, time.Unix(0, begun)) {
			if err := s.manager.Destroy(ctx); err != nil {
				http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Sessions) revoked(keys []string, begun time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if m, ok := s.marks[key]; ok && !begun.After(m.until) {
			return true
		}
	}
	return false
}
