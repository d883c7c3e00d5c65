package scs

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// everySession is what some transmitters send as the session's id for all of the
// user's sessions.
const everySession = "ALL"

// Second halves of a digest where there is no session identifier.
const (
	alone   = ""  // the user, or the session, by itself
	unknown = "?" // a user whose session at the transmitter is not known
)

// keys returns the digests under which a session is found: of each user, of each
// session, and of each pair of them. A login that names no session is ended with any
// of its user's.
func (l Login) keys() []string {
	var keys []string
	for _, user := range l.Users {
		keys = append(keys, digest(user, alone))
		if len(l.Sessions) == 0 {
			keys = append(keys, digest(user, unknown))
		}
		for _, session := range l.Sessions {
			keys = append(keys, digest(user, session.Canonical()))
		}
	}
	for _, session := range l.Sessions {
		keys = append(keys, digest(session, alone))
	}
	return keys
}

// target returns the digests that an event's subject names: one is enough to match.
func target(id subject.Identifier) []string {
	var keys []string
	if !id.IsComplex() {
		for _, one := range each(id) {
			keys = append(keys, digest(one, alone))
		}
		return keys
	}
	user, hasUser := id.Member("user")
	session, hasSession := id.Member("session")
	if value, ok := session.Value("id"); ok && value == everySession {
		hasSession = false
	}
	switch {
	case hasUser && hasSession:
		for _, u := range each(user) {
			keys = append(keys, digest(u, unknown))
			for _, s := range each(session) {
				keys = append(keys, digest(u, s.Canonical()))
			}
		}
	case hasUser:
		return target(user)
	case hasSession:
		return target(session)
	}
	return keys
}

// each returns the identifiers of an alias list, or id itself.
func each(id subject.Identifier) []subject.Identifier {
	if list := id.Identifiers(); len(list) > 0 {
		return list
	}
	if id.IsZero() {
		return nil
	}
	return []subject.Identifier{id}
}

func digest(id subject.Identifier, second string) string {
	sum := sha256.Sum256([]byte(id.Canonical() + "\n" + second))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
