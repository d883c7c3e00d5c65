package risc

import (
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
)

// Plain is the payload of the events without members of their own, {} on the wire.
type Plain struct {
	Extra map[string]json.RawMessage `json:"-"` // members unknown here, as they came
}

func (*Plain) members() []payload.Member { return nil }

// Validate reports as an [*Error] what a transmitter must not send.
func (p Plain) Validate() error { return payload.Validate(p.members(), p.Extra) }

// MarshalJSON writes the payload.
func (p Plain) MarshalJSON() ([]byte, error) { return payload.Encode(p.members(), p.Extra) }

// UnmarshalJSON reads a payload.
func (p *Plain) UnmarshalJSON(data []byte) error {
	*p = Plain{}
	return payload.Decode(data, p.members(), &p.Extra)
}

// AccountCredentialChangeRequired tells that the account had to change a credential (RISC §2.1).
type AccountCredentialChangeRequired struct{ Plain }

// EventType returns [AccountCredentialChangeRequiredType].
func (AccountCredentialChangeRequired) EventType() string { return AccountCredentialChangeRequiredType }

// AccountPurged tells that the account was deleted for good (RISC §2.2).
type AccountPurged struct{ Plain }

// EventType returns [AccountPurgedType].
func (AccountPurged) EventType() string { return AccountPurgedType }

// AccountEnabled tells that the account was enabled (RISC §2.4).
type AccountEnabled struct{ Plain }

// EventType returns [AccountEnabledType].
func (AccountEnabled) EventType() string { return AccountEnabledType }

// IdentifierRecycled tells that the e-mail address or phone number in the subject now
// belongs to somebody else (RISC §2.6).
type IdentifierRecycled struct{ Plain }

// EventType returns [IdentifierRecycledType].
func (IdentifierRecycled) EventType() string { return IdentifierRecycledType }

// OptIn tells that the account takes part in the exchange of RISC events (RISC §2.8.1).
type OptIn struct{ Plain }

// EventType returns [OptInType].
func (OptIn) EventType() string { return OptInType }

// OptOutInitiated tells that the account asked to be left out; events are still
// exchanged for a while (RISC §2.8.2).
type OptOutInitiated struct{ Plain }

// EventType returns [OptOutInitiatedType].
func (OptOutInitiated) EventType() string { return OptOutInitiatedType }

// OptOutCancelled tells that the account took its opt-out back (RISC §2.8.3).
type OptOutCancelled struct{ Plain }

// EventType returns [OptOutCancelledType].
func (OptOutCancelled) EventType() string { return OptOutCancelledType }

// OptOutEffective tells that the account no longer takes part (RISC §2.8.4).
type OptOutEffective struct{ Plain }

// EventType returns [OptOutEffectiveType].
func (OptOutEffective) EventType() string { return OptOutEffectiveType }

// RecoveryActivated tells that the account began a recovery flow (RISC §2.9).
type RecoveryActivated struct{ Plain }

// EventType returns [RecoveryActivatedType].
func (RecoveryActivated) EventType() string { return RecoveryActivatedType }

// RecoveryInformationChanged tells that some recovery information of the account changed (RISC §2.10).
type RecoveryInformationChanged struct{ Plain }

// EventType returns [RecoveryInformationChangedType].
func (RecoveryInformationChanged) EventType() string { return RecoveryInformationChangedType }

// SessionsRevoked tells that all sessions of the account were revoked. It is
// deprecated: a transmitter sends CAEP session-revoked instead, see [Deprecated] (RISC §2.11).
type SessionsRevoked struct{ Plain }

// EventType returns [SessionsRevokedType].
func (SessionsRevoked) EventType() string { return SessionsRevokedType }
