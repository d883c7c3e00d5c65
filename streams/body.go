package streams

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on what a management request or answer may hold (SSF §8.1).
const (
	MaxBodyBytes          = 64 << 10 // one JSON object
	MaxNesting            = 16       // objects and arrays inside one another
	MaxEventTypes         = 1000     // entries of an array of event types
	MaxEventTypeBytes     = 1024     // one event type
	MaxDescriptionBytes   = 1024     // kept of a description; the rest is cut (SSF §8.1.1)
	MaxReasonBytes        = 2048     // a status reason
	MaxStateBytes         = 4096     // the state of a verification request
	MaxAuthorizationBytes = 8 << 10  // an authorization_header
	MaxEndpointURLBytes   = 2048     // a push endpoint_url
)

// object is a JSON object whose members are read one by one. Unknown members
// are ignored, whatever they hold (SSF §8.1).
type object map[string]jsontext.Value

// parseObject reads body as one JSON object. A member given twice anywhere in
// it, invalid UTF-8, nesting beyond MaxNesting and trailing text are refused.
// Errors are *RuleError of kind Invalid and quote nothing of the body.
func parseObject(body []byte) (object, error) {
	if len(body) > MaxBodyBytes {
		return nil, invalid("", fmt.Sprintf("body exceeds %d bytes", MaxBodyBytes))
	}
	if err := checkNesting(body); err != nil {
		return nil, err
	}
	if jsontext.Value(bytes.TrimLeft(body, " \t\r\n")).Kind() != '{' {
		return nil, invalid("", "body is not a JSON object")
	}
	o := object{}
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, malformed(err)
	}
	return o, nil
}

func checkNesting(body []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	for {
		_, err := dec.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && dec.StackDepth() == 0:
			return nil
		case err != nil:
			return malformed(err)
		case dec.StackDepth() > MaxNesting:
			return invalid("", fmt.Sprintf("body is nested deeper than %d levels", MaxNesting))
		}
	}
}

func malformed(err error) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return invalid("", "a member name occurs twice in one object")
	case errors.As(err, &syntax):
		return invalid("", fmt.Sprintf("not JSON at byte %d", syntax.ByteOffset))
	}
	return invalid("", "not JSON")
}

// text returns the string member name; present is false if it is absent.
func (o object) text(name string, limit int) (s string, present bool, err error) {
	v, ok := o[name]
	if !ok {
		return "", false, nil
	}
	if s, ok = stringOf(v); !ok {
		return "", false, invalid(name, "not a string")
	}
	if len(s) > limit {
		return "", false, invalid(name, fmt.Sprintf("exceeds %d bytes", limit))
	}
	return s, true, nil
}

// eventTypes returns the member name, an array of event types; nil if it is
// absent, never nil if it is present.
func (o object) eventTypes(name string) ([]string, error) {
	v, ok := o[name]
	if !ok {
		return nil, nil
	}
	list, ok := stringsOf(v)
	switch {
	case !ok:
		return nil, invalid(name, "not an array of strings")
	case len(list) > MaxEventTypes:
		return nil, invalid(name, fmt.Sprintf("more than %d entries", MaxEventTypes))
	}
	for _, t := range list {
		if len(t) > MaxEventTypeBytes {
			return nil, invalid(name, fmt.Sprintf("an entry exceeds %d bytes", MaxEventTypeBytes))
		}
	}
	return list, nil
}

func stringOf(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err == nil
}

// stringsOf never returns nil with true.
func stringsOf(v jsontext.Value) ([]string, bool) {
	if v.Kind() != '[' {
		return nil, false
	}
	var raw []jsontext.Value
	if err := json.Unmarshal(v, &raw); err != nil {
		return nil, false
	}
	list := make([]string, len(raw))
	for i, r := range raw {
		s, ok := stringOf(r)
		if !ok {
			return nil, false
		}
		list[i] = s
	}
	return list, true
}

// numberOf reads a number by its value: 60, 60.0 and 6e1 are the same (U10).
func numberOf(v jsontext.Value) (float64, bool) {
	if v.Kind() != '0' {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(v), 64)
	return n, err == nil
}

// cut returns the longest start of s of at most limit bytes that ends between
// two characters.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
