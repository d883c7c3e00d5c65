package subject

import "bytes"

// stackPairs is how many members are split without an allocation.
const stackPairs = 10

// Parse reads what a peer sent, as a receiver does. Members that a known format
// does not describe are kept in [Identifier.Raw] and have no meaning (RFC 9493
// §3, read as in docs/divergences.md U3); a phone number may have spaces; the format "phone"
// is read as phone_number, since RISC §2.5 means it so (U26).
//
// The bytes are copied. A failed Parse returns the zero value and an [*Error].
func Parse(raw []byte) (Identifier, error) { return parse(raw, reading{}) }

// ParseStrict reads what a transmitter is asked to store or to send: as [Parse],
// but members that a known format does not describe are refused (RFC 9493 §3),
// as are phone numbers with separators.
func ParseStrict(raw []byte) (Identifier, error) { return parse(raw, reading{strict: true}) }

// reading is how tolerant a parse is.
type reading struct {
	strict bool
	legacy Legacy
}

// place is where an identifier stands; it decides which formats may stand there.
type place int

const (
	atTop place = iota
	inComplex
	inAliases
)

func parse(raw []byte, how reading) (Identifier, error) {
	if err := check(raw); err != nil {
		return Identifier{}, err
	}
	id, _, err := how.identifier(bytes.Clone(raw), atTop)
	if err != nil {
		return Identifier{}, err
	}
	return id, nil
}

// identifier builds one identifier from valid JSON that it may keep. renamed
// says that older names were translated, so that raw no longer is its text.
func (how reading) identifier(raw []byte, where place) (id Identifier, renamed bool, err *Error) {
	var stack [stackPairs]pair
	pairs, ok := splitObject(stack[:0], raw)
	if !ok {
		return id, false, &Error{Reason: "must be a JSON object"}
	}
	pairs, renamed = how.legacy.rename(pairs)
	format, err := formatOf(pairs, how.legacy.ImplicitComplex && where == atTop)
	if err != nil {
		return id, false, err
	}
	n := &node{format: format, raw: raw}
	switch {
	case where != atTop && format == FormatComplex:
		err = &Error{Reason: "a complex subject must not stand here"}
	case where == inAliases && format == FormatAliases:
		err = &Error{Reason: "aliases must not be nested"}
	default:
		var below bool
		below, err = how.fill(n, pairs)
		renamed = renamed || below || pairNamed(pairs, nameFormat) == nil
	}
	if err != nil {
		return id, false, err
	}
	if renamed {
		n.raw = rewrite(n, pairs)
	}
	n.seal()
	return Identifier{n}, renamed, nil
}

// formatOf returns the format that the members name.
func formatOf(pairs []pair, implicitComplex bool) (string, *Error) {
	p := pairNamed(pairs, nameFormat)
	if p == nil && implicitComplex && len(pairs) > 0 {
		return FormatComplex, nil
	}
	if p == nil {
		return "", &Error{Member: nameFormat, Reason: "is missing"}
	}
	format, ok := text(p.value)
	if !ok || format == "" {
		return "", &Error{Member: nameFormat, Reason: "must be a string and not empty"}
	}
	return format, nil
}

// fill gives n the members that its format describes.
func (how reading) fill(n *node, pairs []pair) (renamed bool, err *Error) {
	if names, ok := textMembers(n.format); ok {
		return false, how.fillText(n, names, pairs)
	}
	switch n.format {
	case FormatComplex:
		return how.fillComplex(n, pairs)
	case FormatAliases:
		return how.fillAliases(n, pairs)
	case FormatIPAddresses:
		return false, how.fillAddresses(n, pairs)
	case FormatSCIM:
		return false, fillSCIM(n, pairs)
	}
	return false, fillOpaquely(n, pairs)
}

// fillText takes the required strings of a format.
func (how reading) fillText(n *node, names [2]string, pairs []pair) *Error {
	n.members = make([]member, 0, len(names))
	for _, name := range names {
		if name == "" {
			continue
		}
		value, err := requiredText(pairs, name)
		if err != nil {
			return err
		}
		if reason := checkText(n.format, value, how.strict); reason != "" {
			return &Error{Member: name, Reason: reason}
		}
		n.members = append(n.members, member{name: name, text: value, isText: true})
	}
	return how.refuseExtras(n.format, pairs, len(n.members))
}

