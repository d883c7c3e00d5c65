// Package denylist refuses tokens (JWTs) that were issued before a transmitter said
// that the user's, or their session's, trust has ended: for APIs that keep no sessions.
//
//	list, err := denylist.New(denylist.Config{Fail: sessions.FailClosed})
//	mux.Handle(hooks.Route(caep.SessionRevokedType, hooks.End, list))
//	handler := verifyJWT(list.Middleware(claimsOf)(api))
//
// It is the hook of package gate with a gate for tokens: what is kept are revocations
// (package sessions), by digests of `iss` and `sub`, `sid`, `jti` and e-mail, with
// their times.
package denylist

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// MaxClaimsBytes bounds what ParseClaims reads.
const MaxClaimsBytes = 64 << 10

// maxTime is the year 9999, as seconds.
const maxTime = 253_402_300_799

// Config is where the list is kept.
type Config struct {
	// Revocations are the list: of one process (sessions.NewMemoryRevocations), or of a
	// store that processes share and that survives them. Nil: of this process, lost
	// when it ends.
	Revocations sessions.Revocations
	// Lifetime is the longest that a token is good, for which entries are kept; zero:
	// sessions.DefaultRetention. Not for Revocations that are given.
	Lifetime time.Duration
	// Fail says what becomes of tokens while the list is not known. Required.
	Fail sessions.FailMode
	// Ignore is that of gate.Config: "tenant" where Claims have none.
	Ignore []string
}

// List is a deny list: a hook, and what looks at tokens. Safe for concurrent use.
type List struct {
	*gate.Hook
	gate *sessions.Gate
}

// New checks cfg and returns its list.
func New(cfg Config) (*List, error) {
	if cfg.Revocations == nil {
		kept, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{Retention: cfg.Lifetime})
		if err != nil {
			return nil, fmt.Errorf("denylist: %w", err)
		}
		cfg.Revocations = kept
	}
	door, err := sessions.NewGate(sessions.Config{Revocations: cfg.Revocations, Fail: cfg.Fail})
	if err != nil {
		return nil, fmt.Errorf("denylist: %w", err)
	}
	hook, err := gate.New(gate.Config{Revocations: cfg.Revocations, Ignore: cfg.Ignore})
	if err != nil {
		return nil, fmt.Errorf("denylist: %w", err)
	}
	return &List{hook, door}, nil
}

// Check says whether a token of these verified claims is still good. It does not allocate.
func (l *List) Check(c sessions.Claims) sessions.Verdict { return l.gate.Claims(c) }

// Middleware lets requests of good tokens through and answers others as
// sessions.Refuse does: 401 where a new token helps, 403 where none does. claims
// returns those of a request's token, which was verified before; false: none, and the
// request goes through.
func (l *List) Middleware(claims func(*http.Request) (sessions.Claims, bool)) func(http.Handler) http.Handler {
	return l.gate.Middleware(func(r *http.Request) (sessions.Bearer, bool) {
		c, ok := claims(r)
		return c.Bearer(), ok
	})
}

// ParseClaims reads the payload of a token that was verified: iss, sub, sid, jti, email
// (only if email_verified is not false), and auth_time, else iat. The error repeats
// nothing of it.
func ParseClaims(payload []byte) (sessions.Claims, error) {
	var c struct {
		Iss           string  `json:"iss"`
		Sub           string  `json:"sub"`
		Sid           string  `json:"sid"`
		Jti           string  `json:"jti"`
		Email         string  `json:"email"`
		EmailVerified *bool   `json:"email_verified"`
		Iat           float64 `json:"iat"`
		AuthTime      float64 `json:"auth_time"`
	}
	if len(payload) > MaxClaimsBytes || json.Unmarshal(payload, &c) != nil {
		return sessions.Claims{}, errors.New("denylist: the claims are not those of a token")
	}
	out := sessions.Claims{Issuer: c.Iss, Subject: c.Sub, SessionID: c.Sid, ID: c.Jti, Email: c.Email}
	if c.EmailVerified != nil && !*c.EmailVerified {
		out.Email = ""
	}
	at := c.Iat
	if c.AuthTime > 0 {
		at = c.AuthTime
	}
	if at > 0 && at <= maxTime {
		out.IssuedAt = time.UnixMilli(int64(at * 1e3))
	}
	return out, nil
}
