package caep

import "github.com/tocsin-ssf/tocsin/set/internal/payload"

// The values of [DeviceComplianceChange.PreviousStatus] and CurrentStatus.
const (
	Compliant    = "compliant"
	NotCompliant = "not-compliant"
)

// DeviceComplianceChange tells that a device began or ceased to comply (CAEP
// §3.5). The subject is the device, mostly the device member of a complex one.
type DeviceComplianceChange struct {
	PreviousStatus string `json:"previous_status"` // required; compliant or not-compliant
	CurrentStatus  string `json:"current_status"`  // required; compliant or not-compliant
	OptionalClaims
}

// EventType returns [DeviceComplianceChangeType].
func (DeviceComplianceChange) EventType() string { return DeviceComplianceChangeType }

func (e *DeviceComplianceChange) members() []payload.Member {
	return append([]payload.Member{
		payload.Required("previous_status", &e.PreviousStatus, Compliant, NotCompliant),
		payload.Required("current_status", &e.CurrentStatus, Compliant, NotCompliant),
	}, e.optional()...)
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e DeviceComplianceChange) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e DeviceComplianceChange) MarshalJSON() ([]byte, error) {
	return payload.Encode(e.members(), e.Extra)
}

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *DeviceComplianceChange) UnmarshalJSON(data []byte) error {
	*e = DeviceComplianceChange{}
	return payload.Decode(data, e.members(), &e.Extra)
}
