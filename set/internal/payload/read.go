package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

func read(data []byte, members []Member, extra *map[string]json.RawMessage, how rigour) error {
	var seen []string
	err := eachMember(data, func(name string, value jsontext.Value) error {
		k := slices.IndexFunc(members, func(m Member) bool { return m.Name == name })
		if k >= 0 {
			err := members[k].assign(value, how)
			if err == nil {
				seen = append(seen, name)
				return nil
			}
			if members[k].Required || how == strict {
				return err
			}
		}
		if extra != nil {
			if *extra == nil {
				*extra = map[string]json.RawMessage{}
			}
			(*extra)[name] = json.RawMessage(bytes.Clone(value))
		}
		return nil
	})
	if err != nil || how == tolerant {
		return err
	}
	for _, m := range members {
		if m.Required && !slices.Contains(seen, m.Name) {
			return &Error{Member: m.Name, Reason: "is missing", Err: ErrMissing}
		}
	}
	return nil
}

// eachMember calls visit with every member of the object data, in order. Names
// are unique; value is valid until visit returns.
func eachMember(data []byte, visit func(name string, value jsontext.Value) error) error {
	if len(data) > MaxBytes {
		return &Error{Reason: "is too long", Err: ErrType}
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data)) // of a Buffer it reads in place, without a copy
	if dec.PeekKind() != '{' {
		return &Error{Reason: "must be a JSON object", Err: ErrType}
	}
	if _, err := dec.ReadToken(); err != nil {
		return broken(err)
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return broken(err)
		}
		name := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return broken(err)
		}
		if err := visit(name, value); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return broken(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return broken(err)
	}
	return nil
}

// broken hides the decoder's text, which may quote what was sent.
func broken(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return &Error{Reason: "has a member name twice", Err: ErrType}
	}
	return &Error{Reason: "is not valid JSON", Err: ErrType}
}
