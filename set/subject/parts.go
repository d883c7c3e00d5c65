package subject

import "iter"

// Parts yields the identifier itself and all that stand in it as members or
// aliases, at whatever depth, each with the name of the complex subject's member
// under which it stands: "user" for the user of a session and for that user's
// aliases, "" for the identifier itself and for aliases on their own. What
// stands there twice comes twice. The zero value has no parts.
// [Identifier.Contains] holds for each.
func (i Identifier) Parts() iter.Seq2[string, Identifier] {
	return func(yield func(string, Identifier) bool) {
		if i.n != nil {
			i.parts("", yield)
		}
	}
}

func (i Identifier) parts(under string, yield func(string, Identifier) bool) bool {
	if !yield(under, i) {
		return false
	}
	for k := range i.n.members {
		if m := &i.n.members[k]; !m.sub.IsZero() && !m.sub.parts(m.name, yield) {
			return false
		}
	}
	for _, alias := range i.n.list {
		if !alias.parts(under, yield) {
			return false
		}
	}
	return true
}
