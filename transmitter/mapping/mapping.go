// Package mapping turns what happened to an account into security events: an
// event type URI with its payload, an account event by its name ([Names]), or
// a vendor's record becomes none, one or more [Mapped].
//
// What becomes of records is data: rules files in YAML (docs/mapping.md), of
// which those for ID.me, OneLogin and Fingerprint are built in and others are
// laid over them ([Config.Rules]). The package is pure: it reads no clock, file
// or network, and the same input has the same outcome. What it cannot know it
// leaves out: a display name is never an identifier, and who acted is never
// guessed. What was known before a record its caller tells ([Previous]).
package mapping

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
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
	// Rules are rules files, each laid over those before it and over the
	// built-in ones: they change what becomes of handles, or add formats.
	Rules []RulesFile
	// Params change parameters of formats, by format and name: texts, numbers,
	// truth values and lists of them. {"idme": {"issuer": "https://…"}}.
	Params map[string]map[string]any
}

// RulesFile is a rules file (docs/mapping.md).
type RulesFile struct {
	Name string // for errors and explanations
	YAML []byte // at most [MaxRulesBytes]
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
	order   []string // of formats
}

//go:embed rules/*.yaml
var builtIn embed.FS

// builtInRules returns the rules that are built in, read and compiled once; who
// changes them clones them first.
var builtInRules = sync.OnceValues(loadBuiltIn)

func loadBuiltIn() (*ruleset, error) {
	env, err := celEnvironment()
	if err != nil {
		return nil, fmt.Errorf("mapping: %w", err)
	}
	s := &ruleset{m: &Mapper{named: namedEvents(), known: knownTypes()}, env: env, formats: map[string]*format{}}
	s.m.formats = s.formats
	for _, name := range []string{FormatIDme, FormatOneLogin, FormatFingerprint} {
		text, err := builtIn.ReadFile("rules/" + name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("mapping: %w", err)
		}
		s.load(RulesFile{name + ".yaml", text})
	}
	return s, s.err()
}

// New returns a mapper. The error names what of cfg cannot be used; faults in
// rules files are [*RulesError], joined.
func New(cfg Config) (*Mapper, error) {
	base, err := builtInRules()
	if err != nil {
		return nil, err
	}
	s := base.clone()
	m := &Mapper{named: base.m.named, known: base.m.known, formats: s.formats}
	s.m = m
	for _, file := range cfg.Rules {
		s.load(file)
	}
	if err := s.setParams(cfg.Params); err != nil {
		return nil, err
	}
	s.finish()
	m.order = s.order
	if err := s.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// setParams changes parameters.
func (s *ruleset) setParams(params map[string]map[string]any) error {
	for name, values := range params {
		f := s.formats[name]
		if f == nil {
			return fmt.Errorf("mapping: Config.Params: %w", &FormatError{name})
		}
		for key, value := range values {
			old, known := f.params[key]
			raw, err := json.Marshal(value)
			switch {
			case !known:
				return fmt.Errorf("mapping: Config.Params: %s has no parameter %q", name, key)
			case err != nil || len(raw) > maxResultBytes:
				return fmt.Errorf("mapping: Config.Params: the value of %s %q cannot be used", name, key)
			case old[0] == '"' && raw[0] != '"':
				return fmt.Errorf("mapping: Config.Params: the value of %s %q must be a text", name, key)
			}
			f.params[key] = raw
		}
	}
	return nil
}

// Formats returns the names of the formats of records that are known.
func (m *Mapper) Formats() []string { return slices.Clone(m.order) }

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
