package caep

import (
	"encoding/json"
	"time"

	"github.com/tocsin-ssf/tocsin/set/internal/payload"
)

// The values of [OptionalClaims.InitiatingEntity].
const (
	InitiatedByAdmin  = "admin"  // an administrative action
	InitiatedByUser   = "user"   // an end-user action
	InitiatedByPolicy = "policy" // a policy evaluation
	InitiatedBySystem = "system" // a system or platform assertion
)

// claimEventTimestamp is the one claim that is also read on its own.
const claimEventTimestamp = "event_timestamp"

// OptionalClaims are the members that every CAEP event may have (CAEP §2).
type OptionalClaims struct {
	// EventTimestamp is when the event happened, in whole seconds or down to
	// microseconds; zero is absent. Milliseconds are read as such (U25).
	EventTimestamp   time.Time         `json:"event_timestamp,omitzero"`
	InitiatingEntity string            `json:"initiating_entity,omitempty"` // admin, user, policy or system
	ReasonAdmin      map[string]string `json:"reason_admin,omitempty"`      // text for logs, by BCP 47 language tag
	ReasonUser       map[string]string `json:"reason_user,omitempty"`       // text for the end user, by BCP 47 language tag

	// Extra holds the members unknown to the event's type, and optional ones that
	// are wrongly typed, as they came.
	Extra map[string]json.RawMessage `json:"-"`
}

// optional binds the claims.
func (c *OptionalClaims) optional() []payload.Member {
	return []payload.Member{
		payload.Optional(claimEventTimestamp, &c.EventTimestamp),
		payload.Optional("initiating_entity", &c.InitiatingEntity,
			InitiatedByAdmin, InitiatedByUser, InitiatedByPolicy, InitiatedBySystem),
		payload.Optional("reason_admin", &c.ReasonAdmin),
		payload.Optional("reason_user", &c.ReasonUser),
	}
}

// EventTime returns the event_timestamp of any event's payload, read as tolerantly
// as the types of this package do; false if there is none to be read.
func EventTime(data []byte) (time.Time, bool) { return payload.Time(data, claimEventTimestamp) }
