package payload

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxSeconds is the last second of the year 9999.
	maxSeconds = 253402300799
	// millisecondsFrom is the value above which a timestamp must be milliseconds:
	// as seconds it lies beyond the year 5138 (docs/divergences.md, U25).
	millisecondsFrom = 1e11
	// undetermined is the language tag of a text without one (BCP 47, ISO 639-2).
	undetermined = "und"
	// maxTagBytes bounds a language tag (RFC 5646 §4.4.1).
	maxTagBytes = 35
)

// assign puts value into the member's field.
func (m Member) assign(value jsontext.Value, how rigour) error {
	switch target := m.Target.(type) {
	case *string:
		return m.assignString(target, value, how)
	case **string:
		var s string
		if err := m.assignString(&s, value, how); err != nil {
			return err
		}
		*target = &s
		return nil
	case *time.Time:
		return m.assignTime(target, value, how)
	case *map[string]string:
		return m.assignTexts(target, value, how)
	case *[]string:
		return m.assignStrings(target, value, how)
	case *map[string]json.RawMessage:
		return m.assignObject(target, value, how)
	}
	return m.wrong("cannot be held") // a binding that no event type has
}

func (m Member) assignString(target *string, value jsontext.Value, how rigour) error {
	s, ok := text(value)
	switch {
	case !ok:
		return m.wrong("must be a string")
	case how == strict && m.Required && s == "":
		return &Error{Member: m.Name, Reason: "must not be empty", Err: ErrMissing}
	case how == strict && m.OneOf != nil && !slices.Contains(m.OneOf, s):
		return &Error{Member: m.Name, Reason: "must be one of " + strings.Join(m.OneOf, ", "), Err: ErrNotListed}
	}
	*target = s
	return nil
}

// assignTime reads seconds since the epoch, with a fraction or in milliseconds
// where a peer sends them so (U25).
func (m Member) assignTime(target *time.Time, value jsontext.Value, how rigour) error {
	seconds, err := strconv.ParseFloat(string(value), 64)
	if value.Kind() != '0' || err != nil {
		return m.wrong("must be a number of seconds")
	}
	if math.Abs(seconds) > millisecondsFrom {
		if how == strict {
			return m.wrong("must be seconds, not milliseconds")
		}
		seconds /= 1000
	}
	if math.Abs(seconds) > maxSeconds {
		return m.wrong("is out of range")
	}
	whole, fraction := math.Modf(seconds)
	*target = time.Unix(int64(whole), int64(math.Round(fraction*1e6))*int64(time.Microsecond)).UTC()
	return nil
}

// assignTexts reads texts by language tag (CAEP §2); a plain string has the tag
// "und" (U25).
func (m Member) assignTexts(target *map[string]string, value jsontext.Value, how rigour) error {
	if s, ok := text(value); ok && how != strict {
		*target = map[string]string{undetermined: s}
		return nil
	}
	const reason = "must be an object of one or more texts by language tag"
	texts := map[string]string{}
	err := eachMember(value, func(tag string, value jsontext.Value) error {
		s, ok := text(value)
		if !ok || how == strict && !isLanguageTag(tag) {
			return m.wrong(reason)
		}
		texts[tag] = s
		return nil
	})
	if err != nil || how == strict && len(texts) == 0 {
		return m.wrong(reason)
	}
	*target = texts
	return nil
}

// assignStrings reads an array of strings; a single string stands for an array of
// one (docs/divergences.md, L13).
func (m Member) assignStrings(target *[]string, value jsontext.Value, how rigour) error {
	if s, ok := text(value); ok && how != strict {
		*target = []string{s}
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(value))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '[' {
		return m.wrong("must be an array of strings")
	}
	list := []string{}
	for dec.PeekKind() != ']' {
		token, err := dec.ReadToken()
		if err != nil || token.Kind() != '"' {
			return m.wrong("must be an array of strings")
		}
		list = append(list, token.String())
	}
	*target = list
	return nil
}

func (m Member) assignObject(target *map[string]json.RawMessage, value jsontext.Value, how rigour) error {
	object := map[string]json.RawMessage{}
	err := eachMember(value, func(name string, value jsontext.Value) error {
		object[name] = json.RawMessage(bytes.Clone(value))
		return nil
	})
	if err != nil {
		return m.wrong("must be an object")
	}
	if how == strict && len(object) == 0 {
		return &Error{Member: m.Name, Reason: "must have at least one member", Err: ErrMissing}
	}
	*target = object
	return nil
}

func (m Member) wrong(reason string) error {
	return &Error{Member: m.Name, Reason: reason, Err: ErrType}
}

// text returns the string that the valid JSON value holds.
func text(value jsontext.Value) (string, bool) {
	if value.Kind() != '"' {
		return "", false
	}
	s, err := jsontext.AppendUnquote(nil, value)
	return string(s), err == nil
}

// isLanguageTag reports whether tag has the shape of a BCP 47 tag: subtags of one
// to eight letters and digits with hyphens between.
func isLanguageTag(tag string) bool {
	if len(tag) > maxTagBytes {
		return false
	}
	for subtag := range strings.SplitSeq(tag, "-") {
		if subtag == "" || len(subtag) > 8 || strings.ContainsFunc(subtag, func(r rune) bool {
			return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9')
		}) {
			return false
		}
	}
	return true
}

// Time returns the timestamp that a payload holds under name, read as tolerantly
// as [Decode] does. It is false if there is none or the payload is broken.
func Time(data []byte, name string) (time.Time, bool) {
	var t time.Time
	if err := Decode(data, []Member{Optional(name, &t)}, nil); err != nil {
		return time.Time{}, false
	}
	return t, !t.IsZero()
}
