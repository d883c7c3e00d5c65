package risc_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

type example struct {
	file   string
	Sub    subject.Identifier         `json:"sub_id"`
	Events map[string]json.RawMessage `json:"events"`
}

func examples(t *testing.T) []example {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 7 {
		t.Fatalf("got %d examples, %v, want those of the specification", len(files), err)
	}
	list := make([]example, 0, len(files))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e := example{file: filepath.Base(file)}
		if err := json.Unmarshal(raw, &e); err != nil || len(e.Events) != 1 {
			t.Fatalf("%s: got %d events, %v, want one", file, len(e.Events), err)
		}
		list = append(list, e)
	}
	return list
}

// Every example in the text of RISC, and those of RISC events in SSF §5, may be
// sent; the subjects of RISC-2.5-01 and RISC-2.6-01 are e-mail addresses or phone
// numbers.
func TestExamples(t *testing.T) {
	for _, e := range examples(t) {
		for eventType, data := range e.Events {
			if !strings.Contains(e.file, strings.TrimPrefix(eventType, risc.BaseURI)) {
				t.Errorf("%s: got %s, want the type that its name says", e.file, eventType)
			}
			if known, err := risc.Validate(eventType, data); !known || err != nil {
				t.Errorf("%s: got %v, %v, want true and no error", e.file, known, err)
			}
			if known, err := risc.Acceptable(eventType, data); !known || err != nil {
				t.Errorf("%s at the receiver: got %v, %v, want true and no error", e.file, known, err)
			}
			if err := risc.ValidateSubject(eventType, e.Sub); err != nil {
				t.Errorf("%s: got %v, want nil", e.file, err)
			}
		}
	}
}

// The members of the examples arrive where they belong.
func TestExampleValues(t *testing.T) {
	values := map[string]any{
		"2.3-account-disabled.json":                   &risc.AccountDisabled{Reason: risc.ReasonHijacking},
		"2.5-identifier-changed.json":                 &risc.IdentifierChanged{NewValue: "john.roe@example.com"},
		"2.7-credential-compromise.json":              &risc.CredentialCompromise{CredentialType: "password"},
		"2.1-account-credential-change-required.json": &risc.AccountCredentialChangeRequired{},
		"2.6-identifier-recycled.json":                &risc.IdentifierRecycled{},
		"ssf-5-account-enabled.json":                  &risc.AccountEnabled{},
	}
	compared := 0
	for _, e := range examples(t) {
		want, listed := values[e.file]
		if !listed {
			continue
		}
		compared++
		got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
		for _, data := range e.Events {
			if err := json.Unmarshal(data, got); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", e.file, got, want)
		}
	}
	if compared != len(values) {
		t.Errorf("got %d examples compared, want %d", compared, len(values))
	}
}

// RISC-2-01: an event without members of its own is {} on the wire; unknown
// members survive; what is no object is refused.
func TestPlain(t *testing.T) {
	if got, err := json.Marshal(risc.AccountPurged{}); err != nil || string(got) != `{}` {
		t.Errorf("got %s, %v, want {}", got, err)
	}
	var e risc.AccountPurged
	const extra = `{"cause-time":1508184845,"subject":{"subject_type":"iss-sub"}}` // L18
	if err := json.Unmarshal([]byte(extra), &e); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(e); err != nil || string(got) != extra {
		t.Errorf("got %s, %v, want %s", got, err, extra)
	}
	if err := json.Unmarshal([]byte(`[]`), &e); !errors.Is(err, risc.ErrType) {
		t.Errorf("array: got %v, want %v", err, risc.ErrType)
	}
}

// RISC-2.5-01, RISC-2.6-01: both identifier events name the identifier itself.
func TestValidateSubject(t *testing.T) {
	phone, err := subject.Parse([]byte(`{"format":"phone","phone":"+12065550100"}`)) // U26
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name      string
		eventType string
		id        subject.Identifier
		ok        bool
	}{
		{"changed e-mail", risc.IdentifierChangedType, subject.Email("jdoe@example.com"), true},
		{"changed phone", risc.IdentifierChangedType, subject.Phone("+12065550100"), true},
		{"changed phone of RISC", risc.IdentifierChangedType, phone, true},
		{"recycled e-mail", risc.IdentifierRecycledType, subject.Email("jdoe@example.com"), true},
		{"recycled account", risc.IdentifierRecycledType, subject.IssSub("https://idp.example.com", "1"), false},
		{"changed opaque", risc.IdentifierChangedType, subject.Opaque("1"), false},
		{"changed nothing", risc.IdentifierChangedType, subject.Identifier{}, false},
		{"disabled account", risc.AccountDisabledType, subject.IssSub("https://idp.example.com", "1"), true},
	}
	for _, c := range cases {
		err := risc.ValidateSubject(c.eventType, c.id)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, subject.ErrInvalid) {
			t.Errorf("%s: got %v, want ok %v", c.name, err, c.ok)
		}
	}
}

// SEC-04: the new e-mail address or phone number is a subject identifier.
func TestIdentifierChangedHides(t *testing.T) {
	var out strings.Builder
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "e", risc.IdentifierChanged{NewValue: "secret@example.com"})
	if strings.Contains(out.String(), "secret") {
		t.Errorf("got %s, want no identifier", out.String())
	}
}

// RISC-2.8-01: the whole diagram, every event in every state.
func TestParticipation(t *testing.T) {
	const in, initiated, out = risc.ParticipationIn, risc.ParticipationInitiated, risc.ParticipationOut
	cases := []struct {
		from  risc.Participation
		event string
		next  risc.Participation
		ok    bool
	}{
		{in, risc.OptInType, in, false},
		{initiated, risc.OptInType, in, false},
		{out, risc.OptInType, in, true},
		{in, risc.OptOutInitiatedType, initiated, true},
		{initiated, risc.OptOutInitiatedType, initiated, false},
		{out, risc.OptOutInitiatedType, initiated, false},
		{in, risc.OptOutCancelledType, in, false},
		{initiated, risc.OptOutCancelledType, in, true},
		{out, risc.OptOutCancelledType, in, false},
		{in, risc.OptOutEffectiveType, out, false},
		{initiated, risc.OptOutEffectiveType, out, true},
		{out, risc.OptOutEffectiveType, out, false},
		{in, risc.AccountDisabledType, in, false},
		{out, "", out, false},
	}
	for _, c := range cases {
		if next, ok := c.from.Next(c.event); next != c.next || ok != c.ok {
			t.Errorf("%s in %s: got %s, %v, want %s, %v", c.event, c.from, next, ok, c.next, c.ok)
		}
	}
	for p, want := range map[risc.Participation]bool{in: true, initiated: true, out: false, "": false} { // RISC-2.8-02
		if got := p.Exchanges(); got != want {
			t.Errorf("%q exchanges: got %v, want %v", p, got, want)
		}
	}
}
