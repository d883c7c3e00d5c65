package auth

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxRelativeNames bounds the parts of a distinguished name, and the attributes of one.
const maxRelativeNames = 32

// errName says what a distinguished name should be.
var errName = errors.New("is not a distinguished name, such as CN=shop,O=Shop Ltd,C=DE (RFC 4514)")

// distinguishedName is a name in the order of certificates, which that of its text
// reverses. A part is a set.
type distinguishedName [][]attribute

// attribute is one of a name: its type, and the text that it has, or else its value as it
// is encoded (DER).
type attribute struct {
	kind string // dotted
	text string
	der  []byte // nil: text counts
}

// parseName reads the text of a name (RFC 4514 §3). Spaces beside separators, which many
// tools write, do not count.
func parseName(text string) (distinguishedName, error) {
	var name distinguishedName
	for more := true; more; {
		var part []attribute
		for plus := true; plus; {
			var a attribute
			var end byte
			var err error
			if a, end, text, err = parseAttribute(text); err != nil || len(part) == maxRelativeNames {
				return nil, errName
			}
			part = append(part, a)
			plus, more = end == '+', end != 0
		}
		if name = append(name, part); len(name) > maxRelativeNames {
			return nil, errName
		}
	}
	slices.Reverse(name)
	return name, nil
}

// parseAttribute reads type=value and the separator behind it, 0 at the end.
func parseAttribute(text string) (a attribute, end byte, rest string, err error) {
	kind, value, found := strings.Cut(text, "=")
	if a.kind = attributeType(strings.Trim(kind, " ")); !found || a.kind == "" {
		return a, 0, "", errName
	}
	value = strings.TrimLeft(value, " ")
	if encoded, isHex := strings.CutPrefix(value, "#"); isHex {
		at := strings.IndexAny(encoded, ",+")
		if at < 0 {
			at = len(encoded)
		}
		a.der, err = hex.DecodeString(strings.TrimRight(encoded[:at], " "))
		var one asn1.RawValue
		if after, wrong := asn1.Unmarshal(a.der, &one); err != nil || wrong != nil || len(after) > 0 {
			return a, 0, "", errName
		}
		end, rest = separator(encoded[at:])
		return a, end, rest, nil
	}
	a.text, rest, err = parseValue(value)
	end, rest = separator(rest)
	return a, end, rest, err
}

func separator(text string) (end byte, rest string) {
	if text == "" {
		return 0, ""
	}
	return text[0], text[1:]
}

// parseValue reads a text up to the separator that is not escaped.
func parseValue(text string) (value, rest string, err error) {
	var b []byte
	last := 0 // behind the last byte that is no space, or an escaped one
	at := 0
	for ; at < len(text) && text[at] != ',' && text[at] != '+'; at++ {
		c := text[at]
		switch {
		case strings.IndexByte("\";<>\x00", c) >= 0:
			return "", "", errName
		case c == '\\':
			c, at, err = unescape(text, at+1)
			if err != nil {
				return "", "", err
			}
			b = append(b, c)
			last = len(b)
			continue
		}
		if b = append(b, c); c != ' ' {
			last = len(b)
		}
	}
	if b = b[:last]; !utf8.Valid(b) {
		return "", "", errName
	}
	return string(b), text[at:], nil
}

// unescape reads what stands behind a backslash; at is that of its last byte.
func unescape(text string, from int) (c byte, at int, err error) {
	if from < len(text) && strings.IndexByte(` "#+,;<=>\`, text[from]) >= 0 {
		return text[from], from, nil
	}
	if from+2 > len(text) {
		return 0, 0, errName
	}
	pair, err := hex.DecodeString(text[from : from+2])
	if err != nil {
		return 0, 0, errName
	}
	return pair[0], from + 1, nil
}

// attributeType returns the dotted form of a type that is written so, or by the short
// names of RFC 4514 §3 and others that stand in certificates; "" if it is none.
func attributeType(kind string) string {
	switch strings.ToUpper(kind) {
	case "CN":
		return "2.5.4.3"
	case "SN":
		return "2.5.4.4"
	case "SERIALNUMBER":
		return "2.5.4.5"
	case "C":
		return "2.5.4.6"
	case "L":
		return "2.5.4.7"
	case "ST":
		return "2.5.4.8"
	case "STREET":
		return "2.5.4.9"
	case "O":
		return "2.5.4.10"
	case "OU":
		return "2.5.4.11"
	case "TITLE":
		return "2.5.4.12"
	case "BUSINESSCATEGORY":
		return "2.5.4.15"
	case "POSTALCODE":
		return "2.5.4.17"
	case "GN", "GIVENNAME":
		return "2.5.4.42"
	case "DNQUALIFIER":
		return "2.5.4.46"
	case "ORGANIZATIONIDENTIFIER":
		return "2.5.4.97"
	case "DC":
		return "0.9.2342.19200300.100.1.25"
	case "UID":
		return "0.9.2342.19200300.100.1.1"
	case "EMAILADDRESS", "E":
		return "1.2.840.113549.1.9.1"
	}
	arcs := strings.Split(kind, ".")
	for _, arc := range arcs {
		if arc == "" || strings.Trim(arc, "0123456789") != "" || len(arc) > 1 && arc[0] == '0' {
			return ""
		}
	}
	if len(arcs) < 2 {
		return ""
	}
	return kind
}

// is reports whether the subject of a certificate, as it is encoded, is the name: part by
// part, each a set, texts as they are read and not as they are encoded, letter by letter.
func (n distinguishedName) is(subject []byte) bool {
	type typeAndValue struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type partSET []typeAndValue
	var parts []partSET
	if rest, err := asn1.Unmarshal(subject, &parts); err != nil || len(rest) > 0 || len(parts) != len(n) {
		return false
	}
	for i, part := range parts {
		if len(part) != len(n[i]) {
			return false
		}
		left := slices.Clone(n[i])
		for _, one := range part {
			at := slices.IndexFunc(left, func(a attribute) bool { return a.kind == one.Type.String() && a.has(one.Value) })
			if at < 0 {
				return false
			}
			left = slices.Delete(left, at, at+1)
		}
	}
	return true
}

// has reports whether a value of a certificate is that of a.
func (a *attribute) has(value asn1.RawValue) bool {
	if a.der != nil {
		return bytes.Equal(a.der, value.FullBytes)
	}
	switch value.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString, asn1.TagT61String, asn1.TagBMPString:
	default: // no text
		return false
	}
	if value.Tag == asn1.TagBMPString && bytes.HasSuffix(value.Bytes, []byte{0, 0}) {
		return false // what reads it drops a NUL at its end: two names would be alike
	}
	var text string
	rest, err := asn1.Unmarshal(value.FullBytes, &text)
	return err == nil && len(rest) == 0 && value.Class == asn1.ClassUniversal && utf8.ValidString(text) && text == a.text
}
