package mapping

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxSeconds      = 1e11 // of a timestamp: above it they must be milliseconds (U25)
	maxLanguageTag  = 35   // RFC 5646 §4.4.1
	maxLanguages    = 64   // texts of one reason
	maxListElements = 64   // of an array of strings
	// undetermined is the language of a text that came without one (BCP 47).
	undetermined = "und"
)

// named is an account event's table, ready for use.
type named struct {
	NamedEvent
	timed bool // has the event's time as event_timestamp unless given
}

func namedEvents() map[string]*named {
	events := map[string]*named{}
	for _, e := range Names() {
		events[e.Name] = &named{e, e.has(memberInitiator)}
	}
	return events
}

func (e *NamedEvent) has(member string) bool { return e.index(member) >= 0 }

// payload builds the payload from the members of data, in the table's order. It
// checks what caep.Validate and risc.Validate check, at a fraction of their
// cost; a test holds the two together.
func (n *named) payload(fields []field, at time.Time) (json.RawMessage, error) {
	size := 64
	for _, f := range fields {
		size += len(f.name) + len(f.value) + 16
	}
	b := append(make([]byte, 0, size), '{')
	taken := 0
	for i := range n.Members {
		m := &n.Members[i]
		value := find(fields, m.Name)
		switch {
		case value != nil:
			taken++
		case m.Required:
			return nil, &Error{inData(m.Name), "is missing"}
		case n.timed && m.Name == memberTimestamp && at.Unix() > 0:
			b = strconv.AppendInt(appendName(b, m.Target), at.Unix(), 10)
			continue
		default:
			continue
		}
		var wrong string
		if b, wrong = m.append(appendName(b, m.Target), value); wrong != "" {
			return nil, &Error{inData(m.Name), wrong}
		}
	}
	if taken < len(fields) {
		return nil, n.unknown(fields)
	}
	return append(b, '}'), nil
}

// unknown names the first member that the event has no place for.
func (n *named) unknown(fields []field) error {
	for _, f := range fields {
		if !n.has(f.name) {
			return &Error{inData(printable(f.name)), "is not a member of " + n.Name}
		}
	}
	return &Error{memberData, "is not JSON with unique names"} // objectOf has seen to it
}

// printable cuts a name that a sender made up to what an answer should repeat.
func printable(name string) string { return cut(name, 64) }

// cut returns at most limit bytes of a text, ending with a whole character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// appendName begins a member. Names of tables need no escapes.
func appendName(b []byte, name string) []byte {
	if len(b) > 1 {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), name...), `":`...)
}

// append appends the member's value, or says what is wrong with it.
func (m *Member) append(b []byte, value json.RawMessage) ([]byte, string) {
	switch m.Kind {
	case KindText:
		return m.appendText(b, value)
	case KindTexts:
		return appendTexts(b, value)
	case KindList:
		if !isList(value) {
			return b, "must be an array of strings"
		}
	case KindObject:
		if value[0] != '{' {
			return b, "must be an object"
		}
		if raw := value[space(value, 1)]; raw == '}' {
			return b, "must have at least one member"
		}
	case KindTime:
		if !isTimestamp(value) {
			return b, "must be a number of seconds"
		}
	}
	return append(b, value...), ""
}

func (m *Member) appendText(b []byte, value json.RawMessage) ([]byte, string) {
	switch {
	case value[0] != '"':
		return b, "must be a string"
	case m.Required && len(value) == len(`""`):
		return b, "must not be empty"
	case m.Values != nil && !slices.Contains(m.Values, nameOf(value)):
		return b, "must be one of " + strings.Join(m.Values, ", ")
	}
	return append(b, value...), ""
}

// appendTexts appends texts by language tag; a plain string has none (CAEP §2, U28).
func appendTexts(b []byte, value json.RawMessage) ([]byte, string) {
	const wrong = "must be a string or an object of one or more texts by language tag"
	if value[0] == '"' {
		b = append(b, `{"`+undetermined+`":`...)
		return append(append(b, value...), '}'), ""
	}
	texts, err := objectOf(value, maxLanguages)
	if err != nil || len(texts) == 0 {
		return b, wrong
	}
	b = append(b, '{')
	for i, t := range texts {
		if t.value[0] != '"' || !isLanguageTag(t.name) {
			return b, wrong
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), t.name...), `":`...)
		b = append(b, t.value...)
	}
	return append(b, '}'), ""
}

func isList(value json.RawMessage) bool {
	if value[0] != '[' {
		return false
	}
	list := elements(value, maxListElements+1)
	return len(list) <= maxListElements && !slices.ContainsFunc(list, func(e json.RawMessage) bool { return e[0] != '"' })
}

func isTimestamp(value json.RawMessage) bool {
	seconds, err := strconv.ParseFloat(string(value), 64)
	return err == nil && math.Abs(seconds) <= maxSeconds
}

// isLanguageTag reports whether tag has the shape of a BCP 47 tag: subtags of
// one to eight letters and digits with hyphens between.
func isLanguageTag(tag string) bool {
	if len(tag) > maxLanguageTag {
		return false
	}
	for subtag := range strings.SplitSeq(tag, "-") {
		if subtag == "" || len(subtag) > 8 {
			return false
		}
		for i := range len(subtag) {
			c := subtag[i]
			if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}
