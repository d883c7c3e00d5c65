package sessions

import (
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Claims are the verified claims of a token that stands for a session: an access token
// or an ID token. Empty ones are not known. At least Subject, SessionID, ID or Email is
// needed to know of a revocation.
type Claims struct {
	// Issuer and Subject, iss and sub, are the user as iss_sub events name it.
	Issuer, Subject string
	// SessionID is the sid: the session as events name it by an opaque identifier.
	SessionID string
	// ID is the jti: with Issuer the token as a jwt_id event names it.
	ID string
	// Email is the user's, as verified by the issuer, for transmitters that name users
	// by it; exactly as they write it.
	Email string
	// Tenant is the user's, as transmitters name it by an opaque identifier.
	Tenant string
	// IssuedAt is the iat, or auth_time where tokens are renewed without a new login.
	// Zero: not known, so that whatever was revoked at any time ends it.
	IssuedAt time.Time
}

// maxClaimKeys is how many digests claims give.
const maxClaimKeys = 7

// appendKeys appends the digests that a token is known by. A token that has a jti does
// not know its session by that.
func (c *Claims) appendKeys(dst []Digest) []Digest {
	user := func(d Digest) {
		if dst = append(dst, d); c.SessionID == "" {
			dst = append(dst, d.as(asAlone))
		}
	}
	if c.Subject != "" {
		user(hash(subject.MemberUser, subject.FormatIssSub, c.Issuer, c.Subject))
	}
	if c.Email != "" {
		user(hash(subject.MemberUser, subject.FormatEmail, c.Email, ""))
	}
	if c.SessionID != "" {
		dst = append(dst, hash(subject.MemberSession, subject.FormatOpaque, c.SessionID, ""))
	}
	if c.ID != "" {
		dst = append(dst, hash(subject.MemberSession, subject.FormatJWTID, c.Issuer, c.ID))
	}
	if c.Tenant != "" {
		dst = append(dst, hash(subject.MemberTenant, subject.FormatOpaque, c.Tenant, ""))
	}
	return dst
}

// Bearer returns who bears the token, to be checked more than once.
func (c Claims) Bearer() Bearer {
	return Bearer{keys: c.appendKeys(nil), begun: c.IssuedAt}
}

// Bearer is who stands at the gate: a session or a token, by the digests of what it is
// known by. The zero value is known by nothing. It holds no identifier in clear.
type Bearer struct {
	keys     []Digest
	begun    time.Time
	expires  time.Time
	unlisted bool
}

// Unlisted returns the bearer of a session that its index does not know: it is over,
// or the index has lost it. A gate that fails closed calls it Revoked, since a login
// helps; one that fails open lets it through.
func Unlisted() Bearer { return Bearer{unlisted: true} }

// NewBearer returns a bearer that is known by digests, as a store gives them back.
func NewBearer(keys []Digest, begun, expires time.Time) Bearer {
	return Bearer{keys: keys, begun: begun, expires: expires}
}

// Bearer returns who the session is of, to be checked more than once.
func (s Session) Bearer() Bearer {
	keys := appendKeys(nil, s.Members)
	slices.SortFunc(keys, compare)
	return Bearer{keys: slices.Compact(keys), begun: s.Begun, expires: s.Expires}
}

// Known reports whether the bearer is known by anything that can be revoked.
func (b Bearer) Known() bool { return len(b.keys) > 0 }

// Keys returns the digests that it is known by. Not to be changed.
func (b Bearer) Keys() []Digest { return b.keys }

// Begun and Expires are the times of the session; zero if not known.
func (b Bearer) Begun() time.Time { return b.begun }

// Expires is when the session ends by itself; zero: not known.
func (b Bearer) Expires() time.Time { return b.expires }

// Meets reports whether the bearer has all digests of the clause.
func (b Bearer) Meets(c Clause) bool {
	for i := 0; i+DigestSize <= len(c); i += DigestSize {
		if !slices.Contains(b.keys, Digest([]byte(c[i:i+DigestSize]))) {
			return false
		}
	}
	return c.Valid()
}
