package values

import (
	"errors"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Match is one of several ways to find sessions that an action can be done by.
type Match struct {
	Way  int // its place in what Pick was given
	Rows []Row
}

// Pick returns those of several ways, each by the names of the values it needs, by
// which the action can be done. If the scope names a session, and one of them finds
// sessions by it, those that would find all sessions of its user are left out. The
// error is that of [Rows] if there is none.
func Pick(a hooks.Action, ways [][]string, ignore []string) ([]Match, error) {
	var all, bySession []Match
	refused := hooks.ErrNotApplicable
	for i, names := range ways {
		rows, err := Rows(a, names, ignore)
		switch {
		case errors.Is(err, hooks.ErrNotApplicable):
			refused = err
			continue
		case err != nil:
			return nil, err
		}
		m := Match{i, rows}
		all = append(all, m)
		if !ByMember(names) || ByMember(names, subject.MemberSession) {
			bySession = append(bySession, m)
		}
	}
	finds := slices.ContainsFunc(bySession, func(m Match) bool { return ByMember(ways[m.Way], subject.MemberSession) })
	switch {
	case len(all) == 0:
		return nil, refused
	case a.Scope.Member(subject.MemberSession) != nil && finds:
		return bySession, nil
	}
	return all, nil
}

// OneSession reports whether an action is about one session of its user: nothing that
// holds for the user as a whole, such as a denial, follows from it.
func OneSession(a hooks.Action) bool { return a.Scope.Member(subject.MemberSession) != nil }

// ByMember reports whether one of names is of a member: of one of members, if given.
func ByMember(names []string, members ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		member, _, dotted := strings.Cut(name, ".")
		return dotted && (len(members) == 0 || slices.Contains(members, member))
	})
}
