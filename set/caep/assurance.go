package caep

import "github.com/tocsin-ssf/tocsin/set/internal/payload"

// The values of [AssuranceLevelChange.Namespace] that CAEP §3.4 lists; others may
// be agreed on.
const (
	NamespaceRFC8176     = "RFC8176"
	NamespaceRFC6711     = "RFC6711"
	NamespaceISOIEC29115 = "ISO-IEC-29115"
	NamespaceNISTIAL     = "NIST-IAL"
	NamespaceNISTAAL     = "NIST-AAL"
	NamespaceNISTFAL     = "NIST-FAL"
)

// The values of [AssuranceLevelChange.ChangeDirection].
const (
	DirectionIncrease = "increase"
	DirectionDecrease = "decrease"
)

// AssuranceLevelChange tells that the subject's authentication became stronger or
// weaker (CAEP §3.4).
type AssuranceLevelChange struct {
	Namespace       string `json:"namespace"`                  // required; what the levels are named by
	CurrentLevel    string `json:"current_level"`              // required
	PreviousLevel   string `json:"previous_level,omitempty"`   // empty: not known to the transmitter
	ChangeDirection string `json:"change_direction,omitempty"` // increase or decrease; should come with PreviousLevel
	OptionalClaims
}

// EventType returns [AssuranceLevelChangeType].
func (AssuranceLevelChange) EventType() string { return AssuranceLevelChangeType }

func (e *AssuranceLevelChange) members() []payload.Member {
	return append([]payload.Member{
		payload.Required("namespace", &e.Namespace),
		payload.Required("current_level", &e.CurrentLevel),
		payload.Optional("previous_level", &e.PreviousLevel),
		payload.Optional("change_direction", &e.ChangeDirection, DirectionIncrease, DirectionDecrease),
	}, e.optional()...)
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e AssuranceLevelChange) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e AssuranceLevelChange) MarshalJSON() ([]byte, error) {
	return payload.Encode(e.members(), e.Extra)
}

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *AssuranceLevelChange) UnmarshalJSON(data []byte) error {
	*e = AssuranceLevelChange{}
	return payload.Decode(data, e.members(), &e.Extra)
}
