// Package risc holds the events of the OpenID RISC Profile 1.0: one value type per
// event, with the members of its payload. Most have none.
//
// Reading is as tolerant as a receiver must be, Validate is strict: what passes
// may be sent (docs/divergences.md, U25, U27).
package risc

import "github.com/tocsin-ssf/tocsin/set/internal/payload"

// BaseURI is what the URIs of RISC's event types begin with.
const BaseURI = "https://schemas.openid.net/secevent/risc/event-type/"

// The event types, in the order of the specification.
const (
	AccountCredentialChangeRequiredType = BaseURI + "account-credential-change-required" // RISC §2.1
	AccountPurgedType                   = BaseURI + "account-purged"                     // RISC §2.2
	AccountDisabledType                 = BaseURI + "account-disabled"                   // RISC §2.3
	AccountEnabledType                  = BaseURI + "account-enabled"                    // RISC §2.4
	IdentifierChangedType               = BaseURI + "identifier-changed"                 // RISC §2.5
	IdentifierRecycledType              = BaseURI + "identifier-recycled"                // RISC §2.6
	CredentialCompromiseType            = BaseURI + "credential-compromise"              // RISC §2.7
	OptInType                           = BaseURI + "opt-in"                             // RISC §2.8.1
	OptOutInitiatedType                 = BaseURI + "opt-out-initiated"                  // RISC §2.8.2
	OptOutCancelledType                 = BaseURI + "opt-out-cancelled"                  // RISC §2.8.3
	OptOutEffectiveType                 = BaseURI + "opt-out-effective"                  // RISC §2.8.4
	RecoveryActivatedType               = BaseURI + "recovery-activated"                 // RISC §2.9
	RecoveryInformationChangedType      = BaseURI + "recovery-information-changed"       // RISC §2.10
	SessionsRevokedType                 = BaseURI + "sessions-revoked"                   // RISC §2.11
)

// Error says which member of a payload is wrong: Member ("" for the whole
// payload), Reason (in English) and Err, a cause such as [ErrNotListed]. It never
// quotes values.
type Error = payload.Error

// What an [*Error] wraps. A transmitter that agreed on further values with its
// receivers may let [ErrNotListed] pass (docs/divergences.md, U27).
var (
	ErrMissing   = payload.ErrMissing   // a required member is absent or empty
	ErrType      = payload.ErrType      // a wrong JSON type or shape
	ErrNotListed = payload.ErrNotListed // a value outside a closed list
)

// Types returns the event types, in the order of the specification.
func Types() []string {
	return []string{
		AccountCredentialChangeRequiredType,
		AccountPurgedType,
		AccountDisabledType,
		AccountEnabledType,
		IdentifierChangedType,
		IdentifierRecycledType,
		CredentialCompromiseType,
		OptInType,
		OptOutInitiatedType,
		OptOutCancelledType,
		OptOutEffectiveType,
		RecoveryActivatedType,
		RecoveryInformationChangedType,
		SessionsRevokedType,
	}
}

// Validate is the transmitter's check of a payload: known tells whether eventType
// is one of [Types]; err is an [*Error] for what must not be sent. Members that
// the type does not know are allowed (SSF §4.2.3).
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

// Deprecated reports whether new transmitters must not send the type (RISC §2.11).
// Receivers still handle it.
func Deprecated(eventType string) bool { return eventType == SessionsRevokedType }

// event is a payload whose members can be bound.
type event interface{ members() []payload.Member }

// newEvent returns an empty event of the type, nil if this package has none.
func newEvent(eventType string) event {
	switch eventType {
	case AccountCredentialChangeRequiredType:
		return new(AccountCredentialChangeRequired)
	case AccountPurgedType:
		return new(AccountPurged)
	case AccountDisabledType:
		return new(AccountDisabled)
	case AccountEnabledType:
		return new(AccountEnabled)
	case IdentifierChangedType:
		return new(IdentifierChanged)
	case IdentifierRecycledType:
		return new(IdentifierRecycled)
	case CredentialCompromiseType:
		return new(CredentialCompromise)
	case OptInType:
		return new(OptIn)
	case OptOutInitiatedType:
		return new(OptOutInitiated)
	case OptOutCancelledType:
		return new(OptOutCancelled)
	case OptOutEffectiveType:
		return new(OptOutEffective)
	case RecoveryActivatedType:
		return new(RecoveryActivated)
	case RecoveryInformationChangedType:
		return new(RecoveryInformationChanged)
	case SessionsRevokedType:
		return new(SessionsRevoked)
	}
	return nil
}
