// Package scs ends the sessions of an application that keeps them with
// alexedwards/scs when a transmitter says so.
//
// The application calls [Hook.Login] where a user logs in, routes events to the hook,
// and puts [Hook.Guard] inside scs's LoadAndSave:
//
//	hook, err := scs.New(scs.Config{Manager: manager})
//	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))
//	handler := manager.LoadAndSave(hook.Guard(app))
//
// Sessions are found by an index of logins, or by iterating the store. Identifiers are
// kept in sessions as digests alone.
package scs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Names of values in a session's data.
const (
	valueKeys  = "tocsin.bearer" // []byte, digests of whom the session is of
	valueBegun = "tocsin.begun"  // int64, nanoseconds since the epoch
)

// ErrDenied says that the user may not log in: a transmitter has said so, and not yet
// taken it back.
var ErrDenied = errors.New("scs: log-in is denied")

// Config is whose sessions a hook ends and how it finds them.
type Config struct {
	// Manager keeps the sessions; its Store must be set. Required.
	Manager *scs.SessionManager
	// Index finds sessions; each login adds one, with the session's token as ID. One
	// that processes share finds the logins of all of them. Nil: the store is iterated
	// where it can be (scs.IterableStore, scs.IterableCtxStore), which costs a look at
	// all sessions; else an index in memory of the logins through this process.
	Index sessions.Index
	// Revocations are what Guard and Login heed, beside what has ended in the store.
	// Nil: in memory, of this process.
	Revocations sessions.Revocations
	// Fail says what Guard does while Revocations are not known (sessions.Gate).
	// Empty: open, since sessions end in the store, too.
	Fail sessions.FailMode
}

// Login says whom a session is of, in the words of the transmitter.
type Login struct {
	// Users are the identifiers of the user: e-mail, issuer and subject, … At least one.
	Users []subject.Identifier
	// Sessions are identifiers of the transmitter's session that led to this one,
	// such as the sid of the ID token as an opaque identifier; none if not known.
	Sessions []subject.Identifier
	// Others are identifiers by the names of other members: "device", "tenant", …
	Others map[string][]subject.Identifier
}

// members returns the identifiers as an index keeps them.
func (l Login) members() map[string][]subject.Identifier {
	members := map[string][]subject.Identifier{}
	maps.Copy(members, l.Others)
	members[subject.MemberUser] = l.Users
	if len(l.Sessions) > 0 {
		members[subject.MemberSession] = l.Sessions
	}
	return members
}

// Hook ends the sessions of one scs.SessionManager. It does End, Deny and Allow. Safe
// for concurrent use.
type Hook struct {
	manager     *scs.SessionManager
	index       sessions.Index // nil: the store is iterated
	revocations sessions.Revocations
	gate        *sessions.Gate
}

// New returns a hook for the sessions of a manager.
func New(cfg Config) (*Hook, error) {
	if cfg.Manager == nil || cfg.Manager.Store == nil {
		return nil, errors.New("scs: a session manager with a store is needed")
	}
	h := &Hook{manager: cfg.Manager, index: cfg.Index, revocations: cfg.Revocations}
	if h.index == nil && !iterates(cfg.Manager.Store) {
		index, err := sessions.NewMemory(sessions.IndexConfig{Lifetime: cfg.Manager.Lifetime})
		if err != nil {
			return nil, err
		}
		h.index = index
	}
	if h.revocations == nil {
		revocations, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{Retention: cfg.Manager.Lifetime})
		if err != nil {
			return nil, err
		}
		h.revocations = revocations
	}
	if cfg.Fail == "" {
		cfg.Fail = sessions.FailOpen
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: h.revocations, Fail: cfg.Fail})
	if err != nil {
		return nil, err
	}
	h.gate = gate
	return h, nil
}

// Login begins a session for a user: it renews the session's token and notes whom the
// session is of and that it begins now. ctx is that of a request within LoadAndSave.
// Errors: ErrDenied, and nothing has changed; sessions.ErrInvalid; the store's or the
// index's, and the user is not to be logged in.
func (h *Hook) Login(ctx context.Context, l Login) error {
	if len(l.Users) == 0 {
		return fmt.Errorf("%w: no identifier of the user", sessions.ErrInvalid)
	}
	begun := time.Now()
	s := sessions.Session{ID: "new", Members: l.members(), Begun: begun, Expires: begun.Add(h.manager.Lifetime)}
	if err := s.Check(); err != nil {
		return err
	}
	if h.gate.Session(s) == sessions.Denied {
		return ErrDenied
	}
	before := h.manager.Token(ctx)
	if err := h.manager.RenewToken(ctx); err != nil {
		return err
	}
	h.manager.Put(ctx, valueKeys, pack(s.Bearer().Keys()))
	h.manager.Put(ctx, valueBegun, begun.UnixNano())
	if h.index == nil {
		return nil
	}
	if before != "" {
		if err := h.index.Remove(ctx, before); err != nil {
			return err
		}
	}
	s.ID = h.manager.Token(ctx)
	return h.index.Add(ctx, s)
}

// Guard ends a session that was revoked while a request of it was running and that
// this request then wrote back, or in another process whose Revocations this one
// shares. It belongs inside scs's LoadAndSave; next sees such a session as empty.
func (h *Hook) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		keys, _ := h.manager.Get(ctx, valueKeys).([]byte)
		begun, _ := h.manager.Get(ctx, valueBegun).(int64)
		failed := false
		if len(keys) > 0 {
			switch h.gate.Bearer(bearer(keys, begun)) {
			case sessions.Good:
			case sessions.Unknown:
				failed = true
			default:
				failed = h.manager.Destroy(ctx) != nil
			}
		}
		if failed {
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Act ends the sessions in scope that began at or before the action's time, whenever
// it is called. Deny lets the user begin no new ones until Allow. Failures of the store
// are to be tried again.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	// First what is remembered: a request that runs now may write its session back.
	err := h.remember(ctx, a)
	switch {
	case err != nil:
		return hooks.Outcome{}, verdict(err)
	case a.Effect == hooks.Allow:
		return hooks.Outcome{}, nil
	}
	ended, err := h.end(ctx, a, false)
	return hooks.Outcome{Ended: ended}, err
}

func (h *Hook) remember(ctx context.Context, a hooks.Action) error {
	switch a.Effect {
	case hooks.End:
		return h.revocations.Revoke(ctx, a.Scope, a.Until)
	case hooks.Deny:
		return h.revocations.Deny(ctx, a.Scope, a.Delivery.Issuer, a.Until)
	case hooks.Allow:
		return h.revocations.Allow(ctx, a.Scope, a.Delivery.Issuer, a.Until)
	}
	return hooks.ErrNotApplicable
}

// PerIssuer says that a denial is of the issuer that said it.
func (h *Hook) PerIssuer() bool { return true }

// Preview counts the sessions that would end.
func (h *Hook) Preview(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	switch a.Effect {
	case hooks.End, hooks.Deny:
		ended, err := h.end(ctx, a, true)
		return hooks.Outcome{Ended: ended}, err
	case hooks.Allow:
		return hooks.Outcome{}, nil
	}
	return hooks.Outcome{}, hooks.ErrNotApplicable
}
