// Package ssf holds the two events by which a transmitter speaks about a stream
// itself (SSF §8.1.4, §8.1.5).
//
// Their subject is the stream: an opaque identifier whose id is the stream_id.
// They are sent whether or not the receiver asked for their types.
package ssf

import (
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// BaseURI is what the URIs of SSF's event types begin with.
const BaseURI = "https://schemas.openid.net/secevent/ssf/event-type/"

// The event types, in the order of the specification.
const (
	VerificationType  = BaseURI + "verification"   // SSF §8.1.4.1
	StreamUpdatedType = BaseURI + "stream-updated" // SSF §8.1.5
)

// The values of [StreamUpdated.Status].
const (
	StatusEnabled  = "enabled"
	StatusPaused   = "paused"
	StatusDisabled = "disabled"
)

// Error says which member of a payload is wrong: Member ("" for the whole
// payload), Reason (in English) and Err, a cause such as [ErrNotListed]. It never
// quotes values.
type Error = payload.Error

// What an [*Error] wraps.
var (
	ErrMissing   = payload.ErrMissing   // a required member is absent or empty
	ErrType      = payload.ErrType      // a wrong JSON type or shape
	ErrNotListed = payload.ErrNotListed // a value outside a closed list
)

// Types returns the event types, in the order of the specification.
func Types() []string { return []string{VerificationType, StreamUpdatedType} }

// Validate is the transmitter's check of a payload: known tells whether eventType
// is one of [Types]; err is an [*Error] for what must not be sent.
func Validate(eventType string, data []byte) (known bool, err error) {
	e := newEvent(eventType)
	if e == nil {
		return false, nil
	}
	return true, payload.Check(data, e.members())
}

// Acceptable is the receiver's check of a payload: err is an [*Error] only for
// missing or wrongly typed required members (docs/divergences.md, U27).
func Acceptable(eventType string, data []byte) (known bool, err error) {
	e := newEvent(eventType)
	if e == nil {
		return false, nil
	}
	return true, payload.Acceptable(data, e.members())
}

// Subject returns the subject of both events: the stream (SSF §8.1.4.1).
func Subject(streamID string) subject.Identifier { return subject.Opaque(streamID) }

// event is a payload whose members can be bound.
type event interface{ members() []payload.Member }

// newEvent returns an empty event of the type, nil if this package has none.
func newEvent(eventType string) event {
	switch eventType {
	case VerificationType:
		return new(Verification)
	case StreamUpdatedType:
		return new(StreamUpdated)
	}
	return nil
}

// Verification shows that a stream works (SSF §8.1.4.1).
type Verification struct {
	// State is what the receiver gave when it asked, echoed as it was; nil if it
	// gave none or the transmitter sent the event by itself.
	State *string `json:"state,omitempty"`

	Extra map[string]json.RawMessage `json:"-"` // members unknown here, and ill-typed optional ones
}

// EventType returns [VerificationType].
func (Verification) EventType() string { return VerificationType }

func (e *Verification) members() []payload.Member {
	return []payload.Member{payload.Optional("state", &e.State)}
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e Verification) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e Verification) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload.
func (e *Verification) UnmarshalJSON(data []byte) error {
	*e = Verification{}
	return payload.Decode(data, e.members(), &e.Extra)
}

// StreamUpdated tells that the transmitter changed the stream's status on its own
// (SSF §8.1.5).
type StreamUpdated struct {
	Status string `json:"status"`           // required; the new status: enabled, paused or disabled
	Reason string `json:"reason,omitempty"` // short, for people

	Extra map[string]json.RawMessage `json:"-"` // members unknown here, and ill-typed optional ones
}

// EventType returns [StreamUpdatedType].
func (StreamUpdated) EventType() string { return StreamUpdatedType }

func (e *StreamUpdated) members() []payload.Member {
	return []payload.Member{
		payload.Required("status", &e.Status, StatusEnabled, StatusPaused, StatusDisabled),
		payload.Optional("reason", &e.Reason),
	}
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e StreamUpdated) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e StreamUpdated) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload. Only a wrongly typed status is an error.
func (e *StreamUpdated) UnmarshalJSON(data []byte) error {
	*e = StreamUpdated{}
	return payload.Decode(data, e.members(), &e.Extra)
}
