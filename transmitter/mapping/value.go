package mapping

import (
	"encoding/json"
	"time"
)

const (
	maxDigits = 19 // of an integer in a vendor's record
	// layoutOffset is RFC 3339 with an offset without colon.
	layoutOffset = "2006-01-02T15:04:05Z0700"
	// layoutBroadcast is the time of OneLogin's Event Broadcaster.
	layoutBroadcast = "2006-01-02 15:04:05 UTC"
)

// handleOf returns the text of a required member, which says what happened.
func handleOf(fields []field, name string) (string, error) {
	handle, err := optionalText(fields, name)
	switch {
	case err != nil:
		return "", err
	case handle == "":
		return "", &Error{name, "is missing"}
	case len(handle) > maxHandle:
		return "", &Error{name, "is longer than 128 bytes"}
	}
	return handle, nil
}

// optionalText returns the text of a member, empty if it is absent.
func optionalText(fields []field, name string) (string, error) {
	value := find(fields, name)
	if value == nil {
		return "", nil
	}
	text, ok := textOf(value)
	if !ok {
		return "", &Error{name, "must be a string"}
	}
	return text, nil
}

// numberOf returns the digits of a whole number, which may be written as a
// string; empty if it is absent or an empty string.
func numberOf(fields []field, name string) (string, error) {
	value := find(fields, name)
	digits := string(value)
	if text, ok := textOf(value); ok {
		digits = text
	}
	if len(digits) > maxDigits || !isDigits(digits) {
		return "", &Error{name, "must be a whole number"}
	}
	return digits, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// timeOf reads a time, zero if it is absent. Times before 1970 or after 9999
// cannot be those of an event.
func timeOf(fields []field, name string) (time.Time, error) {
	text, err := optionalText(fields, name)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	for _, layout := range [...]string{time.RFC3339Nano, layoutOffset, layoutBroadcast} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if t = t.UTC(); t.Year() < 1970 || t.Year() > 9999 {
			break
		}
		return t, nil
	}
	return time.Time{}, &Error{name, "is not a time"}
}

// unwrapped returns the record inside OneLogin's envelope
// {"status": …, "data": [record]}, else raw.
func unwrapped(fields []field) (json.RawMessage, bool) {
	status, data := find(fields, "status"), find(fields, memberData)
	if len(fields) != 2 || status == nil || data == nil || data[0] != '[' {
		return nil, false
	}
	list := elements(data, 2)
	if len(list) != 1 || list[0][0] != '{' {
		return nil, false
	}
	return list[0], true
}
