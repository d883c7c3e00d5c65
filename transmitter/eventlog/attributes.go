package eventlog

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Limits of attributes.
const (
	MaxLinkedIDBytes   = 256      // a linked id
	MaxAttributesBytes = 64 << 10 // all of them, as JSON
)

// Attributes are what is known of an event besides its subject. Absent is the
// zero value, and left out in JSON.
type Attributes struct {
	// Category is a lower-case word: authentication, verification, security,
	// consent, account, …
	Category string `json:"category,omitempty"`
	// Identifier is the source's own id of the user, Email the user's address.
	Identifier string `json:"identifier,omitempty"`
	Email      string `json:"email,omitempty"`
	// Application is the application at the source, not one of ours.
	Application string `json:"application,omitempty"`
	Session     string `json:"session,omitempty"`
	// Fingerprint is the device's.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Address is IPv4 or IPv6, IPv4 never mapped into IPv6.
	Address   netip.Addr `json:"ip_address,omitzero"`
	UserAgent string     `json:"user_agent,omitempty"`
	// Actor is the id of the user who acted, ActorSystem the system that did.
	Actor       string `json:"actor,omitempty"`
	ActorSystem string `json:"actor_system,omitempty"`
	// LinkedID is a key of the source's customer: a session, a purchase; up to
	// [MaxLinkedIDBytes].
	LinkedID    string   `json:"linked_id,omitempty"`
	RiskScore   *float64 `json:"risk_score,omitempty"`
	RiskReasons []string `json:"risk_reasons,omitempty"`
	// Signals have three values: true, false and absent.
	Signals map[string]bool   `json:"signals,omitempty"`
	Suspect *bool             `json:"suspect,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// Subjects returns the identifiers of the event's user among the attributes: the
// e-mail address and, as an opaque one, the source's own id.
func (a *Attributes) Subjects() []subject.Identifier {
	var ids []subject.Identifier
	if a.Email != "" {
		ids = append(ids, subject.Email(a.Email))
	}
	if a.Identifier != "" {
		ids = append(ids, subject.Opaque(a.Identifier))
	}
	return ids
}

// isZero reports whether nothing is known.
func (a *Attributes) isZero() bool {
	return a.Category == "" && a.Identifier == "" && a.Email == "" && a.Application == "" &&
		a.Session == "" && a.Fingerprint == "" && a.Address == netip.Addr{} && a.UserAgent == "" &&
		a.Actor == "" && a.ActorSystem == "" && a.LinkedID == "" && a.RiskScore == nil &&
		len(a.RiskReasons) == 0 && len(a.Signals) == 0 && a.Suspect == nil && len(a.Tags) == 0
}

// Canonical returns the attributes as one JSON object, nil if nothing is known.
// Maps are in order of their keys. Error: ErrEvent.
func (a *Attributes) Canonical() ([]byte, error) {
	if a.isZero() {
		return nil, nil
	}
	if s := a.RiskScore; s != nil && (math.IsNaN(*s) || math.IsInf(*s, 0)) {
		return nil, fmt.Errorf("%w: its risk score is no number", ErrEvent)
	}
	text, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("%w: its attributes: %w", ErrEvent, err)
	}
	if len(text) > MaxAttributesBytes {
		return nil, fmt.Errorf("%w: %d bytes of attributes, at most %d are kept", ErrEvent, len(text), MaxAttributesBytes)
	}
	return text, nil
}

// append writes the attributes as a member of an object, unless they are zero.
func (a *Attributes) append(b []byte) ([]byte, error) {
	text, err := a.Canonical()
	if err != nil || text == nil {
		return b, err
	}
	return append(append(b, `,"attributes":`...), text...), nil
}
