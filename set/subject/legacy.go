package subject

// Legacy names the older forms of identifiers to be read besides the current
// ones. The zero value reads current forms alone, plus "phone" (see [Parse]).
// Each form applies only where the current one is absent (RISC §3.1).
type Legacy struct {
	SubjectType     bool // "subject_type" in place of "format" (RISC §3.1, Google)
	FormatNames     bool // iss-sub, jwt-id, saml-assertion-id, phone-number, and the member "phone"
	ImplicitComplex bool // an object without "format" is complex (implementer's draft of 2021)
}

// ParseLegacy is [Parse] with the older forms that l allows. What it returns is
// written in the current names, [Identifier.Raw] included.
func ParseLegacy(raw []byte, l Legacy) (Identifier, error) { return parse(raw, reading{legacy: l}) }

const (
	nameSubjectType = "subject_type"
	nameOldPhone    = "phone"
)

// rename puts current names in the place of older ones and reports whether it
// had to.
func (l Legacy) rename(pairs []pair) (renamed bool) {
	format := pairNamed(pairs, nameFormat)
	if format == nil && l.SubjectType {
		if format = pairNamed(pairs, nameSubjectType); format != nil {
			format.name, renamed = nameFormat, true
		}
	}
	if format == nil {
		return renamed
	}
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
