// Package mapping turns what happened to an account into security events: an
// event type URI with its payload, an account event by its name ([Names]), or
// a vendor's record ([Handles]) becomes none, one or more [Mapped].
//
// The rules are tables (names.go, idme.go, onelogin.go) and [Config.Rules]
// changes them. The package is pure: it reads no clock, file or network, and
// the same input has the same outcome. What it cannot know it leaves out: a
// display name is never an identifier, and who acted is never guessed.
package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Limits of what is mapped.
const (
	MaxTypeBytes = 256 // an event's type
	maxMembers   = 64  // members of data
	maxHandle    = 128 // bytes of a vendor's handle
	maxRecordID  = 256 // bytes of a vendor's own id of a record
	maxFields    = 512 // members of a vendor's record
)

// Config says how events are mapped. The zero value is a good choice.
type Config struct {
	// Issuers are the iss of a vendor's users by format. Defaults: "idme"
	// https://events.id.me; "onelogin" urn:onelogin:account:<account_id>, derived
	// from each record.
	Issuers map[string]string
	// Rules replace or add to what becomes of a vendor's records, by format
	// and handle ("onelogin": "5"). The zero Rule records only. [Handles]
	// lists the defaults.
	Rules map[string]map[string]Rule
	// Risk are the thresholds of OneLogin's risk_score. The zero value sends
	// no risk-level-change.
	Risk RiskThresholds
}

// Event is an account event to be mapped.
type Event struct {
	// Type is a name of [Names] or an event type URI.
	Type string
	// Time is when it happened; zero if that is not known.
	Time time.Time
	// Subjects are identifiers of one subject, at least one.
	Subjects []subject.Identifier
	// Data is a JSON object or nil.
	Data json.RawMessage
}

// Mapped is one security event that an account event becomes.
type Mapped struct {
	// Type is the event type URI.
	Type string
	// Payload is a JSON object; it may share memory with [Event.Data].
	Payload json.RawMessage
	// Subjects replace the event's own; nil: the event's.
	Subjects []subject.Identifier
}

// Error says which member of an event or record keeps it from being mapped. It
// quotes nothing of what was sent.
type Error struct {
	// Member is a dotted path such as "data.change_type"; of a vendor's record
	// the member's own name; empty for the whole.
	Member string
	// Description goes on where the member's name ends: "is missing".
	Description string
}

// Error returns member and description.
func (e *Error) Error() string {
	if e.Member == "" {
		return "mapping: " + e.Description
	}
	return "mapping: " + e.Member + " " + e.Description
}

// Mapper maps events. It is safe for concurrent use.
type Mapper struct {
	named   map[string]*named
	known   map[string]bool // event types whose payload is checked
	formats map[string]*format
	risk    RiskThresholds
}

// New returns a mapper. The error names what of cfg cannot be used.
func New(cfg Config) (*Mapper, error) {
	m := &Mapper{named: namedEvents(), known: knownTypes(), formats: vendorFormats(), risk: cfg.Risk}
	if err := cfg.Risk.check(); err != nil {
		return nil, err
	}
	for name, iss := range cfg.Issuers {
		f := m.formats[name]
		if f == nil {
			return nil, fmt.Errorf("mapping: Config.Issuers: %w", &FormatError{name})
		}
		if iss == "" {
			return nil, fmt.Errorf("mapping: Config.Issuers: the issuer of %q is empty", name)
		}
		f.issuer = iss
	}
	for name, rules := range cfg.Rules {
		f := m.formats[name]
		if f == nil {
			return nil, fmt.Errorf("mapping: Config.Rules: %w", &FormatError{name})
		}
		for handle, rule := range rules {
			if err := m.checkRule(rule); err != nil {
				return nil, fmt.Errorf("mapping: Config.Rules: %s %q: %w", name, handle, err)
			}
		}
		maps.Copy(f.rules, rules)
	}
	return m, nil
}

// Map maps one event: a name by its table, an event type URI with its payload
// as it is. Errors are [*Error].
//
// Payloads of CAEP and RISC types are checked first (EVT-02, U27); those of
// other URIs pass whole (EVT-01). Types of the framework itself and RISC
// sessions-revoked are refused (RISC-2.11-01).
func (m *Mapper) Map(e Event) ([]Mapped, error) {
	if len(e.Subjects) == 0 {
		return nil, &Error{memberSubject, "is missing"}
	}
	n := m.named[e.Type]
	if n == nil {
		return m.mapType(e)
	}
	subjects, err := subjectsOf(n.Type, e.Subjects)
	if err != nil {
		return nil, err
	}
	fields, err := dataOf(e.Data)
	if err != nil {
		return nil, err
	}
	payload, err := n.payload(fields, e.Time)
	if err != nil {
		return nil, err
	}
	return []Mapped{{Type: n.Type, Payload: payload, Subjects: subjects}}, nil
}

const (
	memberType    = "type"
	memberSubject = "subject"
	memberData    = "data"
)

// inData returns the path of a member of data.
func inData(name string) string { return memberData + "." + name }
