package caep

import "github.com/tocsin-ssf/tocsin/set/internal/payload"

// The values of [RiskLevelChange.CurrentLevel] and PreviousLevel.
const (
	RiskLow    = "LOW"
	RiskMedium = "MEDIUM"
	RiskHigh   = "HIGH"
)

// The values of [RiskLevelChange.Principal] that CAEP §3.8 lists; other entities of
// SSF §2 are allowed.
const (
	PrincipalUser    = "USER"
	PrincipalDevice  = "DEVICE"
	PrincipalSession = "SESSION"
	PrincipalTenant  = "TENANT"
	PrincipalOrgUnit = "ORG_UNIT"
	PrincipalGroup   = "GROUP"
)

// RiskLevelChange tells that the subject's assessed risk changed (CAEP §3.8).
type RiskLevelChange struct {
	RiskReason    string `json:"risk_reason,omitempty"`    // recommended; what contributed to the change
	Principal     string `json:"principal"`                // required; what kind of entity is at risk
	CurrentLevel  string `json:"current_level"`            // required; LOW, MEDIUM or HIGH
	PreviousLevel string `json:"previous_level,omitempty"` // empty: not known to the transmitter
	OptionalClaims
}

// EventType returns [RiskLevelChangeType].
func (RiskLevelChange) EventType() string { return RiskLevelChangeType }

func (e *RiskLevelChange) members() []payload.Member {
	return append([]payload.Member{
		payload.Optional("risk_reason", &e.RiskReason),
		payload.Required("principal", &e.Principal),
		payload.Required("current_level", &e.CurrentLevel, RiskLow, RiskMedium, RiskHigh),
		payload.Optional("previous_level", &e.PreviousLevel, RiskLow, RiskMedium, RiskHigh),
	}, e.optional()...)
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e RiskLevelChange) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e RiskLevelChange) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *RiskLevelChange) UnmarshalJSON(data []byte) error {
	*e = RiskLevelChange{}
	return payload.Decode(data, e.members(), &e.Extra)
}
