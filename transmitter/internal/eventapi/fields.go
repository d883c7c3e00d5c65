package eventapi

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

const paramFields = "fields"

// fields are the members of an event that are wanted; nil: all. The id comes
// always.
type fields []string

// fieldsOf reads the parameters of a call that has no others.
func fieldsOf(c echo.Context) (fields, error) {
	values, err := parameters(c)
	if err != nil {
		return nil, err
	}
	for name := range values {
		if name != paramFields {
			return nil, unknown(name)
		}
	}
	return parseFields(values[paramFields])
}

func parseFields(names []string) (fields, error) {
	if len(names) == 0 {
		return nil, nil
	}
	known := members(reflect.TypeFor[Event]())
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, request.Invalid(paramFields, "names what is no member of an event; repeat the parameter for several")
		}
	}
	return names, nil
}

// members returns the names of a struct's members in JSON.
func members(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		} else if f.Anonymous {
			names = append(names, members(f.Type)...)
		}
	}
	return names
}

// of returns an event with the chosen members alone.
func (f fields) of(e *Event) (any, error) {
	if f == nil {
		return e, nil
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	for name := range all {
		if name != "id" && !slices.Contains(f, name) {
			delete(all, name)
		}
	}
	return all, nil
}

// maxQueryBytes bounds the parameters of a call.
const maxQueryBytes = 16 << 10

// parameters reads the query of a request.
func parameters(c echo.Context) (url.Values, error) {
	raw := c.Request().URL.RawQuery
	if len(raw) > maxQueryBytes {
		return nil, request.Invalid("", "the query is longer than 16384 bytes")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, request.Invalid("", "the query is not properly encoded")
	}
	return values, nil
}

// maxNameBytes bounds what is repeated of a parameter's name.
const maxNameBytes = 64

// unknown refuses a parameter that there is not.
func unknown(name string) error {
	if len(name) > maxNameBytes {
		name = strings.ToValidUTF8(name[:maxNameBytes], "")
	}
	return request.Invalid(name, "is not a parameter of this call")
}
