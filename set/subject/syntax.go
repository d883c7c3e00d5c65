package subject

import (
	"net/netip"
	"strings"
)

// Bounds of the textual forms below.
const (
	maxEmailBytes  = 254 // RFC 5321 §4.5.3.1.3, without the angle brackets
	maxLocalBytes  = 64  // RFC 5321 §4.5.3.1.1
	minPhoneDigits = 2   // a country code and something to call
	maxPhoneDigits = 15  // E.164 §6
)

// isAddrSpec reports whether s is an addr-spec: a local part, an @ and a domain,
// without display name, comment or angle brackets (RFC 9493 §3.2.2, RFC 5322
// §3.4.1, characters beyond ASCII as in RFC 6532).
func isAddrSpec(s string) bool {
	k := strings.LastIndexByte(s, '@')
	if len(s) > maxEmailBytes || k < 1 || k > maxLocalBytes {
		return false
	}
	local, domain := s[:k], s[k+1:]
	if local[0] == '"' {
		return isQuoted(local) && isDomain(domain)
	}
	return isDotAtom(local) && isDomain(domain)
}

func isDomain(s string) bool {
	if literal, ok := strings.CutPrefix(s, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		return ok && literal != "" && !strings.ContainsFunc(literal, func(r rune) bool {
			return r <= ' ' || r == 0x7f || r == '[' || r == ']' || r == '\\'
		})
	}
	return isDotAtom(s)
}

// isDotAtom reports whether s is one or more atoms with single dots between.
func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtomRune(r) }) {
			return false
		}
	}
	return true
}

func isAtomRune(r rune) bool {
	return r > 0x7f || isAlphaNumeric(r) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// isQuoted reports whether s is a quoted-string without line breaks.
func isQuoted(s string) bool {
	if len(s) < 3 || s[len(s)-1] != '"' {
		return false
	}
	for inner := s[1 : len(s)-1]; inner != ""; inner = inner[1:] {
		switch c := inner[0]; {
		case c == '\\' && len(inner) > 1:
			inner = inner[1:]
		case c == '\\', c == '"', c < ' ' && c != '\t', c == 0x7f:
			return false
		}
	}
	return true
}

// isPhoneNumber reports whether s is an E.164 number with its plus sign. With
// separators, spaces and the usual marks between the digits are allowed, as in
// the example of SSF §5 ("+1 206 555 0123").
func isPhoneNumber(s string, separators bool) bool {
	rest, ok := strings.CutPrefix(s, "+")
	if !ok {
		return false
	}
	if separators {
		rest = stripSeparators(rest)
	}
	if len(rest) < minPhoneDigits || len(rest) > maxPhoneDigits || rest[0] == '0' {
		return false
	}
	return !strings.ContainsFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
}

// stripSeparators drops the marks that people put between the digits of a number.
func stripSeparators(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -.()", r) {
			return -1
		}
		return r
	}, s)
}

// isAccountURI reports whether s is an acct: URI, user@host (RFC 7565 §7).
func isAccountURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	k := strings.LastIndexByte(rest, '@')
	return ok && strings.EqualFold(scheme, "acct") && k > 0 && k < len(rest)-1 &&
		!strings.ContainsAny(rest, "/?#") && isURI(s)
}

// isURI reports whether s has a scheme and only characters of a URI (RFC 3986 §2, §3.1).
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" || !isLetter(rune(scheme[0])) || strings.Count(rest, "#") > 1 {
		return false
	}
	for _, r := range scheme {
		if !isAlphaNumeric(r) && r != '+' && r != '-' && r != '.' {
			return false
		}
	}
	return isURIText(rest, ":/?#[]@!$&'()*+,;=-._~")
}

// isDIDURL reports whether s is a DID with an optional path, query and fragment
// (W3C DID Core §3).
func isDIDURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "did:")
	method, rest, colon := strings.Cut(rest, ":")
	if !ok || !colon || method == "" || !isURI(s) {
		return false
	}
	for _, r := range method {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	id := rest
	if k := strings.IndexAny(rest, "/?#"); k >= 0 {
		id = rest[:k]
	}
	return id != "" && id[len(id)-1] != ':' && isURIText(id, ".-_:")
}

// isURIText reports whether s has only letters, digits, marks and percent escapes.
func isURIText(s, marks string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isAlphaNumeric(rune(c)), strings.IndexByte(marks, c) >= 0:
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}

// isAddress reports whether s is the text of an IP address (SSF §3.5.3).
func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

func isAlphaNumeric(r rune) bool { return isLetter(r) || r >= '0' && r <= '9' }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
