package mapping

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Rule says what becomes of a vendor's records with one handle. The zero Rule
// records only.
type Rule struct {
	// Event is the name of the account event; empty: it is only recorded.
	Event string `json:"event,omitempty"`
	// Set are members of its data that are always the same (strings).
	Set map[string]string `json:"set,omitempty"`
	// From are members of its data that are taken from the record, by the
	// name of the record's member; one that the record has not is left out.
	From map[string]string `json:"from,omitempty"`
	// Subject is whom the event is about.
	Subject Form `json:"subject,omitempty"`
}

// Form says which identifiers of a record an event is about.
type Form string

// The forms. A record that lacks what its form needs cannot be mapped.
const (
	// FormUser: all identifiers of the user.
	FormUser Form = ""
	// FormSession: complex subjects of the user and the record's session, one
	// for each identifier of the user. Not the user alone: the end of one
	// session must not end the others.
	FormSession Form = "session"
	// FormEmail: the record's e-mail address alone.
	FormEmail Form = "email"
)

// Record is what a vendor's record holds and becomes.
type Record struct {
	// Handle is the vendor's word for what happened; empty if it has none.
	Handle string
	// ID is the vendor's own id of the record; empty if it has none.
	ID string
	// Time is when it happened; zero if the record does not say.
	Time time.Time
	// Subjects are the identifiers of the user; none if there is no user.
	Subjects []subject.Identifier
	// Attributes are what else the record says.
	Attributes Attributes
	// Mapped are the security events; none if it is only recorded.
	Mapped []Mapped
}

// FormatError: there is no such format of records.
type FormatError struct{ Format string }

// Error says so.
func (e *FormatError) Error() string { return "mapping: there is no format of that name" }

// Handle is one of a vendor's handles and what becomes of it.
type Handle struct {
	Format  string `json:"format"`
	Handle  string `json:"handle"`
	Meaning string `json:"meaning,omitempty"`
	Rule    Rule   `json:"rule"`
}

// format is how a vendor's records are read.
type format struct {
	name   string
	issuer string
	rules  map[string]Rule
	// head reads handle, id and time of a record, user its user's identifiers
	// and session, which is empty if there is none.
	head func(fields []field, r *Record) error
	user func(f *format, fields []field, r *Record) (session string, err error)
	// initiator tells who acted, empty if the record does not say; nil: it
	// never does.
	initiator func(fields []field) string
	// unwrap returns the record inside an envelope, false if fields are the
	// record's own; nil: there are no envelopes.
	unwrap func(fields []field) (json.RawMessage, bool)
	// risk returns the record's risk score and its reasons; nil: it has none.
	risk func(fields []field) (score int, reasons string, ok bool)
}

func vendorFormats() map[string]*format {
	formats := map[string]*format{FormatIDme: idmeFormat(), FormatOneLogin: oneLoginFormat()}
	for _, h := range Handles() {
		formats[h.Format].rules[h.Handle] = h.Rule
	}
	return formats
}

// Handles returns all handles that are known and the default of what becomes of
// them, format by format. Others are recorded and nothing more.
func Handles() []Handle { return slices.Concat(idmeHandles(), oneLoginHandles()) }

// Record reads and maps one record of a vendor. A handle without a rule, or
// with one that only records, has no Mapped and no error.
//
// Errors are [*FormatError] for an unknown format, else [*Error] for a record
// that cannot be mapped: the Record then holds what could be read.
//
// previous tells what was known before; nil: nothing is.
func (m *Mapper) Record(format string, raw []byte, previous Previous) (Record, error) {
	f := m.formats[format]
	if f == nil {
		return Record{}, &FormatError{format}
	}
	fields, err := f.open(raw)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := f.head(fields, &r); err != nil {
		return r, err
	}
	rule := f.rules[r.Handle]
	session, err := f.user(f, fields, &r)
	if err != nil && rule.Event != "" {
		return r, err
	}
	if rule.Event != "" {
		mapped, err := m.apply(f, rule, fields, &r, session)
		if err != nil {
			return r, err
		}
		r.Mapped = mapped
	}
	risk, err := m.riskOf(f, fields, &r)
	if err != nil {
		r.Mapped = nil
		return r, err
	}
	r.Mapped = append(r.Mapped, risk...)
	return r, nil
}

// open returns the members of a record, also of one in an envelope.
func (f *format) open(raw json.RawMessage) ([]field, error) {
	fields, err := objectOf(raw, maxFields)
	if err == nil && f.unwrap != nil {
		if inner, ok := f.unwrap(fields); ok {
			fields, err = objectOf(inner, maxFields)
		}
	}
	if err != nil {
		return nil, &Error{"", "the record " + err.Error()}
	}
	return fields, nil
}

