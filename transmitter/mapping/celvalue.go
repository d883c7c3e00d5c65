package mapping

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/tocsin-ssf/tocsin/set/celrules"
)

// object is a JSON object as expressions see it. Its members are converted when
// they are asked for. Null is absent, as everywhere.
type object struct {
	raw    json.RawMessage // nil: that of a whole record
	fields []field
}

var _ traits.Mapper = (*object)(nil)

// maxElements bounds the members and elements of what expressions see: of a
// longer one nothing is said, rather than a part.
const maxElements = 4096

// valueOf returns what expressions see of a valid JSON value.
func valueOf(raw json.RawMessage) ref.Val {
	switch raw[0] {
	case '{':
		fields := split(raw, maxElements+1)
		if len(fields) > maxElements {
			return types.NewErr("an object has more than %d members", maxElements)
		}
		return &object{raw, fields}
	case '[':
		list := elements(raw, maxElements+1)
		if len(list) > maxElements {
			return types.NewErr("a list has more than %d elements", maxElements)
		}
		values := make([]ref.Val, len(list))
		for i := range list {
			values[i] = valueOf(list[i])
		}
		return types.NewRefValList(types.DefaultTypeAdapter, values)
	case '"':
		return types.String(nameOf(raw))
	case 't':
		return types.True
	case 'f':
		return types.False
	case 'n':
		return types.NullValue
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return types.Int(n)
	}
	n, _ := strconv.ParseFloat(string(raw), 64) // what is too large is infinite
	return types.Double(n)
}

// Find returns a member.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	raw := find(o.fields, string(name))
	if raw == nil {
		return nil, false
	}
	return valueOf(raw), true
}

// Get returns a member or an error.
func (o *object) Get(key ref.Val) ref.Val {
	if value, ok := o.Find(key); ok {
		return value
	}
	return types.NewErr("no such key: %v", key)
}

// Contains reports whether there is such a member.
func (o *object) Contains(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	return types.Bool(ok && find(o.fields, string(name)) != nil)
}

// Size returns the number of members.
func (o *object) Size() ref.Val { return types.Int(len(o.fields)) }

// Iterator returns the names of members.
func (o *object) Iterator() traits.Iterator {
	names := make([]ref.Val, len(o.fields))
	for i, f := range o.fields {
		names[i] = types.String(f.name)
	}
	list, _ := types.NewRefValList(types.DefaultTypeAdapter, names).(traits.Iterable)
	return list.Iterator()
}

// Equal compares members.
func (o *object) Equal(other ref.Val) ref.Val {
	m, ok := other.(traits.Mapper)
	if !ok || m.Size() != o.Size() {
		return types.False
	}
	for _, f := range o.fields {
		value, ok := m.Find(types.String(f.name))
		if !ok || types.Equal(valueOf(f.value), value) != types.True {
			return types.False
		}
	}
	return types.True
}

// ConvertToType converts to a map, which it is, or to its type.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return o
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from map to '%s'", t)
}

// ConvertToNative is not offered.
func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("unsupported conversion from map to %v", t)
}

// Type returns that of maps.
func (o *object) Type() ref.Type { return types.MapType }

// Value returns the members' JSON.
func (o *object) Value() any { return o.fields }

// appendValue appends a value of an expression as JSON, or says what is wrong
// with it.
func appendValue(b []byte, value ref.Val, depth int) ([]byte, string) {
	if len(b) > maxResultBytes || depth > celrules.MaxDepth {
		return nil, "makes a value that is too large"
	}
	switch v := value.(type) {
	case types.Null:
		b = append(b, "null"...)
	case types.Bool:
		b = strconv.AppendBool(b, bool(v))
	case types.Int:
		b = strconv.AppendInt(b, int64(v), 10)
	case types.Uint:
		b = strconv.AppendUint(b, uint64(v), 10)
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, "makes a number that JSON has not"
		}
		b = strconv.AppendFloat(b, float64(v), 'g', -1, 64)
	case types.String:
		if len(v) > maxResultBytes {
			return nil, "makes a value that is too large"
		}
		b = append(b, quoted(string(v))...)
	case types.Timestamp:
		b = strconv.AppendInt(b, v.Unix(), 10)
	case *object:
		if v.raw == nil {
			return nil, "is the whole record"
		}
		b = append(b, v.raw...)
	case traits.Lister:
		return appendList(b, v, depth)
	case traits.Mapper:
		return appendMap(b, v, depth)
	default:
		return nil, "makes a value that JSON has not"
	}
	if len(b) > maxResultBytes {
		return nil, "makes a value that is too large"
	}
	return b, ""
}

func appendList(b []byte, list traits.Lister, depth int) ([]byte, string) {
	b = append(b, '[')
	first := true
	for it := list.Iterator(); it.HasNext() == types.True; first = false {
		if !first {
			b = append(b, ',')
		}
		var wrong string
		if b, wrong = appendValue(b, it.Next(), depth+1); wrong != "" {
			return nil, wrong
		}
	}
	return append(b, ']'), ""
}

func appendMap(b []byte, m traits.Mapper, depth int) ([]byte, string) {
	var names []string
	for it := m.Iterator(); it.HasNext() == types.True; {
		name, ok := it.Next().(types.String)
		if !ok {
			return nil, "makes an object with a name that is no string"
		}
		names = append(names, string(name))
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		var wrong string
		b = append(append(b, quoted(name)...), ':')
		if b, wrong = appendValue(b, m.Get(types.String(name)), depth+1); wrong != "" {
			return nil, wrong
		}
	}
	return append(b, '}'), ""
}

// celAt is record.at("a.b.0"): the value at a path, null if it is absent.
func celAt(record, path ref.Val) ref.Val {
	o, ok := record.(*object)
	text, isText := path.(types.String)
	if !ok || !isText {
		return types.MaybeNoSuchOverloadErr(record)
	}
	if !strings.Contains(string(text), ".") {
		if raw := find(o.fields, string(text)); raw != nil {
			return valueOf(raw)
		}
		return types.NullValue
	}
	segments := pathOf(string(text))
	if segments == nil {
		return types.NewErr("%q is not a path", string(text))
	}
	if raw := lookup(o.fields, segments); raw != nil {
		return valueOf(raw)
	}
	return types.NullValue
}

// celText is text(x): a text, number or truth value as text, otherwise empty.
func celText(value ref.Val) ref.Val {
	switch v := value.(type) {
	case types.String:
		return v
	case types.Int, types.Uint, types.Double, types.Bool:
		return v.ConvertToType(types.StringType)
	}
	return types.String("")
}
