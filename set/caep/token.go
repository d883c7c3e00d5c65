package caep

import (
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
)

// TokenClaimsChange tells that claims of the token which the subject names have
// new values (CAEP §3.2).
type TokenClaimsChange struct {
	Claims map[string]json.RawMessage `json:"claims"` // required, at least one; new values of any JSON type
	OptionalClaims
}

// EventType returns [TokenClaimsChangeType].
func (TokenClaimsChange) EventType() string { return TokenClaimsChangeType }

func (e *TokenClaimsChange) members() []payload.Member {
	return append([]payload.Member{
		payload.Required("claims", &e.Claims),
	}, e.optional()...)
}

// Validate reports as an [*Error] what a transmitter must not send.
func (e TokenClaimsChange) Validate() error { return payload.Validate(e.members(), e.Extra) }

// MarshalJSON writes the payload.
func (e TokenClaimsChange) MarshalJSON() ([]byte, error) { return payload.Encode(e.members(), e.Extra) }

// UnmarshalJSON reads a payload as tolerantly as a receiver must (U25, U27).
func (e *TokenClaimsChange) UnmarshalJSON(data []byte) error {
	*e = TokenClaimsChange{}
	return payload.Decode(data, e.members(), &e.Extra)
}
