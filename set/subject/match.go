package subject

import "strings"

// Matching is how the subject of a stream and the subject of an event are
// compared (SSF §8.1.3.1). The zero value is the letter of the specification;
// [DefaultMatching] is what a transmitter uses unless told otherwise.
type Matching struct {
	// RequireCommonMember demands that two complex subjects share at least one
	// identical member; by the letter, {user} matches {tenant} (docs/divergences.md, U6).
	RequireCommonMember bool
	// SimpleAsUser reads a simple subject as a complex one with only a user (U5).
	SimpleAsUser bool
	// AnyAlias lets an aliases identifier match through any of its identifiers (U5).
	AnyAlias bool
	// Normalize, if not nil, is applied to both sides first, for example to fold
	// the case of e-mail domains. It must be pure.
	Normalize func(Identifier) Identifier
}

// DefaultMatching returns exact matching in which complex subjects must share a
// member.
func DefaultMatching() Matching { return Matching{RequireCommonMember: true} }

// Match reports whether an event about event belongs to a stream that registered
// stream: equal if both are simple; if both are complex, each member is absent on
// one side or identical on both. A simple subject never matches a complex one
// unless SimpleAsUser says so. The zero value matches nothing.
func (m Matching) Match(stream, event Identifier) bool {
	if m.Normalize != nil {
		stream, event = m.Normalize(stream), m.Normalize(event)
	}
	if stream.IsZero() || event.IsZero() {
		return false
	}
	if m.SimpleAsUser && stream.IsComplex() != event.IsComplex() {
		stream, event = asUser(stream), asUser(event)
	}
	if stream.IsComplex() && event.IsComplex() {
		return m.matchComplex(stream.n.members, event.n.members)
	}
	return m.matchSimple(stream, event)
}

// matchComplex walks both sorted member lists.
func (m Matching) matchComplex(a, b []member) bool {
	shared := false
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].name < b[0].name:
			a = a[1:]
		case a[0].name > b[0].name:
			b = b[1:]
		case !m.matchSimple(a[0].sub, b[0].sub):
			return false
		default:
			shared, a, b = true, a[1:], b[1:]
		}
	}
	return shared || !m.RequireCommonMember
}

func (m Matching) matchSimple(a, b Identifier) bool {
	if a.Equal(b) {
		return true
	}
	if !m.AnyAlias {
		return false
	}
	for _, x := range a.alternatives() {
		for _, y := range b.alternatives() {
			if x.Equal(y) {
				return true
			}
		}
	}
	return false
}

// alternatives returns the identifiers of aliases, else the identifier alone.
func (i Identifier) alternatives() []Identifier {
	if len(i.n.list) > 0 {
		return i.n.list
	}
	return []Identifier{i}
}

// asUser returns a simple subject as the user of a complex one.
func asUser(i Identifier) Identifier {
	if i.IsComplex() {
		return i
	}
	n := &node{format: FormatComplex, members: []member{{name: MemberUser, sub: i}}}
	n.seal()
	return Identifier{n}
}

// Excludes reports whether the removal of excluded silences an event about event:
// only if every member of excluded is present and identical in event, or both are
// simple and equal. Exclusion is never wildcard matching: removing one user must
// not silence the events of its whole tenant (docs/divergences.md, U7).
func Excludes(excluded, event Identifier) bool {
	if excluded.IsZero() || event.IsZero() {
		return false
	}
	if !excluded.IsComplex() || !event.IsComplex() {
		return excluded.Equal(event)
	}
	for k := range excluded.n.members {
		m := &excluded.n.members[k]
		if sub, ok := event.Member(m.name); !ok || !sub.Equal(m.sub) {
			return false
		}
	}
	return true
}

// Project returns the canonical form of a complex subject restricted to those of
// names that it has; "" if it has none of them or is simple. Projections onto the
// same names are equal if the members are, so they serve as index keys.
func (i Identifier) Project(names ...string) string {
	if !i.IsComplex() {
		return ""
	}
	part := node{format: FormatComplex}
	for k := range i.n.members {
		for _, name := range names {
			if i.n.members[k].name == name {
				part.members = append(part.members, i.n.members[k])
				break
			}
		}
	}
	if len(part.members) == 0 {
		return ""
	}
	return string(part.appendCanonical(make([]byte, 0, len(i.n.canonical))))
}

// Contains reports whether o is the identifier itself, or stands in it as a
// member or an alias, at whatever depth. Nothing contains the zero value.
func (i Identifier) Contains(o Identifier) bool {
	// The canonical form of a part stands in that of the whole as it is, and
	// inside of a text its quotes would be escaped.
	return !i.IsZero() && !o.IsZero() && strings.Contains(i.n.canonical, o.n.canonical)
}
