package sessions

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// MaxClauses bounds the clauses of one scope, so the product of its aliases.
const MaxClauses = 256

// ErrScope says that a scope fits nothing, or has more than MaxClauses. Nothing can
// be kept for it, and trying again does not help.
var ErrScope = errors.New("sessions: scope that nothing can be kept for")

// ErrNobody is an ErrScope: the scope fits nothing, such as that of a subject which
// names neither a user nor anything else.
var ErrNobody = fmt.Errorf("%w: it fits nothing", ErrScope)

// Clause is a set of digests that a session must have all of: the form in which scopes
// are kept. The digests stand one after the other, first the one that it is looked up
// by: that of its narrowest member. A scope is met if one of its clauses is. That of a
// denial of somebody's own ends with whose it is, so that each has a mark of its own.
type Clause string

// Clauses returns the clauses of a scope. A session fits the scope (receiver.Scope.Fits)
// exactly if it has the digests of one of them. Error: ErrScope.
func Clauses(scope receiver.Scope) ([]Clause, error) {
	all, err := appendClauses(nil, scope, false)
	if err == nil && scope.Member(subject.MemberUser) != nil && scope.Member(subject.MemberSession) != nil {
		all, err = appendClauses(all, scope, true)
	}
	return all, err
}

// appendClauses appends the product of the members' identifiers; with alone those for
// users of whose session nothing is known, instead of the scope's session.
func appendClauses(dst []Clause, scope receiver.Scope, alone bool) ([]Clause, error) {
	product := [][]Digest{nil}
	for _, m := range byRank(scope) {
		if alone && m.Name == subject.MemberSession {
			continue
		}
		each := digestsOf(m, alone)
		if len(each)*len(product)+len(dst) > MaxClauses {
			return nil, fmt.Errorf("%w: more than %d combinations", ErrScope, MaxClauses)
		}
		var wider [][]Digest
		for _, digests := range product {
			for _, d := range each {
				wider = append(wider, append(slices.Clip(digests), d))
			}
		}
		product = wider
	}
	if len(scope) == 0 || len(product) == 0 {
		return nil, ErrNobody
	}
	for _, digests := range product {
		dst = append(dst, newClause(digests))
	}
	return dst, nil
}

// digestsOf returns the digests that a session has one of if it fits m: a simple
// subject is a user or a session.
func digestsOf(m receiver.ScopeMember, alone bool) []Digest {
	var all []Digest
	for _, id := range m.Identifiers {
		switch {
		case m.Name == "":
			user := newDigest(subject.MemberUser, id)
			all = append(all, user, user.as(asSession))
		case alone && m.Name == subject.MemberUser:
			all = append(all, newDigest(m.Name, id).as(asAlone))
		default:
			all = append(all, newDigest(m.Name, id))
		}
	}
	return all
}

// byRank returns the members of a scope, the narrowest first.
func byRank(scope receiver.Scope) receiver.Scope {
	rank := func(m receiver.ScopeMember) int {
		names := []string{subject.MemberSession, subject.MemberDevice, "", subject.MemberUser}
		if at := slices.Index(names, m.Name); at >= 0 {
			return at
		}
		return len(names)
	}
	sorted := slices.Clone(scope)
	slices.SortStableFunc(sorted, func(a, b receiver.ScopeMember) int { return rank(a) - rank(b) })
	return sorted
}

// newClause sorts all digests but the first: order means nothing among them.
func newClause(digests []Digest) Clause {
	rest := slices.Clone(digests[1:])
	slices.SortFunc(rest, compare)
	text := append([]byte(nil), digests[0][:]...)
	for _, d := range rest {
		text = append(text, d[:]...)
	}
	return Clause(text)
}

// byMark stands before the digest of whose word a clause is, both behind all others. No
// identifier has it as its digest.
var byMark Digest

// byName is the name under which whose word it is becomes a digest.
const byName = "by"

// by returns the clause of a denial of somebody's own. Sessions need not have the digest
// of whose it is.
func (c Clause) by(who string) Clause {
	d := hash(byName, "", who, "")
	return c + Clause(byMark[:]) + Clause(d[:])
}

// needed returns those of the digests behind the first that a session must have.
func needed(rest []Digest) []Digest {
	if n := len(rest); n >= 2 && rest[n-2] == byMark {
		return rest[:n-2]
	}
	return rest
}

// Valid reports whether c could be a clause: whole digests, at least one.
func (c Clause) Valid() bool { return len(c) > 0 && len(c)%DigestSize == 0 }

// Digests returns the digests of c.
func (c Clause) Digests() []Digest {
	digests := make([]Digest, len(c)/DigestSize)
	for i := range digests {
		copy(digests[i][:], c[i*DigestSize:])
	}
	return digests
}

// Alone reports whether the clause is about sessions of which only the user is known.
func (c Clause) Alone() bool {
	return slices.ContainsFunc(c.Digests(), func(d Digest) bool { return d.role() == asAlone })
}
