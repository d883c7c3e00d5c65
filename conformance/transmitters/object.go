package transmitters

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object as it came. Reading is tolerant, so that one fault of a peer
// is told once, and does not hide what else there is to see.
type object map[string]json.RawMessage

// parseObject reads a JSON object.
func parseObject(raw []byte) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, errors.New("it is not a JSON object")
	}
	if o == nil {
		return nil, errors.New("it is null, not a JSON object")
	}
	return o, nil
}

// parseArray reads a JSON array.
func parseArray(raw []byte) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, errors.New("it is not a JSON array")
	}
	return list, nil
}

// has reports whether there is a member of that name.
func (o object) has(name string) bool {
	_, ok := o[name]
	return ok
}

// text returns a member that is a string; "" if it is none.
func (o object) text(name string) string {
	s, _ := o.string(name)
	return s
}

func (o object) string(name string) (string, bool) {
	var s *string
	if json.Unmarshal(o[name], &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// texts returns a member that is an array of strings.
func (o object) texts(name string) ([]string, bool) {
	var list []*string
	if json.Unmarshal(o[name], &list) != nil || list == nil {
		return nil, false
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, false
		}
		out[i] = *s
	}
	return out, true
}

// number returns a member that is a number.
func (o object) number(name string) (float64, bool) {
	var n *float64
	if json.Unmarshal(o[name], &n) != nil || n == nil {
		return 0, false
	}
	return *n, true
}

// object returns a member that is an object; nil if it is none.
func (o object) object(name string) object {
	inner, err := parseObject(o[name])
	if err != nil {
		return nil
	}
	return inner
}

// audience returns the values of a member that is a string or an array of strings.
func (o object) audience(name string) ([]string, bool) {
	if one, ok := o.string(name); ok {
		return []string{one}, true
	}
	return o.texts(name)
}

// same reports whether two JSON values mean the same; the order of members is nothing.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true // also where it is not right
	}
	x, y := jsontext.Value(slices.Clone(a)), jsontext.Value(slices.Clone(b))
	if x.Canonicalize() != nil || y.Canonicalize() != nil {
		return false
	}
	return bytes.Equal(x, y)
}

// repeated reports whether a member stands twice in an object, at any depth.
func repeated(raw []byte) bool {
	var v any
	return json.Valid(raw) && strict.Unmarshal(raw, &v, jsontext.AllowInvalidUTF8(true)) != nil
}

// isJSON reports whether a header says that the body is JSON.
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// encode writes what the suite sends.
func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil { // what is sent is built of strings, numbers, maps and lists
		return []byte("null")
	}
	return raw
}
