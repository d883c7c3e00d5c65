package subject

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxExponentDigits bounds the exponent of a number, so that it fits an int.
const maxExponentDigits = 9

// seal sorts the members, computes the canonical form and, where there is none,
// the JSON text.
func (n *node) seal() {
	slices.SortFunc(n.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	n.canonical = string(n.appendCanonical(make([]byte, 0, 128)))
	if n.raw == nil {
		n.raw = []byte(n.canonical)
	}
}

// appendCanonical writes "format" first, then the members in order.
func (n *node) appendCanonical(dst []byte) []byte {
	dst = appendText(append(dst, `{"format":`...), n.format)
	for k := range n.members {
		m := &n.members[k]
		dst = append(appendText(append(dst, ','), m.name), ':')
		switch {
		case m.isText:
			dst = appendText(dst, m.text)
		case m.sub.n != nil:
			dst = append(dst, m.sub.n.canonical...)
		case m.value != nil:
			dst = appendValue(dst, m.value)
		default: // the identifiers of aliases
			dst = appendList(dst, n.list)
		}
	}
	return append(dst, '}')
}

func appendList(dst []byte, list []Identifier) []byte {
	dst = append(dst, '[')
	for k, id := range list {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, id.Canonical()...)
	}
	return append(dst, ']')
}

// appendText quotes s in its shortest form.
func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // invalid UTF-8 is replaced here and refused by Validate
	return dst
}

// appendValue writes any valid JSON value in canonical form.
func appendValue(dst, value []byte) []byte {
	switch value[0] {
	case '{':
		return appendObject(dst, value)
	case '[':
		values, _ := splitArray(value)
		dst = append(dst, '[')
		for k, v := range values {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, v)
		}
		return append(dst, ']')
	case '"':
		return appendText(dst, unquote(value))
	case 't', 'f', 'n':
		return append(dst, value...)
	default:
		return appendNumber(dst, string(value))
	}
}

func appendObject(dst, value []byte) []byte {
	pairs, _ := splitObject(nil, value)
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for k, p := range pairs {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, p.name), ':')
		dst = appendValue(dst, p.value)
	}
	return append(dst, '}')
}

// appendNumber writes a JSON number as its exact value, digits without leading
// or trailing zeros and a power of ten: 1200, 1.2e3 and 12E2 are all "12e2", and
// 9007199254740993 is not its neighbour. A float64 would make them one.
func appendNumber(dst []byte, s string) []byte {
	negative := strings.HasPrefix(s, "-")
	mantissa, exponent := strings.TrimPrefix(s, "-"), 0
	if k := strings.IndexAny(mantissa, "eE"); k >= 0 {
		exponent, _ = strconv.Atoi(mantissa[k+1:]) // bounded by numbersFit
		mantissa = mantissa[:k]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return append(dst, '0')
	}
	exponent -= len(fraction)
	short := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(short)
	if negative {
		dst = append(dst, '-')
	}
	dst = append(dst, short...)
	if exponent != 0 {
		dst = strconv.AppendInt(append(dst, 'e'), int64(exponent), 10)
	}
	return dst
}

// numbersFit reports whether every exponent in the valid JSON value is short
// enough for appendNumber.
func numbersFit(value []byte) bool {
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			i = stringEnd(value, i) - 1
		case c == '-' || c >= '0' && c <= '9':
			end := i
			for end < len(value) && strings.IndexByte("+-.eE0123456789", value[end]) >= 0 {
				end++
			}
			number := string(value[i:end])
			if k := strings.IndexAny(number, "eE"); k >= 0 && len(strings.TrimLeft(number[k+1:], "+-0")) > maxExponentDigits {
				return false
			}
			i = end - 1
		}
	}
	return true
}
