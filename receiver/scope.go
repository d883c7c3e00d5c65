package receiver

import (
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// everySession is what some transmitters send as the id of the session for all
// sessions of the user (Keycloak's log-out-everywhere). It is never one id.
const everySession = "ALL"

// Scope says which sessions an event is about: those that fit every one of its
// members. Two members narrow each other, so that user and session are that one
// session of that user (SSF §3.3, CAEP §3.1). A scope without members fits nothing.
type Scope []ScopeMember

// ScopeMember is one member of a [Scope]. A session fits it if it has one of the
// identifiers under that name.
type ScopeMember struct {
	// Name is that of a member of complex subjects ("user", "session", …), or ""
	// for a simple subject, which may be a user or a session.
	Name string
	// Identifiers are the member's identifier, or those of its aliases. Not empty.
	Identifiers []subject.Identifier
}

// ScopeOf returns the scope of a subject, the members of a complex one sorted by
// name. A session called "ALL" beside a user is left out: it narrows nothing. By
// itself it says nothing about whom, so the scope is empty.
func ScopeOf(id subject.Identifier) Scope {
	if !id.IsComplex() {
		return Scope(nil).with("", id)
	}
	var s Scope
	for _, name := range id.MemberNames() {
		member, _ := id.Member(name)
		if name == subject.MemberSession {
			if value, ok := member.Value("id"); ok && value == everySession {
				if _, user := id.Member(subject.MemberUser); user {
					continue
				}
				return nil
			}
		}
		s = s.with(name, member)
	}
	return s
}

func (s Scope) with(name string, id subject.Identifier) Scope {
	if list := id.Identifiers(); len(list) > 0 {
		return append(s, ScopeMember{name, list})
	}
	if id.IsZero() {
		return s
	}
	return append(s, ScopeMember{name, []subject.Identifier{id}})
}

// Member returns the identifiers under name; nil if the scope does not have it.
func (s Scope) Member(name string) []subject.Identifier {
	for _, m := range s {
		if m.Name == name {
			return m.Identifiers
		}
	}
	return nil
}

// Users returns the identifiers of the user: those under "user", else those of a
// simple subject, which may name a session instead.
func (s Scope) Users() []subject.Identifier {
	if users := s.Member(subject.MemberUser); users != nil {
		return users
	}
	return s.Member("")
}

// Sessions returns the identifiers of the session: those under "session", else those
// of a simple subject, which may name a user instead.
func (s Scope) Sessions() []subject.Identifier {
	if sessions := s.Member(subject.MemberSession); sessions != nil {
		return sessions
	}
	return s.Member("")
}

// Kind returns the name of the narrowest member, in the order session, device, user,
// group, org_unit, application, tenant; "user" for a simple subject, the name of
// another member if there are only such, and "" for an empty scope.
func (s Scope) Kind() string {
	for _, name := range kinds() {
		if s.Member(name) != nil {
			return name
		}
	}
	switch {
	case len(s) == 0:
		return ""
	case s[0].Name == "":
		return subject.MemberUser
	}
	return s[0].Name
}

func kinds() []string {
	return []string{
		subject.MemberSession, subject.MemberDevice, subject.MemberUser, subject.MemberGroup,
		subject.MemberOrgUnit, subject.MemberApplication, subject.MemberTenant,
	}
}

// Fits reports whether a session that is known by the given identifiers fits the
// scope. of returns the session's identifiers under a name, nil if it knows none.
//
// A session that is not known by any identifier of a name that the scope has does not
// fit, with one exception: one that does not know its session at the transmitter fits
// through its user, since it might be the one.
func (s Scope) Fits(of func(name string) []subject.Identifier) bool {
	byUser := s.Member(subject.MemberUser) != nil
	for _, m := range s {
		if !m.fits(of, byUser) {
			return false
		}
	}
	return len(s) > 0
}

func (m ScopeMember) fits(of func(name string) []subject.Identifier, byUser bool) bool {
	switch {
	case m.Name == "":
		return m.among(of(subject.MemberUser)) || m.among(of(subject.MemberSession))
	case m.Name == subject.MemberSession && byUser && len(of(m.Name)) == 0:
		return true
	}
	return m.among(of(m.Name))
}

func (m ScopeMember) among(ids []subject.Identifier) bool {
	return slices.ContainsFunc(ids, func(id subject.Identifier) bool {
		return slices.ContainsFunc(m.Identifiers, id.Equal)
	})
}
