package mapping

import (
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
)

// field is one member of a JSON object: its name and its value's text.
type field struct {
	name  string
	value json.RawMessage
}

// dataOf returns the members of an event's data, none for absent data.
func dataOf(data json.RawMessage) ([]field, error) {
	if isAbsent(data) {
		return nil, nil
	}
	fields, err := objectOf(data, maxMembers)
	if err != nil {
		return nil, &Error{memberData, err.Error()}
	}
	return fields, nil
}

func isAbsent(data json.RawMessage) bool { return len(data) == 0 || string(data) == "null" }

// objectError says why a text is not an object that is read.
type objectError string

// Error returns the reason.
func (e objectError) Error() string { return string(e) }

// objectOf splits a JSON object with unique names into at most limit members.
// Those that are null are left out: null is absent. Values share memory with raw.
func objectOf(raw json.RawMessage, limit int) ([]field, error) {
	if !jsontext.Value(raw).IsValid() {
		return nil, objectError("is not JSON with unique names")
	}
	raw = raw[space(raw, 0):]
	if raw[0] != '{' {
		return nil, objectError("is not a JSON object")
	}
	fields := split(raw, limit+1)
	if len(fields) > limit {
		return nil, objectError("has too many members")
	}
	return fields, nil
}

// split returns up to limit members of a valid JSON object that are not null.
func split(raw json.RawMessage, limit int) []field {
	fields := make([]field, 0, 8)
	for i := space(raw, 1); raw[i] != '}' && len(fields) < limit; {
		end := skip(raw, i)
		name := nameOf(raw[i:end])
		from := space(raw, space(raw, end)+1) // past the colon
		i = skip(raw, from)
		if value := raw[from:i:i]; string(value) != "null" {
			fields = append(fields, field{name, value})
		}
		if i = space(raw, i); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return fields
}

// memberOf returns a member of a valid JSON object, nil if it is absent or null.
func memberOf(raw json.RawMessage, name string) json.RawMessage {
	for i := space(raw, 1); raw[i] != '}'; {
		end := skip(raw, i)
		from := space(raw, space(raw, end)+1) // past the colon
		till := skip(raw, from)
		if nameOf(raw[i:end]) == name {
			if string(raw[from:till]) == "null" {
				return nil
			}
			return raw[from:till:till]
		}
		if i = space(raw, till); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return nil
}

func find(fields []field, name string) json.RawMessage {
	for i := range fields {
		if fields[i].name == name {
			return fields[i].value
		}
	}
	return nil
}

// elements splits a valid JSON array into its elements, up to limit.
func elements(raw json.RawMessage, limit int) []json.RawMessage {
	var list []json.RawMessage
	for i := space(raw, 1); raw[i] != ']' && len(list) < limit; {
		end := skip(raw, i)
		list = append(list, raw[i:end:end])
		if i = space(raw, end); raw[i] == ',' {
			i = space(raw, i+1)
		}
	}
	return list
}

// nameOf returns the text of a valid JSON string.
func nameOf(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c == '\\' {
			b, _ := jsontext.AppendUnquote(nil, quoted) // it is valid
			return string(b)
		}
	}
	return string(inner)
}

// textOf returns the text of a valid JSON value if it is a string.
func textOf(value json.RawMessage) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	return nameOf(value), true
}

// space returns where white space from i on ends, in valid JSON.
func space(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// skip returns where the value that begins at i ends, in valid JSON.
func skip(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		return skipNested(raw, i)
	}
	for i < len(raw) && raw[i] != ',' && raw[i] != '}' && raw[i] != ']' && raw[i] > ' ' {
		i++
	}
	return i
}

func skipString(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipNested(raw []byte, i int) int {
	depth := 0
	for {
		switch raw[i] {
		case '"':
			i = skipString(raw, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
}
