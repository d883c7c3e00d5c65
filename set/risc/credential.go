package risc

import (
	"encoding/json"
	"time"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
)

// CredentialCompromise tells that a credential of the subject was found to be
// compromised (RISC §2.7).
type CredentialCompromise struct {
	CredentialType string            `json:"credential_type"`          // required; as in CAEP credential-change
	EventTimestamp time.Time         `json:"event_timestamp,omitzero"` // when it was found; zero is absent
	ReasonAdmin    map[string]string `json:"reason_admin,omitempty"`   // text for logs, by BCP 47 language tag
	ReasonUser     map[string]string `json:"reason_user,omitempty"`    // text for the end user, by BCP 47 language tag

	Extra map[string]json.RawMessage `json:"-"` // members unknown here, and ill-typed optional ones
}

// EventType returns [CredentialCompromiseType].
func (CredentialCompromise) EventType() string { return CredentialCompromiseType }

func (e *CredentialCompromise) members() []payload.Member {
	return []payload.Member{
		payload.Required("credential_type", &e.CredentialType),
		payload.Optional("event_timestamp", &e.EventTimestamp),
		payload.Optional("reason_admin", &e.ReasonAdmin),
		payload.Optional("reason_user", &e.ReasonUser),
	}
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e CredentialCompromise) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e CredentialCompromise) MarshalJSON() ([]byte, error) {
	return payload.Encode(e.members(), e.Extra)
}

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *CredentialCompromise) UnmarshalJSON(data []byte) error {
	*e = CredentialCompromise{}
	return payload.Decode(data, e.members(), &e.Extra)
}
