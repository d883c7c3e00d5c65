package set_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// listed is an event type as testdata/event-types.json describes it.
type listed struct {
	URI        string `json:"uri"`
	Profile    string `json:"profile"`
	Deprecated bool   `json:"deprecated"`
	StateAfter string `json:"state_after"`
	Fields     []struct {
		Name       string   `json:"name"`
		Type       string   `json:"type"`
		Required   bool     `json:"required"`
		Enum       []string `json:"enum"`
		Extensible bool     `json:"enum_extensible"`
	} `json:"fields"`
}

func catalogue(t testing.TB) []listed {
	t.Helper()
	var document struct{ Events []listed }
	if err := json.Unmarshal(read(t, "event-types.json"), &document); err != nil {
		t.Fatal(err)
	}
	return document.Events
}

// payload is a valid payload of the type with every member it may have.
func (l listed) payload() map[string]any {
	members := map[string]any{}
	for _, field := range l.Fields {
		members[field.Name] = sample(field.Type)
		if field.Enum != nil {
			members[field.Name] = field.Enum[0]
		}
	}
	return members
}

func sample(kind string) any {
	switch kind {
	case "string":
		return "a text with <, \u00e9 and \U0001f512"
	case "number":
		return json.Number("1615304991")
	case "array<string>":
		return []string{"pwd", "otp"}
	case "object<language-tag,string>":
		return map[string]string{"en": "a reason", "de-AT": "ein Grund"}
	case "object":
		return map[string]any{"role": "ro-admin", "n": []any{json.Number("12345678901234567890"), nil, true}}
	}
	panic("no sample of " + kind)
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sameJSON compares deeply, numbers by their digits.
func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var values [2]any
	for i, raw := range [][]byte{a, b} {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&values[i]); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// validator is the front door of a profile's package.
type validator struct {
	types                []string
	validate, acceptable func(string, []byte) (bool, error)
}

var profiles = map[string]validator{
	"ssf":  {ssf.Types(), ssf.Validate, ssf.Acceptable},
	"caep": {caep.Types(), caep.Validate, caep.Acceptable},
	"risc": {risc.Types(), risc.Validate, risc.Acceptable},
}

// event is what every type of the three packages can do.
type event interface {
	EventType() string
	Validate() error
}

// trip decodes the payload of a token as T and encodes it again.
func trip[T event](tok *set.Token) (event, []byte, error) {
	e, err := set.EventAs[T](tok)
	if err != nil {
		return nil, nil, err
	}
	raw, err := json.Marshal(e)
	return e, raw, err
}

// decoders has one Go type per event type.
var decoders = []func(*set.Token) (event, []byte, error){
	trip[ssf.Verification], trip[ssf.StreamUpdated],
	trip[caep.SessionRevoked], trip[caep.TokenClaimsChange], trip[caep.CredentialChange], trip[caep.AssuranceLevelChange],
	trip[caep.DeviceComplianceChange], trip[caep.SessionEstablished], trip[caep.SessionPresented], trip[caep.RiskLevelChange],
	trip[risc.AccountCredentialChangeRequired], trip[risc.AccountPurged], trip[risc.AccountDisabled], trip[risc.AccountEnabled],
	trip[risc.IdentifierChanged], trip[risc.IdentifierRecycled], trip[risc.CredentialCompromise], trip[risc.OptIn],
	trip[risc.OptOutInitiated], trip[risc.OptOutCancelled], trip[risc.OptOutEffective], trip[risc.RecoveryActivated],
	trip[risc.RecoveryInformationChanged], trip[risc.SessionsRevoked],
}

// throughWire sends the payload in a SET and returns the token at the other end.
func throughWire(t testing.TB, eventType string, payload []byte) *set.Token {
	t.Helper()
	b := sessionRevoked()
	b.Event = set.Event{Type: eventType, Payload: payload}
	compact, err := b.Sign(newSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := newVerifier(t, set.Tolerances{}).Verify(t.Context(), []byte(compact))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// decode finds the one Go type of the token's event.
func decode(t testing.TB, tok *set.Token) (event, []byte) {
	t.Helper()
	var found event
	var out []byte
	for _, try := range decoders {
		e, raw, err := try(tok)
		if errors.Is(err, set.ErrNoEvent) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if found != nil {
			t.Fatalf("%s: got two Go types, %T and %T, want one", tok.Type(), found, e)
		}
		found, out = e, raw
	}
	if found == nil {
		t.Fatalf("%s: got no Go type, want one", tok.Type())
	}
	return found, out
}

// The catalogue, event by event: a Go type with every member (SSF-8.1.4.1-01,
// SSF-8.1.5-03, CAEP-3.1-01, CAEP-3.2-01, CAEP-3.3-01, CAEP-3.4-01, CAEP-3.5-01,
// CAEP-3.6-01, CAEP-3.8-01, RISC-2.3-01, RISC-2.5-01, RISC-2.7-01), through a SET and
// back without loss, unknown members included (SSF-4.2.3-01, SSF-4.2.3-02).
func TestCatalogueRoundTrip(t *testing.T) {
	seen := map[string][]string{}
	for _, l := range catalogue(t) {
		if l.Profile == "scim" {
			continue
		}
		seen[l.Profile] = append(seen[l.Profile], l.URI)
		t.Run(l.URI[strings.LastIndexByte(l.URI, '/')+1:], func(t *testing.T) {
			members := l.payload()
			members["urn:example:unknown"] = map[string]any{"a": []any{json.Number("1e400"), "x"}}
			want := encode(t, members)
			if known, err := profiles[l.Profile].validate(l.URI, want); !known || err != nil {
				t.Errorf("Validate: got %v, %v, want true and no error", known, err)
			}
			tok := throughWire(t, l.URI, want)
			if got := tok.Events[0].Payload; !bytes.Equal(got, want) {
				t.Errorf("payload on the wire: got %s, want %s", got, want)
			}
			e, got := decode(t, tok)
			if !sameJSON(t, got, want) {
				t.Errorf("round trip through %T: got %s, want %s", e, got, want)
			}
			if e.EventType() != l.URI {
				t.Errorf("EventType: got %s, want %s", e.EventType(), l.URI)
			}
			if err := e.Validate(); err != nil {
				t.Errorf("Validate of the value: got %v, want nil", err)
			}
			// No member of the catalogue may end among the unknown ones.
			extra := reflect.ValueOf(e).FieldByName("Extra").Interface().(map[string]json.RawMessage)
			if names := slices.Sorted(maps.Keys(extra)); !slices.Equal(names, []string{"urn:example:unknown"}) {
				t.Errorf("unknown members: got %v, want urn:example:unknown alone", names)
			}
		})
	}
	for name, p := range profiles {
		if !slices.Equal(p.types, seen[name]) {
			t.Errorf("%s.Types: got %v, want %v", name, p.types, seen[name])
		}
		if known, err := p.validate("https://example.com/unknown", []byte("not JSON")); known || err != nil { // EVT-01
			t.Errorf("%s.Validate of an unknown type: got %v, %v, want false and no error", name, known, err)
		}
		if known, err := p.acceptable("https://example.com/unknown", []byte("not JSON")); known || err != nil {
			t.Errorf("%s.Acceptable of an unknown type: got %v, %v, want false and no error", name, known, err)
		}
	}
	if got, want := len(decoders), len(seen["ssf"])+len(seen["caep"])+len(seen["risc"]); got != want {
		t.Errorf("Go types: got %d, want %d", got, want)
	}
}

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

// What the catalogue says besides: the deprecated type (RISC-2.11-01) and the
// states after the opt events (RISC-2.8-01).
func TestCatalogueNotes(t *testing.T) {
	for _, l := range catalogue(t) {
		if got := risc.Deprecated(l.URI); got != l.Deprecated {
			t.Errorf("%s deprecated: got %v, want %v", l.URI, got, l.Deprecated)
		}
		if l.StateAfter == "" {
			continue
		}
		if next, _ := risc.ParticipationIn.Next(l.URI); string(next) != l.StateAfter {
			t.Errorf("state after %s: got %s, want %s", l.URI, next, l.StateAfter)
		}
	}
}

// SCIM-2.1-01, EVT-01: the events of RFC 9967 have no Go type here and pass
// through whole, their subject and event URIs that are URNs included.
func TestSCIMPassesWhole(t *testing.T) {
	user, err := subject.ParseStrict([]byte(`{"format":"scim","uri":"/Users/44f6142df96bd6ab61e7521d9","externalId":"jdoe"}`))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, l := range catalogue(t) {
		if l.Profile != "scim" {
			continue
		}
		count++
		want := encode(t, l.payload())
		b := sessionRevoked()
		b.Subject, b.Event = user, set.Event{Type: l.URI, Payload: want}
		tok, err := newVerifier(t, set.Tolerances{}).Verify(t.Context(), []byte(sign(t, header, mustClaims(t, b))))
		if err != nil {
			t.Errorf("%s: got %v, want nil", l.URI, err)
			continue
		}
		if got, ok := tok.Event(l.URI); !ok || !bytes.Equal(got.Payload, want) {
			t.Errorf("%s: got %s, %v, want %s", l.URI, got.Payload, ok, want)
		}
		if !tok.Subject.Equal(user) {
			t.Errorf("%s: got subject %s, want %s", l.URI, tok.Subject.Canonical(), user.Canonical())
		}
		for name, p := range profiles {
			if known, err := p.validate(l.URI, want); known || err != nil {
				t.Errorf("%s.Validate(%s): got %v, %v, want unknown", name, l.URI, known, err)
			}
		}
	}
	if count != 12 {
		t.Errorf("got %d SCIM events, want 12", count)
	}
}
