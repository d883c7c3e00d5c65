// Package caep holds the events of the OpenID Continuous Access Evaluation Profile
// 1.0: one value type per event, with the members of its payload.
//
// Reading is as tolerant as a receiver must be: timestamps may have fractions or
// be milliseconds, reasons may be plain strings, unknown members are kept
// (docs/divergences.md, U25, U27). Validate is strict: what passes may be sent.
package caep

import "github.com/tocsin-ssf/tocsin/set/internal/payload"

// BaseURI is what the URIs of CAEP's event types begin with.
const BaseURI = "https://schemas.openid.net/secevent/caep/event-type/"

// The event types, in the order of the specification.
const (
	SessionRevokedType         = BaseURI + "session-revoked"          // CAEP §3.1
	TokenClaimsChangeType      = BaseURI + "token-claims-change"      // CAEP §3.2
	CredentialChangeType       = BaseURI + "credential-change"        // CAEP §3.3
	AssuranceLevelChangeType   = BaseURI + "assurance-level-change"   // CAEP §3.4
	DeviceComplianceChangeType = BaseURI + "device-compliance-change" // CAEP §3.5
	SessionEstablishedType     = BaseURI + "session-established"      // CAEP §3.6
	SessionPresentedType       = BaseURI + "session-presented"        // CAEP §3.7
	RiskLevelChangeType        = BaseURI + "risk-level-change"        // CAEP §3.8
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
		SessionRevokedType,
		TokenClaimsChangeType,
		CredentialChangeType,
		AssuranceLevelChangeType,
		DeviceComplianceChangeType,
		SessionEstablishedType,
		SessionPresentedType,
		RiskLevelChangeType,
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

// event is a payload whose members can be bound.
type event interface{ members() []payload.Member }

// newEvent returns an empty event of the type, nil if this package has none.
func newEvent(eventType string) event {
	switch eventType {
	case SessionRevokedType:
		return new(SessionRevoked)
	case TokenClaimsChangeType:
		return new(TokenClaimsChange)
	case CredentialChangeType:
		return new(CredentialChange)
	case AssuranceLevelChangeType:
		return new(AssuranceLevelChange)
	case DeviceComplianceChangeType:
		return new(DeviceComplianceChange)
	case SessionEstablishedType:
		return new(SessionEstablished)
	case SessionPresentedType:
		return new(SessionPresented)
	case RiskLevelChangeType:
		return new(RiskLevelChange)
	}
	return nil
}
