package settings

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// Decode reads n into the struct that into points to. A key is the field's name in
// snake_case (HookTimeout: hook_timeout), or the name in its tag `yaml:"name"`. What
// the document leaves out stays as it is. Fields are texts, booleans, numbers,
// durations ("30s"), what unmarshals from a text, structs, lists, maps by text, and
// pointers to these; a list of texts may be one text. Other fields, such as functions,
// are no settings.
//
// The error joins an *Error for each fault.
func (n Node) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return errors.New("settings: Decode needs a pointer")
	}
	d := &decoder{file: n.file}
	d.value(n.node, v.Elem(), n.path)
	return errors.Join(d.faults...)
}

// module is where structs are settings.
const module = "github.com/tocsin-ssf/tocsin/"

type decoder struct {
	file   *file
	faults []error
	depth  int
}

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	if len(d.faults) >= yamlfile.MaxFaults {
		return
	}
	e := &Error{Path: path, Reason: fmt.Sprintf(format, args...)}
	if d.file != nil {
		e.File = d.file.name
	}
	if n != nil {
		e.Line = n.Line
	}
	d.faults = append(d.faults, e)
}

// value reads n into v. An absent or null node leaves v as it is.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if v.Type() == reflect.TypeFor[Node]() {
		v.Set(reflect.ValueOf(Node{file: d.file, node: n, path: path}))
		return
	}
	if n = resolve(n); n == nil || n.Tag == "!!null" {
		return
	}
	if d.depth++; d.depth > maxDepth {
		d.fail(n, path, "it is too deep")
		return
	}
	defer func() { d.depth-- }()
	if unmarshaler, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text, ok := d.text(n, path, "a text"); ok {
			err := unmarshaler.UnmarshalText([]byte(text))
			switch {
			case err != nil && text != n.Value:
				d.fail(n, path, "the variable's value does not fit") // and is not shown
			case err != nil:
				d.fail(n, path, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path)
	case reflect.Struct:
		d.object(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.byName(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "want keys with values")
		return
	}
	fields := fieldsOf(v)
	d.pairs(n, path, func(key, value *yaml.Node) {
		at := join(path, key.Value)
		if field, ok := fields[key.Value]; ok {
			d.value(value, field, at)
			return
		}
		name, isFile := strings.CutSuffix(key.Value, "_file")
		if field, ok := fields[name]; isFile && ok && isText(field.Type()) {
			d.secret(value, field, at)
			return
		}
		d.fail(key, at, "there is no such setting%s", nearest(key.Value, fields))
	})
	for name, field := range fields {
		if hasKey(n, name) && hasKey(n, name+"_file") && isText(field.Type()) {
			if _, own := fields[name+"_file"]; !own {
				d.fail(n, join(path, name), "it is given twice, also by %s_file", name)
			}
		}
	}
}

// isText reports whether a field is a text or a list of texts.
func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String {
		one := reflect.New(v.Type().Elem()).Elem()
		d.value(n, one, path)
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), one))
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "want a list")
		return
	}
	all := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, all.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(all)
}

func (d *decoder) byName(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode || v.Type().Key().Kind() != reflect.String {
		d.fail(n, path, "want names with values")
		return
	}
	all := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	d.pairs(n, path, func(key, value *yaml.Node) {
		one := reflect.New(v.Type().Elem()).Elem()
		d.value(value, one, join(path, key.Value))
		all.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), one)
	})
	v.Set(all)
}

// pairs calls fn for each key of a mapping; one that stands twice is a fault.
func (d *decoder) pairs(n *yaml.Node, path string, fn func(key, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if line, twice := seen[key.Value]; twice {
			d.fail(key, join(path, key.Value), "it stands in line %d already", line)
			continue
		}
		seen[key.Value] = key.Line
		fn(key, n.Content[i+1])
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		if text, ok := d.text(n, path, "a duration such as 30s"); ok {
			t, err := time.ParseDuration(text)
			if err != nil {
				d.fail(n, path, "want a duration such as 30s, 5m or 24h")
			}
			v.SetInt(int64(t))
		}
	case v.Kind() == reflect.String:
		if text, ok := d.text(n, path, "a text"); ok {
			v.SetString(text)
		}
	case v.Kind() == reflect.Bool:
		if text, ok := d.text(n, path, "true or false"); ok {
			if text != "true" && text != "false" {
				d.fail(n, path, "want true or false")
			}
			v.SetBool(text == "true")
		}
	case v.CanInt():
		if text, ok := d.text(n, path, "a number"); ok {
			i, err := strconv.ParseInt(text, 10, v.Type().Bits())
			if err != nil {
				d.fail(n, path, "want a whole number")
			}
			v.SetInt(i)
		}
	case v.CanUint():
		if text, ok := d.text(n, path, "a number"); ok {
			i, err := strconv.ParseUint(text, 10, v.Type().Bits())
			if err != nil {
				d.fail(n, path, "want a whole number that is not negative")
			}
			v.SetUint(i)
		}
	case v.CanFloat():
		if text, ok := d.text(n, path, "a number"); ok {
			f, err := strconv.ParseFloat(text, 64)
			if err != nil {
				d.fail(n, path, "want a number")
			}
			v.SetFloat(f)
		}
	case v.Kind() == reflect.Interface && v.NumMethod() == 0:
		var any any
		if err := n.Decode(&any); err != nil {
			d.fail(n, path, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
			return
		}
		v.Set(reflect.ValueOf(any))
	}
}

// text returns the text of a scalar with its variables in place.
func (d *decoder) text(n *yaml.Node, path, want string) (string, bool) {
	if n = resolve(n); n == nil || n.Kind != yaml.ScalarNode {
		d.fail(n, path, "want %s", want)
		return "", false
	}
	text, err := d.file.expand(n.Value)
	if err != nil {
		d.fail(n, path, "%v", err)
	}
	return text, err == nil
}

// fieldsOf returns the fields of a struct that can be set from a file, by key; those
// of embedded structs are its own.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, tagged := field.Tag.Lookup("yaml")
		if !field.IsExported() || name == "-" {
			continue
		}
		if field.Anonymous && !tagged && field.Type.Kind() == reflect.Struct {
			for key, inner := range fieldsOf(v.Field(i)) {
				fields[key] = inner
			}
			continue
		}
		if !isSetting(field.Type) {
			continue
		}
		if !tagged {
			name = Key(field.Name)
		}
		fields[name] = v.Field(i)
	}
	return fields
}

// isSetting reports whether a field of type t can be set from a file.
func isSetting(t reflect.Type) bool {
	if t == reflect.TypeFor[Node]() || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return isSetting(t.Elem())
	case reflect.Struct:
		// A struct of somebody else's, such as an http.Client, is a thing, and so is one
		// of ours with nothing to set.
		ours := t.PkgPath() == "" || strings.HasPrefix(t.PkgPath(), module)
		return ours && len(fieldsOf(reflect.New(t).Elem())) > 0
	}
	return true
}

// Key returns the key of a field's name: words in lower case, joined by underscores.
func Key(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		upper := unicode.IsUpper(r)
		begins := upper && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if begins {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func hasKey(n *yaml.Node, name string) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return true
		}
	}
	return false
}
