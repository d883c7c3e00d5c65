package subject

import "bytes"

// Legacy names the older forms of identifiers to be read besides the current
// ones. The zero value reads current forms alone, plus "phone" (see [Parse]).
// Each form applies only where the current one is absent (RISC §3.1).
type Legacy struct {
	SubjectType     bool // "subject_type" in place of "format", with names of its time (RISC §3.1, Google)
	FormatNames     bool // iss-sub, jwt-id, saml-assertion-id, phone-number, and the member "phone"
	ImplicitComplex bool // an object without "format" is complex (implementer's draft of 2021)
	NullMembers     bool // a member that is null is absent
}

// ParseLegacy is [Parse] with the older forms that l allows. What it returns is
// written in the current names, [Identifier.Raw] included.
func ParseLegacy(raw []byte, l Legacy) (Identifier, error) { return parse(raw, reading{legacy: l}) }

const (
	nameSubjectType = "subject_type"
	nameOldPhone    = "phone"
)

// rename returns the members under current names, in the place of pairs, and whether
// it had to change anything.
func (l Legacy) rename(pairs []pair) (current []pair, renamed bool) {
	if l.NullMembers {
		pairs, renamed = withoutNulls(pairs)
	}
	format := pairNamed(pairs, nameFormat)
	if format == nil && l.SubjectType {
		if format = pairNamed(pairs, nameSubjectType); format != nil {
			format.name, renamed, l.FormatNames = nameFormat, true, true
			if name, _ := text(format.value); name == "id_token_claims" || name == "id-token-claims" {
				return idTokenClaims(pairs), true
			}
		}
	}
	if format == nil {
		return pairs, renamed
	}
	return pairs, l.renameFormat(format, pairs) || renamed
}

func withoutNulls(pairs []pair) (kept []pair, dropped bool) {
	kept = pairs[:0]
	for _, p := range pairs {
		if string(p.value) != "null" {
			kept = append(kept, p)
		}
	}
	return kept, len(kept) < len(pairs)
}

// idTokenClaims translates the identifier of RISC's drafts that is made of claims of an
// ID token: the one of today that says the same, or aliases of several.
func idTokenClaims(pairs []pair) []pair {
	var list [][]byte
	for _, format := range [...]string{FormatIssSub, FormatEmail, FormatPhoneNumber} {
		if raw := claimsAs(format, pairs); raw != nil {
			list = append(list, raw)
		}
	}
	switch len(list) {
	case 0:
		return pairs // carried as a format that we do not know
	case 1:
		one, _ := splitObject(nil, list[0])
		return one
	}
	aliases := append([]byte{'['}, bytes.Join(list, []byte{','})...)
	return []pair{{nameFormat, appendText(nil, FormatAliases)}, {nameIdentifiers, append(aliases, ']')}}
}

// claimsAs returns the identifier of a format that consists of texts, nil if one of
// them is not there.
func claimsAs(format string, pairs []pair) []byte {
	raw := appendText([]byte(`{"format":`), format)
	names, _ := textMembers(format)
	for _, name := range names {
		if name == "" {
			continue
		}
		p := pairNamed(pairs, name)
		if p == nil {
			return nil
		}
		raw = append(append(appendText(append(raw, ','), name), ':'), p.value...)
	}
	return append(raw, '}')
}

// renameFormat puts the current name in the place of an older one in format, one of
// pairs, and reports whether it had to.
func (l Legacy) renameFormat(format *pair, pairs []pair) (renamed bool) {
	name, _ := text(format.value)
	current := l.current(name)
	if current != name {
		format.value, renamed = appendText(nil, current), true
	}
	if current == FormatPhoneNumber && (name == nameOldPhone || l.FormatNames) {
		renamed = renameMember(pairs, nameOldPhone, FormatPhoneNumber) || renamed
	}
	return renamed
}

// current returns today's name of a format.
func (l Legacy) current(name string) string {
	if name == nameOldPhone {
		return FormatPhoneNumber
	}
	if !l.FormatNames {
		return name
	}
	switch name {
	case "iss-sub":
		return FormatIssSub
	case "jwt-id":
		return FormatJWTID
	case "saml-assertion-id":
		return FormatSAMLAssertionID
	case "phone-number":
		return FormatPhoneNumber
	}
	return name
}

// renameMember renames the member called from, unless there is one called to.
func renameMember(pairs []pair, from, to string) bool {
	p := pairNamed(pairs, from)
	if p == nil || pairNamed(pairs, to) != nil {
		return false
	}
	p.name = to
	return true
}
