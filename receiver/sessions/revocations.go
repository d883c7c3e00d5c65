package sessions

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// Bounds and defaults of revocations.
const (
	// DefaultRetention is how long revocations are kept unless configured.
	DefaultRetention = 30 * 24 * time.Hour
	// DefaultMaxMarks bounds the clauses that revocations are kept for unless configured.
	DefaultMaxMarks = 4_000_000
	// MaxAhead is how far in the future an event's time counts. A later one counts as
	// that, so that nobody ends sessions of years to come.
	MaxAhead = receiver.MaxAhead
)

// ErrFull: a bound was reached; nothing was kept.
var ErrFull = errors.New("sessions: full")

// Revocations knows which sessions are no longer good, whoever keeps them. Safe for
// concurrent use.
//
// Older state never overrides newer (docs/contracts.md §8), in whatever order calls
// come and how often each is repeated: times only grow, and of Deny, Allow and Forget
// the latest by its own time holds, of two at the same time the one that came later.
// Times count in microseconds, and at most MaxAhead from now.
//
// What a call says is seen by every check that begins after it has returned, and as
// durable by then as the backend states. It is kept for the configured retention after
// its time, which is to be at least the longest life of a session; a denial until it
// is taken back.
//
// Errors: ErrScope, ErrInvalid without a time, ErrFull, or a failure of the store, after
// which the call may have been kept and is to be repeated.
type Revocations interface {
	// Revoke ends the sessions in scope that began at or before until. Later ones live.
	Revoke(ctx context.Context, scope receiver.Scope, until time.Time) error
	// Deny ends them as Revoke does and lets none in scope be good from then on, also
	// later ones, until Allow. A session of which only the user is known is not denied
	// by a scope of the user and one session. by is whose word it is, an issuer's; empty:
	// nobody's in particular.
	Deny(ctx context.Context, scope receiver.Scope, by string, at time.Time) error
	// Allow takes back what Deny said of the same scope at or before at: by the same, or
	// by nobody in particular. What others denied stands, and what ended stays ended.
	Allow(ctx context.Context, scope receiver.Scope, by string, at time.Time) error
	// State returns what checks read: the revocations in memory.
	State() *State
}

// Op is what a call of Revocations says.
type Op uint8

// The calls.
const (
	OpRevoke Op = iota
	OpDeny
	OpAllow
)

// Mark is what is kept of one clause. Times are microseconds since the epoch.
type Mark struct {
	// Until: sessions begun at or before it are ended; Never if none are.
	Until int64
	// Since is the time of the latest Deny or Allow; Never without one.
	Since int64
	// Denied says which of them it was.
	Denied bool
}

// Never is the time of what has not happened, in a Mark.
const Never = math.MinInt64

// NoMark is the mark of a clause of which nothing was said.
func NoMark() Mark { return Mark{Until: Never, Since: Never} }

// With returns the mark after a change, and whether it is another one.
func (m Mark) With(c Change) (Mark, bool) {
	before := m
	if c.Op != OpAllow {
		m.Until = max(m.Until, c.At)
	}
	if c.Op != OpRevoke && c.At >= m.Since && !(c.Op == OpDeny && c.Clause.Alone()) {
		m.Since, m.Denied = c.At, c.Op == OpDeny
	}
	return m, m != before
}

// Expires returns when the mark says nothing any more, in microseconds: retention
// after its latest time, Never for a denial, which stands until it is taken back.
func (m Mark) Expires(retention time.Duration) int64 {
	if m.Denied {
		return Never
	}
	return max(m.Until, m.Since) + retention.Microseconds()
}

// Change is what one call says of one clause.
type Change struct {
	Op     Op
	Clause Clause
	At     int64 // microseconds since the epoch
}

// Changes returns what a call says, for a backend to merge into its marks (Mark.With). by
// is whose word it is. Errors: ErrScope, ErrInvalid without a time.
func Changes(op Op, scope receiver.Scope, by string, at, now time.Time) ([]Change, error) {
	if at.IsZero() {
		return nil, fmt.Errorf("%w: a revocation without a time", ErrInvalid)
	}
	if last := now.Add(MaxAhead); at.After(last) {
		at = last
	}
	clauses, err := Clauses(scope)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, c := range clauses {
		if op != OpRevoke && by != "" && !c.Alone() {
			changes = append(changes, Change{op, c.by(by), at.UnixMicro()})
			if op == OpDeny {
				continue
			}
		}
		changes = append(changes, Change{op, c, at.UnixMicro()})
	}
	return changes, nil
}

// RevocationsConfig says what revocations keep.
type RevocationsConfig struct {
	// Retention is how long a revocation is kept after its time, at least the longest
	// life of a session; zero: DefaultRetention. The gate does not know what became of
	// a session that began longer ago (see Config.FailOpen).
	Retention time.Duration
	// MaxMarks bounds what is kept in memory: one mark for each identifier that a
	// scope of one member has, more for scopes of several, two for an allowance. Zero:
	// DefaultMaxMarks.
	// About 100 bytes each.
	MaxMarks int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Filled returns cfg with its defaults. The error names each bad field.
func (cfg RevocationsConfig) Filled() (RevocationsConfig, error) {
	var errs []error
	if cfg.Retention < 0 {
		errs = append(errs, errors.New("sessions: Retention must not be negative"))
	}
	if cfg.MaxMarks < 0 {
		errs = append(errs, errors.New("sessions: MaxMarks must not be negative"))
	}
	if cfg.Retention == 0 {
		cfg.Retention = DefaultRetention
	}
	if cfg.MaxMarks == 0 {
		cfg.MaxMarks = DefaultMaxMarks
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, errors.Join(errs...)
}
