package ingest

import (
	"fmt"
	"net/netip"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Limits of an item's attributes.
const (
	maxAttribute  = 1 << 10 // bytes of one of its texts
	maxAttributes = 64      // signals, tags or reasons
	maxWord       = 64      // bytes of a category or of a signal's or tag's name
)

// wireAttributes are the members of an item that become its attributes. A null,
// also in signals and tags, is absent.
type wireAttributes struct {
	Category    string             `json:"category"`
	Identifier  string             `json:"identifier"`
	Email       string             `json:"email"`
	Application string             `json:"application"`
	Session     string             `json:"session"`
	Fingerprint string             `json:"fingerprint"`
	Address     string             `json:"ip_address"`
	UserAgent   string             `json:"user_agent"`
	Actor       string             `json:"actor"`
	ActorSystem string             `json:"actor_system"`
	LinkedID    string             `json:"linked_id"`
	RiskScore   *float64           `json:"risk_score"`
	RiskReasons []string           `json:"risk_reasons"`
	Signals     map[string]*bool   `json:"signals"`
	Suspect     *bool              `json:"suspect"`
	Tags        map[string]*string `json:"tags"`
}

// given reports whether there is any.
func (w *wireAttributes) given() bool {
	for _, text := range w.texts() {
		if text.value != "" {
			return true
		}
	}
	return w.Category != "" || w.Address != "" || w.LinkedID != "" || w.RiskScore != nil || w.RiskReasons != nil ||
		w.Signals != nil || w.Suspect != nil || w.Tags != nil
}

type namedText struct{ name, value string }

// texts are those that are bound by their length alone.
func (w *wireAttributes) texts() []namedText {
	return []namedText{
		{"identifier", w.Identifier},
		{"email", w.Email},
		{"application", w.Application},
		{"session", w.Session},
		{"fingerprint", w.Fingerprint},
		{"user_agent", w.UserAgent},
		{"actor", w.Actor},
		{"actor_system", w.ActorSystem},
	}
}

// attributes checks them and returns them as they are kept.
func (w *wireAttributes) attributes() (eventlog.Attributes, *ItemError) {
	a := eventlog.Attributes{
		Category: w.Category, Identifier: w.Identifier, Email: w.Email, Application: w.Application,
		Session: w.Session, Fingerprint: w.Fingerprint, UserAgent: w.UserAgent, Actor: w.Actor,
		ActorSystem: w.ActorSystem, LinkedID: w.LinkedID, RiskScore: w.RiskScore, RiskReasons: w.RiskReasons, Suspect: w.Suspect,
	}
	if err := w.check(); err != nil {
		return a, err
	}
	if w.Address != "" {
		address, err := netip.ParseAddr(w.Address)
		if err != nil || address.Zone() != "" {
			return a, invalid("ip_address", "is not an IPv4 or IPv6 address")
		}
		a.Address = address.Unmap()
	}
	for name, value := range w.Signals {
		if value != nil {
			put(&a.Signals, name, *value)
		}
	}
	for name, value := range w.Tags {
		if value != nil {
			put(&a.Tags, name, *value)
		}
	}
	return a, nil
}

// put sets a member of a map that is made for the first of them.
func put[V any](m *map[string]V, name string, value V) {
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[name] = value
}

func (w *wireAttributes) check() *ItemError {
	for _, text := range w.texts() {
		if len(text.value) > maxAttribute {
			return invalid(text.name, fmt.Sprintf("is longer than %d bytes", maxAttribute))
		}
	}
	switch {
	case w.Category != "" && !isWord(w.Category):
		return invalid("category", "is not a word of a to z, 0 to 9, _ and -")
	case len(w.LinkedID) > eventlog.MaxLinkedIDBytes:
		return invalid("linked_id", "is longer than 256 bytes")
	case len(w.RiskReasons) > maxAttributes:
		return invalid("risk_reasons", "has more than 64 texts")
	case len(w.Signals) > maxAttributes:
		return invalid("signals", "has more than 64 members")
	case len(w.Tags) > maxAttributes:
		return invalid("tags", "has more than 64 members")
	}
	for _, reason := range w.RiskReasons {
		if len(reason) > maxAttribute {
			return invalid("risk_reasons", fmt.Sprintf("has a text of more than %d bytes", maxAttribute))
		}
	}
	for name := range w.Signals {
		if !isWord(name) {
			return invalid("signals", "has a name that is not a word of a to z, 0 to 9, _ and -")
		}
	}
	for name, value := range w.Tags {
		if name == "" || len(name) > maxWord || value != nil && len(*value) > maxAttribute {
			return invalid("tags", fmt.Sprintf("has an empty name, one of more than %d bytes or a text of more than %d", maxWord, maxAttribute))
		}
	}
	return nil
}

// isWord reports whether s is a lower-case word of a bounded length.
func isWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxWord
}

func invalid(member, description string) *ItemError {
	return &ItemError{Code: CodeInvalid, Member: member, Description: description}
}