// fillComplex takes the simple subjects of a complex one (SSF §3.3).
func (how reading) fillComplex(n *node, pairs []pair) (renamed bool, err *Error) {
	n.members = make([]member, 0, len(pairs))
	for _, p := range pairs {
		if p.name == nameFormat || !how.strict && !StandardMember(p.name) && !how.looksLikeSubject(p.value) {
			continue // an unknown member that is no subject (SSF §4.2.3)
		}
		if len(n.members) == MaxMembers {
			return false, &Error{Reason: "has too many members"}
		}
		sub, below, err := how.identifier(p.value, inComplex)
		if err != nil {
			return false, at(p.name, err)
		}
		if below {
			pairNamed(pairs, p.name).value, renamed = sub.n.raw, true
		}
		n.members = append(n.members, member{name: p.name, sub: sub})
	}
	if len(n.members) == 0 {
		return false, &Error{Reason: "a complex subject needs at least one member"}
	}
	return renamed, nil
}

// looksLikeSubject reports whether a member of unknown name claims to be a subject.
func (how reading) looksLikeSubject(value []byte) bool {
	pairs, ok := splitObject(nil, value)
	pairs, _ = how.legacy.rename(pairs)
	return ok && pairNamed(pairs, nameFormat) != nil
}

// fillAliases takes the list of an aliases identifier (RFC 9493 §3.2.8).
func (how reading) fillAliases(n *node, pairs []pair) (renamed bool, err *Error) {
	values, err := requiredArray(pairs, nameIdentifiers, MaxAliases)
	if err != nil {
		return false, err
	}
	n.list = make([]Identifier, len(values))
	for k, value := range values {
		id, below, err := how.identifier(value, inAliases)
		if err != nil {
			return false, at(nameIdentifiers, err)
		}
		n.list[k], renamed = id, renamed || below
	}
	if renamed {
		pairNamed(pairs, nameIdentifiers).value = appendRawList(nil, n.list)
	}
	n.members = []member{{name: nameIdentifiers}}
	return renamed, how.refuseExtras(n.format, pairs, 1)
}

func (how reading) fillAddresses(n *node, pairs []pair) *Error {
	values, err := requiredArray(pairs, nameAddresses, MaxAddresses)
	if err != nil {
		return err
	}
	for _, value := range values {
		if s, ok := text(value); !ok || !isAddress(s) {
			return &Error{Member: nameAddresses, Reason: "must hold IP addresses as strings"}
		}
	}
	n.members = []member{{name: nameAddresses, value: pairNamed(pairs, nameAddresses).value}}
	return how.refuseExtras(n.format, pairs, 1)
}

// fillSCIM takes everything: further attributes that are unique at the provider
// belong to the identifier (RFC 9967 §2.1).
func fillSCIM(n *node, pairs []pair) *Error {
	uri, err := requiredText(pairs, "uri")
	if err != nil {
		return err
	}
	if uri == "" {
		return &Error{Member: "uri", Reason: "must not be empty"}
	}
	for _, name := range [...]string{"externalId", "id"} {
		if p := pairNamed(pairs, name); p != nil {
			if _, ok := text(p.value); !ok {
				return &Error{Member: name, Reason: "must be a string"}
			}
		}
	}
	return fillOpaquely(n, pairs)
}

// fillOpaquely takes every member as it is.
func fillOpaquely(n *node, pairs []pair) *Error {
	n.members = make([]member, 0, len(pairs))
	for _, p := range pairs {
		if p.name == nameFormat {
			continue
		}
		m := member{name: p.name}
		if m.text, m.isText = text(p.value); !m.isText {
			if !numbersFit(p.value) {
				return &Error{Member: p.name, Reason: "holds a number out of range"}
			}
			m.value = p.value
		}
		n.members = append(n.members, m)
	}
	return nil
}

// refuseExtras refuses members beyond "format" and the described ones, if strict.
func (how reading) refuseExtras(format string, pairs []pair, described int) *Error {
	if how.strict && len(pairs) > described+1 {
		return &Error{Reason: "has members that the format " + format + " does not describe"}
	}
	return nil
}
