package risc

import (
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
)

// The values of [AccountDisabled.Reason] that RISC §2.3 lists; others occur.
const (
	ReasonHijacking   = "hijacking"
	ReasonBulkAccount = "bulk-account"
)

// AccountDisabled tells that the account was disabled (RISC §2.3).
type AccountDisabled struct {
	Reason string `json:"reason,omitempty"` // why; see [ReasonHijacking]

	Extra map[string]json.RawMessage `json:"-"` // members unknown here, and ill-typed optional ones
}

// EventType returns [AccountDisabledType].
func (AccountDisabled) EventType() string { return AccountDisabledType }

func (e *AccountDisabled) members() []payload.Member {
	return []payload.Member{
		payload.Optional("reason", &e.Reason),
	}
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e AccountDisabled) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e AccountDisabled) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *AccountDisabled) UnmarshalJSON(data []byte) error {
	*e = AccountDisabled{}
	return payload.Decode(data, e.members(), &e.Extra)
}
