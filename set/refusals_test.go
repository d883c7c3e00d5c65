package set_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/caep"
)

// broken is a payload that a transmitter must not send (EVT-02), and what a
// receiver makes of it (U27).
type broken struct {
	name    string
	member  string
	value   any // nil removes the member
	want    error
	accepts bool
}

func (l listed) broken() (list []broken) {
	for _, field := range l.Fields {
		if field.Required {
			list = append(list, broken{"missing", field.Name, nil, caep.ErrMissing, false})
		}
		list = append(list, broken{"null", field.Name, json.RawMessage("null"), caep.ErrType, !field.Required})
		list = append(list, broken{"bool", field.Name, true, caep.ErrType, !field.Required})
		switch field.Type {
		case "string":
			list = append(list, broken{"number", field.Name, 17, caep.ErrType, !field.Required})
			if field.Required {
				list = append(list, broken{"empty", field.Name, "", caep.ErrMissing, true})
			}
		case "object":
			list = append(list, broken{"empty object", field.Name, map[string]any{}, caep.ErrMissing, true})
		case "number":
			list = append(list, broken{"text", field.Name, "1615304991", caep.ErrType, true})
			list = append(list, broken{"milliseconds", field.Name, 1615304991000, caep.ErrType, true}) // CAEP-2-01, U25
		case "array<string>":
			list = append(list, broken{"plain string", field.Name, "pwd", caep.ErrType, true})
			list = append(list, broken{"array of numbers", field.Name, []int{1}, caep.ErrType, true})
		case "object<language-tag,string>": // CAEP-2-03
			list = append(list, broken{"plain string", field.Name, "a reason", caep.ErrType, true})
			list = append(list, broken{"no text", field.Name, map[string]string{}, caep.ErrType, true})
			list = append(list, broken{"no tag", field.Name, map[string]string{"": "a reason"}, caep.ErrType, true})
			list = append(list, broken{"text a number", field.Name, map[string]int{"en": 1}, caep.ErrType, true})
		}
		if field.Enum != nil && !field.Extensible { // CAEP-2-02
			list = append(list, broken{"not listed", field.Name, "xyz", caep.ErrNotListed, true})
			list = append(list, broken{"other case", field.Name, swapCase(field.Enum[0]), caep.ErrNotListed, true})
		}
	}
	return list
}

func swapCase(s string) string {
	if upper := strings.ToUpper(s); upper != s {
		return upper
	}
	return strings.ToLower(s)
}

// Every required member missing, every closed list broken, every member of a
// wrong type: refused at the transmitter, named; the receiver refuses no more
// than what EVT-02 says.
func TestCatalogueRefusals(t *testing.T) {
	cases := 0
	for _, l := range catalogue(t) {
		p, ours := profiles[l.Profile]
		if !ours {
			continue
		}
		for _, b := range l.broken() {
			cases++
			members := l.payload()
			members[b.member] = b.value
			if b.value == nil {
				delete(members, b.member)
			}
			raw := encode(t, members)
			_, err := p.validate(l.URI, raw)
			var fact *caep.Error
			if !errors.Is(err, b.want) || !errors.As(err, &fact) || fact.Member != b.member {
				t.Errorf("%s, %s %s: got %v, want %v of that member", l.URI, b.member, b.name, err, b.want)
			}
			if _, err := p.acceptable(l.URI, raw); (err == nil) != b.accepts {
				t.Errorf("%s, %s %s at the receiver: got %v, want accepted %v", l.URI, b.member, b.name, err, b.accepts)
			}
		}
		for _, raw := range []string{``, `null`, `[]`, `"x"`, `{`, `{}{}`, `{"a":1,"a":1}`, `{"x":{"a":1,"a":1}}`, "{\"\xff\":1}"} {
			if known, err := p.validate(l.URI, []byte(raw)); !known || !errors.Is(err, caep.ErrType) {
				t.Errorf("%s, payload %q: got %v, %v, want %v", l.URI, raw, known, err, caep.ErrType)
			}
		}
	}
	if cases < 150 {
		t.Errorf("got %d cases, want the whole catalogue", cases)
	}
}

// Each value of a closed or open list passes; other values of open ones, too.
func TestCatalogueValues(t *testing.T) {
	for _, l := range catalogue(t) {
		p, ours := profiles[l.Profile]
		if !ours {
			continue
		}
		for _, field := range l.Fields {
			values := field.Enum
			if field.Extensible {
				values = append(values, "agreed-on")
			}
			for _, value := range values {
				members := l.payload()
				members[field.Name] = value
				if _, err := p.validate(l.URI, encode(t, members)); err != nil {
					t.Errorf("%s, %s %q: got %v, want nil", l.URI, field.Name, value, err)
				}
			}
		}
	}
}
