package set

import (
	"bytes"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Place is where a SET names its subject.
type Place string

// The places of a subject.
const (
	PlaceSET   Place = ""      // sub_id, the current place (SSF §3.1)
	PlaceEvent Place = "event" // `subject` inside the event alone (CAEP and RISC drafts)
	PlaceBoth  Place = "both"  // both, alike
)

// Form is how a SET departs from the current form, for a receiver that reads an
// older or a narrower one. The zero value does not.
type Form struct {
	Subject      Place
	Nameless     bool // complex subjects have no "format", simple ones are written as the user of one
	FormerNames  bool // "subject_type" for "format", and iss-sub and its like for names with underscores
	AudienceList bool // aud is an array, also of one
}

// subject returns the identifier as f writes it.
func (f Form) subject(id subject.Identifier) ([]byte, error) {
	if !f.Nameless {
		return f.identifier(id, false)
	}
	if id.IsComplex() {
		return f.identifier(id, true)
	}
	user, err := f.identifier(id, false)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(`{"user":`), user, []byte(`}`)), nil
}

// identifier writes the members of an identifier in their order.
func (f Form) identifier(id subject.Identifier, nameless bool) ([]byte, error) {
	if !nameless && !f.FormerNames {
		return id.Raw(), nil
	}
	return f.object(id.Raw(), nameless)
}

var errSubject = errors.New("set: Subject cannot be written in another form")

// object copies a JSON object, and the identifiers in it, with other names. What an
// identifier of any other format holds is its own affair.
func (f Form) object(raw []byte, nameless bool) ([]byte, error) {
	var is struct {
		Format string `json:"format"`
	}
	if err := json.Unmarshal(raw, &is); err != nil {
		return nil, errSubject
	}
	holds := is.Format == subject.FormatComplex || is.Format == subject.FormatAliases
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, errSubject
	}
	out := []byte{'{'}
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, errSubject
		}
		name := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errSubject
		}
		if name == "format" && nameless {
			continue
		}
		if out, err = f.member(out, name, value, holds); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// member appends one member of an object, which holds identifiers or does not.
func (f Form) member(out []byte, name string, value jsontext.Value, holds bool) ([]byte, error) {
	if len(out) > 1 {
		out = append(out, ',')
	}
	written := value.Clone()
	var err error
	switch {
	case name == "format" && f.FormerNames:
		name, written = "subject_type", formerFormat(value)
	case holds:
		if written, err = f.value(value); err != nil {
			return nil, err
		}
	}
	if out, err = jsontext.AppendQuote(out, name); err != nil {
		return nil, errSubject
	}
	return append(append(out, ':'), written...), nil
}

// value copies what may be or hold identifiers.
func (f Form) value(value jsontext.Value) (jsontext.Value, error) {
	switch value.Kind() {
	case '{':
		return f.object(value, false)
	case '[':
		return f.list(value)
	}
	return value.Clone(), nil
}

func (f Form) list(raw []byte) (jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		return nil, errSubject
	}
	out := []byte{'['}
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errSubject
		}
		written, err := f.value(value)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, written...)
	}
	return append(out, ']'), nil
}

// formerFormat returns the name that drafts gave a format.
func formerFormat(value jsontext.Value) jsontext.Value {
	switch string(value) {
	case `"` + subject.FormatIssSub + `"`:
		return jsontext.Value(`"iss-sub"`)
	case `"` + subject.FormatJWTID + `"`:
		return jsontext.Value(`"jwt-id"`)
	case `"` + subject.FormatSAMLAssertionID + `"`:
		return jsontext.Value(`"saml-assertion-id"`)
	case `"` + subject.FormatPhoneNumber + `"`:
		return jsontext.Value(`"phone-number"`)
	}
	return value
}

// hasSubject reports whether a payload, an object or nil, has a member "subject".
func hasSubject(payload jsontext.Value) bool {
	var members map[string]jsontext.Value
	if payload == nil || json.Unmarshal(payload, &members) != nil {
		return false
	}
	_, has := members["subject"]
	return has
}
