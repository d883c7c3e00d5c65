package sessions

import (
	"errors"
	"fmt"
	"time"
)

// DefaultMaxLag is how old what is known may be, unless configured.
const DefaultMaxLag = 10 * time.Second

// FailMode says what becomes of a session of which the gate cannot tell whether it is
// still good.
type FailMode string

// The fail modes. There is no default: it is a decision.
const (
	FailClosed FailMode = "closed" // refused: nobody gets through while the store is away
	FailOpen   FailMode = "open"   // let through: nobody is kept out while the store is away
)

// Verdict is what the gate says of a session.
type Verdict uint8

// The verdicts.
const (
	// Good: let it through.
	Good Verdict = iota
	// Revoked: it was ended, or has expired. A new login helps.
	Revoked
	// Denied: no session is good for whom it is of. A new login does not help.
	Denied
	// Unknown: the state is not known and the gate fails closed. Later may help.
	Unknown
)

// String returns the verdict's word.
func (v Verdict) String() string {
	switch v {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	case Denied:
		return "denied"
	}
	return "unknown"
}

// Config says how a gate is to be built.
type Config struct {
	// Revocations are what it enforces; required.
	Revocations Revocations
	// Fail says what becomes of a session when the state is not known; required: the
	// store has not been loaded, or is away for longer than MaxLag; the session
	// began longer ago than revocations are kept, or nothing it is known by can be
	// revoked. What is known to be revoked is refused in either mode.
	Fail FailMode
	// MaxLag is how old the state of a store that others write to may be; zero:
	// DefaultMaxLag.
	MaxLag time.Duration
}

// Gate says whether sessions are still good. Checks read memory alone. Safe for
// concurrent use.
type Gate struct {
	state  *State
	open   bool
	maxLag time.Duration
}

// NewGate returns a gate. The error names everything that is wrong in cfg.
func NewGate(cfg Config) (*Gate, error) {
	var errs []error
	if cfg.Revocations == nil {
		errs = append(errs, errors.New("sessions: Config.Revocations is required"))
	}
	if cfg.Fail != FailClosed && cfg.Fail != FailOpen {
		errs = append(errs, fmt.Errorf("sessions: Config.Fail is %q, want %q or %q: what becomes of sessions while the state is not known is a decision",
			cfg.Fail, FailClosed, FailOpen))
	}
	if cfg.MaxLag < 0 {
		errs = append(errs, errors.New("sessions: Config.MaxLag must not be negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.MaxLag == 0 {
		cfg.MaxLag = DefaultMaxLag
	}
	return &Gate{state: cfg.Revocations.State(), open: cfg.Fail == FailOpen, maxLag: cfg.MaxLag}, nil
}

// Session says whether a session is still good. It does not allocate.
func (g *Gate) Session(s Session) Verdict {
	var stack [maxKeys]Digest
	return g.check(appendKeys(stack[:0], s.Members), s.Begun, s.Expires)
}

// Claims says whether a token is still good; its signature, audience and lifetime are
// the caller's to check. It does not allocate.
func (g *Gate) Claims(c Claims) Verdict {
	var stack [maxClaimKeys]Digest
	return g.check(c.appendKeys(stack[:0]), c.IssuedAt, time.Time{})
}

// Bearer says whether a session or token is still good. It does not allocate.
func (g *Gate) Bearer(b Bearer) Verdict {
	if b.unlisted && !g.open {
		return Revoked
	}
	return g.check(b.keys, b.begun, b.expires)
}

// Ready returns nil if the state is known as of now, else why it is not. It is what a
// health check asks.
func (g *Gate) Ready() error {
	lag, loaded := g.state.Lag(g.state.cfg.Now())
	switch {
	case !loaded:
		return errors.New("sessions: revocations have not been loaded")
	case lag > g.maxLag:
		return fmt.Errorf("sessions: revocations were last known %v ago, want at most %v", lag.Round(time.Second), g.maxLag)
	}
	return nil
}

func (g *Gate) check(keys []Digest, begun, expires time.Time) Verdict {
	now := g.state.cfg.Now()
	switch denied, ended := g.state.look(keys, begun.UnixMicro()); {
	case denied:
		return Denied
	case ended, !expires.IsZero() && !expires.After(now):
		return Revoked
	}
	if g.open || g.known(keys, begun, now) {
		return Good
	}
	return Unknown
}

// known reports whether a revocation of the session would be known.
func (g *Gate) known(keys []Digest, begun, now time.Time) bool {
	if len(keys) == 0 || !begun.IsZero() && now.Sub(begun) > g.state.cfg.Retention {
		return false
	}
	lag, loaded := g.state.Lag(now)
	return loaded && lag <= g.maxLag
}
