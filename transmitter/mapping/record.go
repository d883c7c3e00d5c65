package mapping

import (
	"encoding/json"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// The formats of records that are built in.
const (
	// FormatIDme is the format of ID.me's event records.
	FormatIDme = "idme"
	// FormatOneLogin is the format of OneLogin's event records: those of its
	// API (also inside the envelope of get-by-id) and of its Event Broadcaster.
	// A record's handle is its event_type_id in decimal.
	FormatOneLogin = "onelogin"
	// FormatFingerprint is the format of the events of Fingerprint's Server API
	// v4. A record's handle is where it came from: device or edge.
	FormatFingerprint = "fingerprint"
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
	// Consent is what the user decided of the sharing of data with the
	// application that the record names: one of the words below; "": nothing.
	Consent string
	// Mapped are the security events; none if it is only recorded.
	Mapped []Mapped
}

// What a user decides of consent: the words of transmitter/consent.
const (
	ConsentGrant  = "grant"
	ConsentDeny   = "deny"
	ConsentRevoke = "revoke"
)

// FormatError: there is no such format of records.
type FormatError struct{ Format string }

// Error says so.
func (e *FormatError) Error() string { return "mapping: there is no format of that name" }

// Record reads and maps one record of a vendor. A handle without a rule, or
// with one that only records, has no Mapped and no error.
//
// Errors are [*FormatError] for an unknown format, else [*Error] for a record
// that cannot be mapped: the Record then holds what could be read.
//
// previous tells what was known before; nil: nothing is.
func (m *Mapper) Record(format string, raw []byte, previous Previous) (Record, error) {
	e := evaluation{mapper: m, previous: previous}
	err := e.run(format, raw)
	return e.record, err
}

// evaluation is the mapping of one record. It is what expressions see: an
// activation of CEL.
type evaluation struct {
	mapper   *Mapper
	format   *format
	fields   []field
	record   Record
	previous Previous

	session string
	userErr error

	object *object        // the variable record, once it is asked for
	knows  map[Key]string // what previous has answered
	rule   *rule          // the one at work
	lets   []ref.Val      // the values of its names, nil until they are asked for
	letErr error          // why one of them cannot be worked out

	origins *[]Origin    // where members came from; nil: nobody asks
	tried   *[]RuleTried // what became of rules; nil: nobody asks
}

var _ cel.Activation = (*evaluation)(nil)

func (e *evaluation) run(name string, raw []byte) error {
	f := e.mapper.formats[name]
	if f == nil {
		return &FormatError{name}
	}
	e.format = f
	var err error
	if e.fields, err = f.open(raw); err != nil {
		return err
	}
	err = e.head()
	e.user() // also of a record without a proper head: it speaks of somebody
	e.attributes()
	if h := f.handles[e.record.Handle]; h != nil {
		e.record.Consent = h.consent
	}
	if err != nil {
		return err
	}
	if err := e.apply(); err != nil {
		e.record.Mapped = nil
		return err
	}
	return nil
}

// open returns the members of a record, also of one in an envelope.
func (f *format) open(raw json.RawMessage) ([]field, error) {
	fields, err := objectOf(raw, maxFields)
	if err == nil && f.envelope != nil {
		if inner := f.envelope.open(fields); inner != nil {
			fields, err = objectOf(inner, maxFields)
		}
	}
	if err != nil {
		return nil, &Error{"", "the record " + err.Error()}
	}
	return fields, nil
}

// open returns the record inside an envelope: the one element of its list, if
// the envelope has its members and no others. nil: fields are the record's own.
func (v *envelope) open(fields []field) json.RawMessage {
	if len(fields) != len(v.members) {
		return nil
	}
	for _, name := range v.members {
		if find(fields, name) == nil {
			return nil
		}
	}
	data := find(fields, v.list)
	if data[0] != '[' {
		return nil
	}
	list := elements(data, 2)
	if len(list) != 1 || list[0][0] != '{' {
		return nil
	}
	return list[0]
}

// head reads id, handle and time.
func (e *evaluation) head() error {
	f, r := e.format, &e.record
	id, err := f.id.text(e)
	if err != nil {
		return err
	}
	if len(id) <= maxRecordID {
		r.ID = id
	}
	handle, err := f.handle.text(e)
	switch {
	case err != nil:
		return err
	case handle == "":
		return &Error{f.handle.label(), "is missing"}
	case len(handle) > maxHandle:
		return &Error{f.handle.label(), "is longer than 128 bytes"}
	}
	r.Handle = handle
	r.Time, err = f.time.time(e)
	e.note("id", f.id)
	e.note("handle", f.handle)
	e.note("time", f.time)
	return err
}

// user reads the identifiers of the user and the session. What is wrong with
// them matters only to a rule that needs them.
func (e *evaluation) user() {
	e.session, _ = e.format.session.text(e)
	e.note("session", e.format.session)
	for _, t := range e.format.user {
		id, err := t.identifier(e)
		if err != nil && e.userErr == nil {
			e.userErr = err
		}
		if !id.IsZero() {
			e.record.Subjects = append(e.record.Subjects, id)
			e.note("subject ("+t.format+")", t.main())
		}
	}
}

// ResolveName returns a variable of an expression.
func (e *evaluation) ResolveName(name string) (any, bool) {
	switch name {
	case "record":
		if e.object == nil {
			e.object = &object{fields: e.fields}
		}
		return e.object, true
	case "handle":
		return types.String(e.record.Handle), true
	case "id":
		return types.String(e.record.ID), true
	case "time":
		if e.record.Time.IsZero() {
			return types.NewErr("no such key: time"), true
		}
		return types.Timestamp{Time: e.record.Time}, true
	case "user":
		return types.String(e.record.Attributes.Identifier), true
	case "device":
		return types.String(e.record.Attributes.Fingerprint), true
	case "session":
		return types.String(e.session), true
	case "params":
		return e.format.paramsValue, true
	case "previous":
		return &known{e}, true
	}
	return e.let(name)
}

// let returns the value of a name that the rule at work gives, worked out when
// it is asked for first. What is absent is null.
func (e *evaluation) let(name string) (any, bool) {
	if e.rule == nil {
		return nil, false
	}
	for i := range e.rule.lets {
		b := &e.rule.lets[i]
		if b.name != name {
			continue
		}
		if e.lets == nil {
			e.lets = make([]ref.Val, len(e.rule.lets))
		}
		if e.lets[i] == nil {
			value, err := b.expr.eval(e)
			if err == nil && tooLarge(value) {
				err = &Error{"", b.expr.where + ": makes a value that is too large"}
			}
			switch {
			case err != nil:
				e.letErr = err
				value = types.NewErr("%s", err)
			case value == nil:
				value = types.NullValue
			}
			e.lets[i] = value
		}
		return e.lets[i], true
	}
	return nil, false
}

// tooLarge reports whether a value is larger than a name may hold: names could
// else double it again and again.
func tooLarge(value ref.Val) bool {
	switch v := value.(type) {
	case types.String:
		return len(v) > maxResultBytes
	case traits.Lister:
		n, ok := v.Size().(types.Int)
		return !ok || n > maxElements
	case *object:
		return false
	case traits.Mapper:
		n, ok := v.Size().(types.Int)
		return !ok || n > maxElements
	}
	return false
}

// Parent returns nil: there are no other variables.
func (e *evaluation) Parent() cel.Activation { return nil }

func quoted(text string) json.RawMessage {
	b, _ := jsontext.AppendQuote(nil, text) // what is not UTF-8 is replaced in b
	return b
}
