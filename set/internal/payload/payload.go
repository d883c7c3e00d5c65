// Package payload reads, writes and checks the members of an event's payload,
// the JSON object under the event type's URI (RFC 8417 §2).
//
// An event type binds each of its members to a field with [Required] and
// [Optional]; that one list drives reading, writing and both checks, so they
// cannot drift apart. Receivers read tolerantly ([Decode], [Acceptable]) and
// transmitters check strictly ([Check]), as docs/divergences.md U25 and U27 say.
package payload

import (
	"encoding/json"
	"errors"
)

// MaxBytes bounds the JSON text of one payload.
const MaxBytes = 64 << 10

// What an [*Error] wraps.
var (
	// ErrMissing: a required member is absent or empty.
	ErrMissing = errors.New("required member missing")
	// ErrType: a member, or the payload itself, has the wrong JSON type or shape.
	ErrType = errors.New("wrong type")
	// ErrNotListed: a value is not in the closed list that the specification gives.
	ErrNotListed = errors.New("value not listed")
)

// Error says which member of a payload is wrong. It never quotes values.
type Error struct {
	Member string // "" for the payload as a whole
	Reason string // for people, in English
	Err    error  // ErrMissing, ErrType or ErrNotListed
}

// Error returns the member and the reason.
func (e *Error) Error() string {
	if e.Member == "" {
		return "payload " + e.Reason
	}
	return "member " + e.Member + " " + e.Reason
}

// Unwrap returns the class of the error.
func (e *Error) Unwrap() error { return e.Err }

// Member binds one member of a payload to the field that holds it.
type Member struct {
	Name     string
	Required bool
	// Target is where the value goes: *string, **string (nil is absent), *time.Time
	// (seconds since the epoch), *map[string]string (language tag to text), *[]string
	// or *map[string]json.RawMessage (an object with at least one member).
	Target any
	// OneOf is the closed list of a string's values; nil allows every value.
	OneOf []string
}

// Required binds a member that must be present.
func Required(name string, target any, oneOf ...string) Member {
	return Member{Name: name, Required: true, Target: target, OneOf: oneOf}
}

// Optional binds a member that may be absent.
func Optional(name string, target any, oneOf ...string) Member {
	return Member{Name: name, Target: target, OneOf: oneOf}
}

// rigour is how much reading insists on.
type rigour int

const (
	tolerant   rigour = iota // refuse wrongly typed required members alone
	acceptable               // and missing ones
	strict                   // and everything else that is wrong
)

// Decode reads a payload into the members' fields, which must be empty. Members
// that are not bound, and optional ones that are wrongly typed, go to extra. Only
// a wrongly typed required member is an error, not a missing one.
func Decode(data []byte, members []Member, extra *map[string]json.RawMessage) error {
	return read(data, members, extra, tolerant)
}

// Acceptable is the receiver's check: an [*Error] only for missing or wrongly
// typed required members (docs/divergences.md, U27). It fills the members' fields.
func Acceptable(data []byte, members []Member) error {
	return read(data, members, nil, acceptable)
}

// Check is the transmitter's check: required members present and not empty, every
// bound member of its type, closed lists kept. Members that are not bound may be
// there (SSF §4.2.3). It fills the members' fields. Errors are [*Error].
func Check(data []byte, members []Member) error {
	return read(data, members, nil, strict)
}

// Validate writes the members as [Encode] does and checks the result as [Check]
// does: the transmitter's check of a value.
func Validate(members []Member, extra map[string]json.RawMessage) error {
	data, err := Encode(members, extra)
	if err != nil {
		return &Error{Reason: "holds a member that is not JSON", Err: ErrType}
	}
	return Check(data, members)
}