// apply makes the account event that the rule asks for and maps it.
func (m *Mapper) apply(f *format, rule Rule, fields []field, r *Record, session string) ([]Mapped, error) {
	subjects, own, err := f.subjects(rule.Subject, fields, r, session)
	if err != nil {
		return nil, err
	}
	n := m.named[rule.Event]
	data := make([]field, 0, len(rule.Set)+len(rule.From)+1)
	for i := range n.Members {
		name := n.Members[i].Name
		if from, ok := rule.From[name]; ok {
			if value := find(fields, from); value != nil {
				data = append(data, field{name, value})
			}
		} else if text, ok := rule.Set[name]; ok {
			data = append(data, field{name, quoted(text)})
		} else if name == memberInitiator && f.initiator != nil {
			if who := f.initiator(fields); who != "" {
				data = append(data, field{name, quoted(who)})
			}
		}
	}
	payload, err := n.payload(data, r.Time)
	if err != nil {
		return nil, fromRecord(err, rule)
	}
	if own == nil {
		if own, err = subjectsOf(n.Type, subjects); err != nil {
			return nil, err
		}
	}
	return []Mapped{{Type: n.Type, Payload: payload, Subjects: own}}, nil
}

// fromRecord names the record's member instead of the one of data it was for.
func fromRecord(err error, rule Rule) error {
	var e *Error
	if errors.As(err, &e) {
		for name, from := range rule.From {
			if e.Member == inData(name) {
				return &Error{from, e.Description}
			}
		}
	}
	return err
}

// subjects returns the identifiers that the rule's event is about; own is nil if
// they are the record's.
func (f *format) subjects(form Form, fields []field, r *Record, session string) (all, own []subject.Identifier, err error) {
	if len(r.Subjects) == 0 {
		return nil, nil, &Error{f.userMember(), "is missing"}
	}
	switch form {
	case FormSession:
		if session == "" {
			return nil, nil, &Error{memberSession, "is missing"}
		}
		for _, id := range r.Subjects {
			c, err := subject.Complex(map[string]subject.Identifier{
				subject.MemberUser: id, subject.MemberSession: subject.Opaque(session),
			})
			if err != nil {
				return nil, nil, &Error{memberSession, "cannot be the id of a session"}
			}
			own = append(own, c)
		}
		return own, own, nil
	case FormEmail:
		for _, id := range r.Subjects {
			if id.Format() == subject.FormatEmail {
				own = []subject.Identifier{id}
				return own, own, nil
			}
		}
		return nil, nil, &Error{memberEmail, "is missing or not an e-mail address"}
	}
	return r.Subjects, nil, nil
}

// userMember names the member that identifies the user.
func (f *format) userMember() string {
	if f.name == FormatOneLogin {
		return memberUserID
	}
	return memberIdentifier
}

// checkRule reports what of a rule cannot work.
func (m *Mapper) checkRule(r Rule) error {
	if r.Event == "" {
		return nil
	}
	n := m.named[r.Event]
	if n == nil {
		return &Error{"event", "is not the name of an account event"}
	}
	if r.Subject != FormUser && r.Subject != FormSession && r.Subject != FormEmail {
		return &Error{memberSubject, "is neither session nor email"}
	}
	for name := range r.From {
		if !n.has(name) {
			return &Error{"from", "has a member that " + n.Name + " has not"}
		}
	}
	data := make([]field, 0, len(n.Members))
	for name, text := range r.Set {
		if _, both := r.From[name]; both {
			return &Error{"set", "has a member that from has, too"}
		}
		data = append(data, field{name, quoted(text)})
	}
	for i := range n.Members {
		if member := &n.Members[i]; member.Required && find(data, member.Name) == nil {
			if _, ok := r.From[member.Name]; !ok {
				return &Error{"set", "lacks " + member.Name}
			}
		}
	}
	partial := named{NamedEvent: n.NamedEvent}
	partial.Members = slices.Clone(n.Members)
	for i := range partial.Members {
		_, given := r.From[partial.Members[i].Name]
		partial.Members[i].Required = partial.Members[i].Required && !given
	}
	_, err := partial.payload(data, time.Time{})
	return err
}

func quoted(text string) json.RawMessage {
	b, _ := jsontext.AppendQuote(nil, text) // what is not UTF-8 is replaced in b
	return b
}
