package risc

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// IdentifierChanged tells that the e-mail address or phone number in the subject,
// which is the old one, has changed (RISC §2.5). Only the authority for the
// identifier should say so; others send [RecoveryInformationChanged].
type IdentifierChanged struct {
	NewValue string `json:"new-value,omitempty"` // with a hyphen on the wire

	Extra map[string]json.RawMessage `json:"-"` // members unknown here, and ill-typed optional ones
}

// EventType returns [IdentifierChangedType].
func (IdentifierChanged) EventType() string { return IdentifierChangedType }

func (e *IdentifierChanged) members() []payload.Member {
	return []payload.Member{
		payload.Optional("new-value", &e.NewValue),
	}
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e IdentifierChanged) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e IdentifierChanged) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *IdentifierChanged) UnmarshalJSON(data []byte) error {
	*e = IdentifierChanged{}
	return payload.Decode(data, e.members(), &e.Extra)
}

// LogValue shows the event's type; the new value identifies a person.
func (e IdentifierChanged) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event_type", IdentifierChangedType))
}

// ValidateSubject reports whether an event of the type may be about id: the two
// identifier events must be about an e-mail address or a phone number (RISC §2.5,
// §2.6), every other type may be about anything. The error wraps
// [subject.ErrInvalid].
func ValidateSubject(eventType string, id subject.Identifier) error {
	switch eventType {
	case IdentifierChangedType, IdentifierRecycledType:
		if f := id.Format(); f != subject.FormatEmail && f != subject.FormatPhoneNumber {
			return fmt.Errorf("risc: %w: must have the format email or phone_number", subject.ErrInvalid)
		}
	}
	return nil
}
