// Package hooks says what a hook is asked to do and how it answers; the ready-made
// ones are in the folders beneath, one for each thing that keeps sessions.
//
// A library user routes an event type to a hook with [Route]:
//
//	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, denylist))
//
// The daemon's policy (receiver/policy) chooses hooks and effects by rules instead.
package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// Effect is what an event shall bring about.
type Effect string

// The effects.
const (
	// End ends the sessions in scope that began at or before the action's time.
	End Effect = "end"
	// Deny ends them, too, and lets none begin for the scope until Allow.
	Deny Effect = "deny"
	// Allow takes a Deny back; no session is touched.
	Allow Effect = "allow"
	// Reload says that claims of living sessions have changed: sessions live on.
	Reload Effect = "reload"
	// Forget says that what is known of the scope at the transmitter is to be
	// given up: the user opted out, or the account is gone.
	Forget Effect = "forget"
	// Notify tells of the event and ends nothing.
	Notify Effect = "notify"
)

// Effects returns all effects, in the order above.
func Effects() []Effect { return []Effect{End, Deny, Allow, Reload, Forget, Notify} }

// Action is what one hook is asked to do about one event.
type Action struct {
	Effect Effect
	// Scope is which sessions are meant, parsed from the subject.
	Scope receiver.Scope
	// Until is the event's time: sessions begun at or before it are meant, later
	// ones never (docs/contracts.md §8).
	Until time.Time
	// Key is the same at every attempt at this action and for no other: the key
	// of idempotence for what stands behind the hook.
	Key string
	// Delivery is the verified event.
	Delivery receiver.Delivery
}

// NewAction returns the action of effect by the hook of that name about d.
func NewAction(d receiver.Delivery, hook string, effect Effect) Action {
	sum := sha256.Sum256([]byte(d.Issuer + "\n" + d.ID + "\n" + hook + "\n" + string(effect)))
	return Action{
		Effect: effect, Scope: receiver.ScopeOf(d.Subject), Until: d.EventTime,
		Key: base64.RawURLEncoding.EncodeToString(sum[:18]), Delivery: d,
	}
}

// Unknown is the number of ended sessions where a hook cannot tell it.
const Unknown = -1

// Outcome is what a hook did.
type Outcome struct {
	// Ended is how many sessions were ended, or would have been; Unknown if the
	// hook cannot tell.
	Ended int
	// Detail is a few words for people, without secrets or identifiers; may be empty.
	Detail string
}

// ErrNotApplicable says that a hook has nothing to do with an action: an effect that
// it does not have, or a scope in which there is nothing it could find a session by.
// It is no failure and no reason to try again.
var ErrNotApplicable = errors.New("not applicable to this hook")

// Hook does something about events. Safe for concurrent use.
type Hook interface {
	// Act does what a says. It heeds ctx, which has a deadline. It runs at least
	// once per action and must not mind the repetition. Errors: one that is
	// ErrNotApplicable; a receiver.Permanent one, to give the action up at once;
	// any other, to be asked again later.
	Act(ctx context.Context, a Action) (Outcome, error)
}

// Previewer is a Hook that can say what Act would do, and does nothing.
type Previewer interface {
	// Preview returns what Act would, with the same errors.
	Preview(ctx context.Context, a Action) (Outcome, error)
}

// PerIssuer is a Hook that keeps itself whose word a denial is: it is told every allowance,
// and takes back what the same issuer denied. Any other is asked to allow only where no issuer
// still denies (receiver/policy).
type PerIssuer interface {
	PerIssuer() bool
}

// Func is a Hook of a function.
type Func func(ctx context.Context, a Action) (Outcome, error)

// Act calls f.
func (f Func) Act(ctx context.Context, a Action) (Outcome, error) { return f(ctx, a) }

// Route returns the route of an event type to one effect of h, for a Mux without a
// policy. What is not applicable is done with.
func Route(eventType string, effect Effect, h Hook) receiver.Route {
	return receiver.OnType(eventType, func(ctx context.Context, d receiver.Delivery) error {
		_, err := h.Act(ctx, NewAction(d, "", effect))
		if errors.Is(err, ErrNotApplicable) {
			return nil
		}
		return err
	})
}
