// Package gate closes the gate (sessions.Gate) on sessions: it keeps what events say in
// sessions.Revocations. So a signal that was received and a request that is refused
// are one path, whatever keeps the sessions themselves.
//
//	revocations, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
//	hook, err := gate.New(gate.Config{Revocations: revocations})
//	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, hook))
//	door, err := sessions.NewGate(sessions.Config{Revocations: revocations, Fail: sessions.FailClosed})
package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// MaxCounted is how many sessions are counted for an outcome.
const MaxCounted = 10 * sessions.MaxPage

// before is the least by which an earlier event is earlier: the unit of Revocations.
const before = time.Microsecond

// Config says what the hook feeds.
type Config struct {
	// Revocations are what the gate reads; required.
	Revocations sessions.Revocations
	// Index, if set, is asked how many sessions there are in scope, for the outcome
	// alone. The gate is closed whether it answers or not.
	Index sessions.Index
	// Ignore are members of a scope that may be left out of account ("tenant", "device"),
	// where sessions and tokens are not known by them: a session that does not know its
	// tenant fits no event about a user in one. Sessions of others than are meant may end.
	// "*" are all but "user" and "session".
	Ignore []string
	// AnyIssuer lets each issuer take back what others denied, where all speak for the
	// same users. Else a denial stands until its own issuer takes it back.
	AnyIssuer bool
}

// Hook closes a gate. Safe for concurrent use.
type Hook struct{ cfg Config }

var (
	_ hooks.Hook      = (*Hook)(nil)
	_ hooks.Previewer = (*Hook)(nil)
)

// New returns a hook.
func New(cfg Config) (*Hook, error) {
	if cfg.Revocations == nil {
		return nil, errors.New("gate: Config.Revocations is required")
	}
	for _, name := range cfg.Ignore {
		if name == "" || name == subject.MemberUser || name == subject.MemberSession {
			return nil, fmt.Errorf("gate: Config.Ignore has %q: who is meant cannot be left out of account", name)
		}
	}
	return &Hook{cfg}, nil
}

// Act keeps what a says: End, Deny and Allow as they are named. Allow takes back what
// the same issuer denied. Forget takes a denial back that an earlier event of it said, since nobody would be told of its end any more; one
// of the same event stands (an account that is gone for good is denied and forgotten).
// What ended stays ended, and what is kept of it are digests that expire. Repeated or
// late, it never makes a session good that a newer event ended.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	a.Scope = h.scope(a.Scope)
	var err error
	switch a.Effect {
	case hooks.End:
		err = h.cfg.Revocations.Revoke(ctx, a.Scope, a.Until)
	case hooks.Deny:
		err = h.cfg.Revocations.Deny(ctx, a.Scope, h.by(a), a.Until)
	case hooks.Allow:
		err = h.cfg.Revocations.Allow(ctx, a.Scope, h.by(a), a.Until)
	case hooks.Forget:
		err = h.cfg.Revocations.Allow(ctx, a.Scope, h.by(a), a.Until.Add(-before))
	default:
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	if err != nil {
		return hooks.Outcome{}, outcomeOf(err)
	}
	return h.outcome(ctx, a)
}

// Preview says what Act would do.
func (h *Hook) Preview(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	a.Scope = h.scope(a.Scope)
	switch a.Effect {
	case hooks.End, hooks.Deny, hooks.Allow, hooks.Forget:
	default:
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	if _, err := sessions.Changes(sessions.OpRevoke, a.Scope, "", a.Until, time.Now()); err != nil {
		return hooks.Outcome{}, outcomeOf(err)
	}
	return h.outcome(ctx, a)
}

// PerIssuer says that a denial is of the issuer that said it, or of nobody by choice
// (Config.AnyIssuer).
func (h *Hook) PerIssuer() bool { return true }

// by is whose word a is.
func (h *Hook) by(a hooks.Action) string {
	if h.cfg.AnyIssuer {
		return ""
	}
	return a.Delivery.Issuer
}

// all in Config.Ignore are the members that do not say who is meant, whatever their names.
const all = "*"

// scope returns a scope without what is ignored; of an event about nothing else nothing.
func (h *Hook) scope(s receiver.Scope) receiver.Scope {
	return slices.DeleteFunc(slices.Clone(s), func(m receiver.ScopeMember) bool {
		switch m.Name {
		case "", subject.MemberUser, subject.MemberSession: // a simple subject has no name
			return false
		}
		return slices.Contains(h.cfg.Ignore, m.Name) || slices.Contains(h.cfg.Ignore, all)
	})
}

// outcomeOf returns the error of a call as one of a hook: a scope that fits nothing is
// none of its business, one that cannot be kept never will be.
func outcomeOf(err error) error {
	switch {
	case errors.Is(err, sessions.ErrNobody):
		return hooks.ErrNotApplicable
	case errors.Is(err, sessions.ErrScope), errors.Is(err, sessions.ErrInvalid):
		return receiver.Permanent(fmt.Errorf("gate: %w", err))
	}
	return fmt.Errorf("gate: %w", err)
}

func (h *Hook) outcome(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	if a.Effect == hooks.Allow || a.Effect == hooks.Forget {
		return hooks.Outcome{Detail: "no longer denied by this issuer"}, nil
	}
	o := hooks.Outcome{Ended: hooks.Unknown, Detail: "gate closed for what began before"}
	if a.Effect == hooks.Deny {
		o.Detail = "gate closed until allowed"
	}
	if h.cfg.Index == nil {
		return o, nil
	}
	n, err := count(ctx, h.cfg.Index, a)
	switch {
	case err != nil:
		o.Detail += "; the index did not answer"
	case n >= MaxCounted:
		o.Ended, o.Detail = n, o.Detail+"; more sessions than were counted"
	default:
		o.Ended = n
	}
	return o, nil
}

func count(ctx context.Context, index sessions.Index, a hooks.Action) (n int, err error) {
	for after := ""; n < MaxCounted; {
		page, err := index.Find(ctx, a.Scope, a.Until, after, sessions.MaxPage)
		if err != nil {
			return n, err
		}
		if n += len(page); len(page) < sessions.MaxPage {
			break
		}
		after = page[len(page)-1].ID
	}
	return n, nil
}
