package mapping

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// reading is how a value of a record is read.
type reading uint8

const (
	asText         reading = iota // a string
	asNumber                      // a whole number, which may be written as a string: its digits
	asTime                        // a time in words
	asMilliseconds                // a time in milliseconds since the epoch
	asPositive                    // a number, which is true if it is above zero
)

// readings are the words for them in a rules file.
func readings() map[string]reading {
	return map[string]reading{
		"text": asText, "number": asNumber, "time": asTime, "milliseconds": asMilliseconds, "positive": asPositive,
	}
}

// source says where a value comes from: a member of the record, a parameter, a
// constant or an expression, and what is asked if that is absent.
type source struct {
	from   string // the path as it is written
	path   []string
	param  string
	set    json.RawMessage // a constant; null: left out
	expr   *expression
	as     reading
	prefix string
	given  string // a parameter without which the source has nothing
	next   *source
}

// label names where the value comes from, in an error or an explanation.
func (s *source) label() string {
	switch {
	case s.path != nil:
		return s.from
	case s.param != "":
		return "params." + s.param
	case s.expr != nil:
		return s.expr.where
	}
	return "a constant"
}

// value returns the value, nil if it is absent, and which source had it.
func (s *source) value(e *evaluation) (*source, json.RawMessage, error) {
	for ; s != nil; s = s.next {
		raw, err := s.own(e)
		if err != nil {
			return s, nil, err
		}
		if raw != nil && (s.next == nil || string(raw) != `""`) {
			return s, raw, nil
		}
	}
	return nil, nil, nil
}

func (s *source) own(e *evaluation) (json.RawMessage, error) {
	switch {
	case s.given != "" && e.format.param(s.given) == nil:
		return nil, nil
	case s.path != nil:
		return lookup(e.fields, s.path), nil
	case s.param != "":
		return e.format.param(s.param), nil
	case s.expr != nil:
		return s.expr.json(e)
	}
	return s.set, nil
}

// text returns the value as text, empty if it is absent.
func (s *source) text(e *evaluation) (string, error) {
	from, raw, err := s.value(e)
	if err != nil || raw == nil {
		return "", err
	}
	text, wrong := from.read(raw)
	if wrong != "" {
		return "", &Error{from.label(), wrong}
	}
	return text, nil
}

// read returns the text of a value that was found, or what is wrong with it.
func (s *source) read(raw json.RawMessage) (text, wrong string) {
	text, isText := textOf(raw)
	switch {
	case s.as == asNumber:
		if !isText {
			text = string(raw)
		}
		if len(text) > maxDigits || !isDigits(text) {
			return "", "must be a whole number"
		}
	case !isText:
		return "", "must be a string"
	}
	if text == "" {
		return "", ""
	}
	return s.prefix + text, ""
}

// time returns the value as a time, zero if it is absent.
func (s *source) time(e *evaluation) (time.Time, error) {
	from, raw, err := s.value(e)
	if err != nil || raw == nil {
		return time.Time{}, err
	}
	t, wrong := from.readTime(raw)
	if wrong != "" {
		return time.Time{}, &Error{from.label(), wrong}
	}
	return t, nil
}

// readTime reads a time. Those before 1970 or after 9999 cannot be those of an
// event.
func (s *source) readTime(raw json.RawMessage) (time.Time, string) {
	if s.as == asMilliseconds {
		ms, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return time.Time{}, "must be a number of milliseconds"
		}
		if t := time.UnixMilli(ms).UTC(); plausible(t) {
			return t, ""
		}
		return time.Time{}, "is not a time"
	}
	text, ok := textOf(raw)
	if !ok {
		return time.Time{}, "must be a string"
	}
	if text == "" {
		return time.Time{}, ""
	}
	for _, layout := range [...]string{time.RFC3339Nano, layoutOffset, layoutBroadcast} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if t = t.UTC(); plausible(t) {
			return t, ""
		}
		break
	}
	return time.Time{}, "is not a time"
}

func plausible(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 9999 }

// number returns a number, false if there is none that can be used.
func (s *source) number(e *evaluation) (*source, float64, bool) {
	from, raw, err := s.value(e)
	if err != nil || raw == nil {
		return nil, 0, false
	}
	text, ok := textOf(raw)
	if !ok {
		text = string(raw)
	}
	n, err := strconv.ParseFloat(text, 64)
	return from, n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

// truth returns a truth value, false if there is none: nothing else is taken
// for one.
func (s *source) truth(e *evaluation) (from *source, value, known bool) {
	from, raw, err := s.value(e)
	if err != nil || raw == nil {
		return nil, false, false
	}
	if from.as == asPositive {
		n, err := strconv.ParseFloat(string(raw), 64)
		return from, n > 0, err == nil
	}
	return from, string(raw) == "true", string(raw) == "true" || string(raw) == "false"
}

// lookup returns the value at a path, nil if it is absent or null. A segment is
// the name of a member, or the index of an element.
func lookup(fields []field, path []string) json.RawMessage {
	value := find(fields, path[0])
	for _, segment := range path[1:] {
		if len(value) == 0 {
			return nil
		}
		switch value[0] {
		case '{':
			value = memberOf(value, segment)
		case '[':
			i, err := strconv.Atoi(segment)
			if err != nil || i < 0 || i >= maxListElements {
				return nil
			}
			list := elements(value, i+1)
			if i >= len(list) || string(list[i]) == "null" {
				return nil
			}
			value = list[i]
		default:
			return nil
		}
	}
	return value
}

// pathOf splits a path; nil: it is none.
func pathOf(text string) []string {
	path := strings.Split(text, ".")
	for _, segment := range path {
		if segment == "" {
			return nil
		}
	}
	if len(path) > maxPathSegments {
		return nil
	}
	return path
}

const maxPathSegments = 16
