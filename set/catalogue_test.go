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

// L5, L16: names of drafts are read as the current ones where that is tolerated,
// each unless the current one is there, too; the claims stay as they were sent.
func TestFormerTypes(t *testing.T) {
	var document struct {
		Aliases []struct{ URI, Canonical string } `json:"uri_aliases"`
	}
	if err := json.Unmarshal(read(t, "event-types.json"), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Aliases) != 4 {
		t.Fatalf("got %d former names, want 4", len(document.Aliases))
	}
	for _, alias := range document.Aliases {
		alone := edit(t, eventsJSON, `{"`+alias.URI+`":{"x":1}}`)
		both := edit(t, eventsJSON, `{"`+alias.URI+`":{"x":1},"`+alias.Canonical+`":{"x":2}}`)
		if tok := verify(t, set.Tolerances{}, alone); tok.Type() != alias.URI {
			t.Errorf("strict: got %s, want %s", tok.Type(), alias.URI)
		}
		tolerant := set.Tolerances{FormerEventTypes: true, LegacyVerificationURI: true}
		tok := verify(t, tolerant, alone)
		if e, ok := tok.Event(alias.Canonical); !ok || string(e.Payload) != `{"x":1}` || string(tok.Claims()) != alone {
			t.Errorf("%s: got %s %s, want %s", alias.URI, tok.Type(), e.Payload, alias.Canonical)
		}
		tok = verify(t, tolerant, both)
		if e, _ := tok.Event(alias.Canonical); string(e.Payload) != `{"x":2}` || tok.Type() != alias.URI {
			t.Errorf("%s beside the current name: got %s, want the current one's payload", alias.URI, e.Payload)
		}
	}
}
