package caep

import "github.com/tocsin-ssf/tocsin/set/internal/payload"

// SessionRevoked tells that the session which the subject names, or every session
// that a complex subject matches, was revoked (CAEP §3.1). It has no members of
// its own.
type SessionRevoked struct{ OptionalClaims }

// EventType returns [SessionRevokedType].
func (SessionRevoked) EventType() string { return SessionRevokedType }

func (e *SessionRevoked) members() []payload.Member { return e.optional() }

// Validate reports as an [*Error] what a transmitter must not send.
func (e SessionRevoked) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e SessionRevoked) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *SessionRevoked) UnmarshalJSON(data []byte) error {
	*e = SessionRevoked{}
	return payload.Decode(data, e.members(), &e.Extra)
}

// SessionEstablished tells that the transmitter established a session for the
// subject (CAEP §3.6). EventTimestamp is when.
type SessionEstablished struct {
	UserAgent  string   `json:"fp_ua,omitempty"`  // fingerprint of the user agent
	Context    string   `json:"acr,omitempty"`    // authentication context class, as in an ID token
	Methods    []string `json:"amr,omitempty"`    // authentication methods, as in an ID token
	ExternalID string   `json:"ext_id,omitempty"` // ties the session to a broader, federated one
	OptionalClaims
}

// EventType returns [SessionEstablishedType].
func (SessionEstablished) EventType() string { return SessionEstablishedType }

func (e *SessionEstablished) members() []payload.Member {
	return append([]payload.Member{
		payload.Optional("fp_ua", &e.UserAgent),
		payload.Optional("acr", &e.Context),
		payload.Optional("amr", &e.Methods),
		payload.Optional("ext_id", &e.ExternalID),
	}, e.optional()...)
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e SessionEstablished) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e SessionEstablished) MarshalJSON() ([]byte, error) {
	return payload.Encode(e.members(), e.Extra)
}

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *SessionEstablished) UnmarshalJSON(data []byte) error {
	*e = SessionEstablished{}
	return payload.Decode(data, e.members(), &e.Extra)
}

// SessionPresented tells that the transmitter saw the session in use (CAEP §3.7).
// EventTimestamp is when.
type SessionPresented struct {
	UserAgent  string `json:"fp_ua,omitempty"`  // fingerprint of the user agent
	ExternalID string `json:"ext_id,omitempty"` // ties the session to a broader, federated one
	OptionalClaims
}

// EventType returns [SessionPresentedType].
func (SessionPresented) EventType() string { return SessionPresentedType }

func (e *SessionPresented) members() []payload.Member {
	return append([]payload.Member{
		payload.Optional("fp_ua", &e.UserAgent),
		payload.Optional("ext_id", &e.ExternalID),
	}, e.optional()...)
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e SessionPresented) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e SessionPresented) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *SessionPresented) UnmarshalJSON(data []byte) error {
	*e = SessionPresented{}
	return payload.Decode(data, e.members(), &e.Extra)
}
