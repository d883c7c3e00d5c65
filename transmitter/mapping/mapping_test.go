package mapping_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

func TestEventTypes(t *testing.T) {
	const ssf = "https://schemas.openid.net/secevent/ssf/event-type/"
	revoked, changed := caep.SessionRevokedType, caep.CredentialChangeType
	cases := []struct {
		name, typ, data string
		payload, member string // what leaves, or the member at fault
	}{
		{"EVT-02 known, valid", changed, `{"credential_type":"pin","change_type":"create"}`, `{"credential_type":"pin","change_type":"create"}`, ""},
		{"SSF-4.2.3-01 further members stay", revoked, ` {"x":{"y":[1, 2]}}`, ` {"x":{"y":[1, 2]}}`, ""},
		{"no data", revoked, ``, `{}`, ""},
		{"data null", revoked, `null`, `{}`, ""},
		{"EVT-02 required member missing", changed, `{"change_type":"create"}`, "", "data.credential_type"},
		{"CAEP-2-02", revoked, `{"initiating_entity":"x"}`, "", "data.initiating_entity"},
		{"CAEP-3.8-01", caep.RiskLevelChangeType, `{"principal":"USER","current_level":"low"}`, "", "data.current_level"},
		{"RISC-2.7-01", risc.CredentialCompromiseType, `{}`, "", "data.credential_type"},
		{"RISC-2.11-01 sessions-revoked", risc.SessionsRevokedType, `{}`, "", "type"},
		{"SSF-3.1.2-01 inner subject", revoked, `{"subject":{"format":"opaque","id":"other"}}`, "", "data.subject"},
		{"control: verification", ssf + "verification", `{}`, "", "type"},
		{"control: stream-updated", ssf + "stream-updated", `{"status":"enabled"}`, "", "type"},
		{"control: what the framework may add", ssf + "stream-moved", `{}`, "", "type"},
		{"control: former name", "https://schemas.openid.net/secevent/sse/event-type/verification", `{}`, "", "type"},
		{"control: of RISC's drafts", risc.BaseURI + "verification", `{}`, "", "type"},
		{"former name of token-claims-change", caep.BaseURI + "token-claims-changed", `{"claims":{"a":1}}`, "", "type"},
		{"EVT-01 SCIM", "urn:ietf:params:scim:event:prov:create:full", `{"data":{"a":1}}`, `{"data":{"a":1}}`, ""},
		{"EVT-01 unknown, whole", "https://example.com/events/x", `{"subject":{"a":null}, "b":null}`, `{"subject":{"a":null}, "b":null}`, ""},
		{"unknown, no data", "https://example.com/events/x", ``, `{}`, ""},
		{"no URI", "example.com/events", `{}`, "", "type"},
		{"no scheme", ":x", `{}`, "", "type"},
		{"nothing but a scheme", "https:", `{}`, "", "type"},
		{"white space", "https://example.com/a b", `{}`, "", "type"},
		{"quotes", `https://example.com/"`, `{}`, "", "type"},
		{"control character", "https://example.com/\n", `{}`, "", "type"},
		{"not ASCII", "https://example.com/ä", `{}`, "", "type"},
		{"vendor's handle", "idme:session.signin", `{}`, "", "type"},
		{"too long", "https://example.com/" + strings.Repeat("x", mapping.MaxTypeBytes), `{}`, "", "type"},
		{"empty", "", `{}`, "", "type"},
		{"data is an array", revoked, `[]`, "", "data"},
		{"data is no JSON", "https://example.com/x", `{"a":}`, "", "data"},
		{"a member twice", "https://example.com/x", `{"a":1,"a":2}`, "", "data"},
		{"a member twice, below", "https://example.com/x", `{"a":{"b":1,"\u0062":2}}`, "", "data"},
		{"not UTF-8", "https://example.com/x", "{\"a\":\"\xff\"}", "", "data"},
		{"two documents", "https://example.com/x", `{}{}`, "", "data"},
		{"too many members", "https://example.com/x", manyMembers(65), "", "data"},
		{"as many members as may be", "https://example.com/x", manyMembers(64), manyMembers(64), ""},
	}
	m := newMapper(t, mapping.Config{})
	for _, c := range cases {
		e := mapping.Event{Type: c.typ, Time: time.Unix(1, 0), Subjects: goldenSubjects(), Data: json.RawMessage(c.data)}
		got, err := m.Map(e)
		if c.member != "" {
			if member := memberOf(err); member != c.member || got != nil {
				t.Errorf("%s: got %v, %v, want an error at %s", c.name, got, err, c.member)
			}
			continue
		}
		if err != nil || len(got) != 1 || got[0].Type != c.typ || string(got[0].Payload) != c.payload || got[0].Subjects != nil {
			t.Errorf("%s: got %v, %v, want %s", c.name, got, err, c.payload)
		}
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"m` + string(rune('a'+i/26)) + string(rune('a'+i%26)) + `":1`)
	}
	return "{" + b.String()[1:] + "}"
}

func memberOf(err error) string {
	var wrong *mapping.Error
	if !errors.As(err, &wrong) {
		return ""
	}
	return wrong.Member
}

// RISC-2.5-01, RISC-2.6-01: the subject is one e-mail address or phone number.
func TestIdentifierSubjects(t *testing.T) {
	email, phone := subject.Email("jo@example.com"), subject.Phone("+12065550100")
	other := subject.IssSub("https://idp.example.com", "1")
	m := newMapper(t, mapping.Config{})
	for _, typ := range []string{
		risc.IdentifierChangedType, risc.IdentifierRecycledType, "identifier.changed", "identifier.recycled",
	} {
		for _, c := range []struct {
			name string
			in   []subject.Identifier
			want subject.Identifier
		}{
			{"e-mail", []subject.Identifier{email}, email},
			{"phone among others", []subject.Identifier{other, phone}, phone},
			{"the same twice", []subject.Identifier{email, email}, email},
			{"none", []subject.Identifier{other}, subject.Identifier{}},
			{"two", []subject.Identifier{email, phone}, subject.Identifier{}},
			{"hidden in aliases", []subject.Identifier{subject.Aliases(email)}, subject.Identifier{}},
			{"nobody", nil, subject.Identifier{}},
		} {
			got, err := m.Map(mapping.Event{Type: typ, Subjects: c.in})
			if c.want.IsZero() {
				if memberOf(err) != "subject" {
					t.Errorf("%s, %s: got %v, want an error at subject", typ, c.name, err)
				}
				continue
			}
			if err != nil || len(got[0].Subjects) != 1 || !got[0].Subjects[0].Equal(c.want) {
				t.Errorf("%s, %s: got %v, %v, want %v", typ, c.name, got, err, c.want)
			}
		}
	}
}

func TestRecordErrors(t *testing.T) {
	m := newMapper(t, mapping.Config{})
	var unknown *mapping.FormatError
	if _, err := m.Record("acme", []byte(`{}`), nil); !errors.As(err, &unknown) || unknown.Format != "acme" {
		t.Errorf("unknown format: got %v, want a FormatError", err)
	}
	for _, raw := range []string{"", "null", "[]", "7", `{"event":`, `{"event":"a","event":"b"}`, "{\"event\":\"\xff\"}", `{"event":"\ud800"}`} {
		for _, format := range []string{mapping.FormatIDme, mapping.FormatOneLogin} {
			if r, err := m.Record(format, []byte(raw), nil); err == nil || r.Mapped != nil {
				t.Errorf("%s %q: got %v, %v, want an error", format, raw, r, err)
			}
		}
	}
}

// What is only recorded needs no user that can be read.
func TestRecordedOnly(t *testing.T) {
	m := newMapper(t, mapping.Config{})
	for format, raw := range map[string]string{
		mapping.FormatIDme:     `{"event":"session.failed","identifier":7}`,
		mapping.FormatOneLogin: `{"event_type_id":13,"user_id":5}`,
	} {
		if r, err := m.Record(format, []byte(raw), nil); err != nil || r.Mapped != nil || r.Handle == "" {
			t.Errorf("%s: got %v, %v, want a handle and no error", format, r, err)
		}
	}
}

// Every type of CAEP and RISC that may be sent can be sent by name.
func TestNamesCoverTypes(t *testing.T) {
	for _, typ := range slices.Concat(caep.Types(), risc.Types()) {
		has := slices.ContainsFunc(mapping.Names(), func(n mapping.NamedEvent) bool { return n.Type == typ })
		if has == risc.Deprecated(typ) {
			t.Errorf("%s: got by name %v, want %v", typ, has, !has)
		}
	}
}

// FuzzMap: whatever a name is sent with, what leaves is what a transmitter may
// send (EVT-02), and what is refused names a member.
func FuzzMap(f *testing.F) {
	for i, n := range mapping.Names() {
		for _, data := range []string{``, `{"credential_type":"pin","change_type":"create"}`, `{"claims":{"a":1},"reason_user":"x"}`, `{"reason":"\u0022"}`, `{"amr":[ "a" , "b" ]}`, `{"event_timestamp":1e9}`} {
			f.Add(uint8(i), n.Name, []byte(data))
		}
	}
	m := newMapper(f, mapping.Config{})
	names := mapping.Names()
	f.Fuzz(func(t *testing.T, i uint8, typ string, data []byte) {
		for _, typ := range []string{names[int(i)%len(names)].Name, typ} {
			got, err := m.Map(mapping.Event{Type: typ, Time: time.Unix(1e9, 0), Subjects: goldenSubjects(), Data: data})
			var wrong *mapping.Error
			if err != nil && (!errors.As(err, &wrong) || wrong.Member == "") {
				t.Fatalf("%s %q: got %v, want an Error with its member", typ, data, err)
			}
			for _, g := range got {
				if !json.Valid(g.Payload) {
					t.Fatalf("%s %q: got payload %q, want JSON", typ, data, g.Payload)
				}
				if slices.Contains(caep.Types(), g.Type) || slices.Contains(risc.Types(), g.Type) {
					mustSend(t, g.Type, g.Payload)
				}
			}
		}
	})
}

func BenchmarkMap(b *testing.B) {
	m := newMapper(b, mapping.Config{})
	for _, c := range []struct{ name, typ, data string }{
		{"suspended", "account.suspended", ``},
		{"credential", "credential.changed", `{"credential_type":"password","change_type":"update","initiating_entity":"user","reason_admin":{"en":"x"}}`},
		{"uri", caep.CredentialChangeType, `{"credential_type":"password","change_type":"update","initiating_entity":"user","reason_admin":{"en":"x"}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := mapping.Event{Type: c.typ, Time: time.Unix(1e9, 0), Subjects: goldenSubjects(), Data: json.RawMessage(c.data)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Map(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
