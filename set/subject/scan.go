package subject

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// pair is one member of a JSON object: its decoded name and its value's text.
type pair struct {
	name  string
	value []byte
}

// check reports why raw is not one bounded JSON value with unique names in UTF-8.
func check(raw []byte) *Error {
	switch {
	case len(raw) > MaxBytes:
		return &Error{Reason: "too long"}
	case tooDeep(raw):
		return &Error{Reason: "nested too deeply"}
	case jsontext.Value(raw).IsValid():
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if _, err := dec.ReadValue(); errors.Is(err, jsontext.ErrDuplicateName) {
		return &Error{Reason: "a member name occurs twice"}
	}
	return &Error{Reason: "not valid JSON"}
}

// tooDeep reports whether raw nests more than MaxDepth objects and arrays. It
// needs no valid JSON.
func tooDeep(raw []byte) bool {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i) - 1
		case '{', '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// stringEnd returns the index after the string that begins at start, or len(raw).
func stringEnd(raw []byte, start int) int {
	for i := start + 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// skipSpace returns the index of the first byte at or after i that is no white space.
func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the index after the value that begins at start. raw is valid.
func valueEnd(raw []byte, start int) int {
	depth := 0
	for i := start; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 { // end of what holds a number or a literal
				return i
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(raw)
}

// splitObject appends the members of the object raw to dst, in their order. raw
// is valid JSON; ok is false if it is no object.
func splitObject(dst []pair, raw []byte) (pairs []pair, ok bool) {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return dst, false
	}
	for i = skipSpace(raw, i+1); raw[i] != '}'; i = skipSpace(raw, i) {
		if raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
		end := stringEnd(raw, i)
		name := unquote(raw[i:end])
		i = skipSpace(raw, skipSpace(raw, end)+1) // past the colon
		end = valueEnd(raw, i)
		dst = append(dst, pair{name, raw[i:end]})
		i = end
	}
	return dst, true
}

// splitArray returns the elements of the array raw, which is valid JSON; ok is
// false if it is no array.
func splitArray(raw []byte) (values [][]byte, ok bool) {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '[' {
		return nil, false
	}
	for i = skipSpace(raw, i+1); raw[i] != ']'; i = skipSpace(raw, i) {
		if raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
		end := valueEnd(raw, i)
		values = append(values, raw[i:end])
		i = end
	}
	return values, true
}

// text returns the string that value holds; ok is false if it is no string.
func text(value []byte) (s string, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	return unquote(value), true
}

// unquote returns the content of the valid JSON string quoted.
func unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	out, _ := jsontext.AppendUnquote(make([]byte, 0, len(inner)), quoted) // valid by contract
	return string(out)
}
