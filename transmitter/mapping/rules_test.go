package mapping_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// acme is the head of a format of one's own.
const acme = `formats:
  acme:
    title: Acme
    params: {issuer: "https://id.acme.example", limit: 3}
    record: {handle: kind, id: no, time: at, session: sid}
    user:
      - {format: iss_sub, iss: {param: issuer}, sub: who}
    handles:
`

// newAcme returns a mapper whose format acme has these handles.
func newAcme(t *testing.T, handles string) *mapping.Mapper {
	t.Helper()
	return newMapper(t, mapping.Config{Rules: []mapping.RulesFile{{Name: "acme.yaml", YAML: []byte(acme + handles)}}})
}

// Every fault is told with the file, its line, and the way to it.
func TestRulesErrors(t *testing.T) {
	rule := func(text string) string { // its event stands in line 10
		return acme + "      x:\n        events: [" + text + "]\n"
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "acme.yaml: is empty"},
		{"no YAML", "formats:\n  a: [\n", "acme.yaml:2: is not YAML"},
		{"two documents", "formats: {}\n---\nformats: {}\n", "acme.yaml:2: has more than one document"},
		{"no object", "[]", "acme.yaml:1: must be an object"},
		{"unknown key", "formats: {}\nrules: {}\n", "acme.yaml:2: rules: is not known here; known are formats, tests"},
		{"unknown key below", acme + "      x: {evnts: []}\n", "acme.yaml:9: formats.acme.handles.x.evnts: is not known here"},
		{"a key twice", acme + "      x: {name: a}\n      x: {name: b}\n", "acme.yaml:10: formats.acme.handles.x: stands twice"},
		{"format name", "formats:\n  A b: {}\n", "acme.yaml:2: formats.A b: must be a lower-case word"},
		{"no handle", "formats:\n\n  acme: {title: x}\n", "acme.yaml:3: formats.acme: lacks record.handle"},
		{"no such parameter", acme + "      x:\n        events:\n          - {event: session.revoked, from: {initiating_entity: {param: isuer}}}\n", `acme.yaml:11: formats.acme.handles.x.events.1.from.initiating_entity.param: there is no parameter "isuer"`},
		{"category", acme + "      x: {category: Very Bad}\n", "acme.yaml:9: formats.acme.handles.x.category: must be a lower-case word"},
		{"no event", rule("{}"), "acme.yaml:10: formats.acme.handles.x.events.1: lacks event"},
		{"unknown event", rule("{event: account.frozen}"), "acme.yaml:10: formats.acme.handles.x.events.1.event: is neither the name"},
		{"control event", rule("{event: 'https://schemas.openid.net/secevent/ssf/event-type/verification'}"), "is a control event"},
		{"unknown subject", rule("{event: account.deleted, subject: tenant}"), "subject: must be user, session, email, device, or an object"},
		{"unknown member", rule("{event: account.deleted, set: {reason: x}}"), "acme.yaml:10: formats.acme.handles.x.events.1: reason is not a member of account.deleted"},
		{"unknown member from", rule("{event: account.deleted, from: {reason: x}}"), "reason is not a member of account.deleted"},
		{"set and from", rule("{event: account.suspended, set: {reason: x}, from: {reason: x}}"), "reason: stands in more than one of set, from and cel"},
		{"required member missing", rule("{event: credential.changed, set: {change_type: delete}}"), "credential_type is missing"},
		{"value outside of the list", rule("{event: credential.changed, set: {change_type: x, credential_type: app}}"), "change_type must be one of create, revoke, update, delete"},
		{"number for a text", rule("{event: assurance.changed, set: {namespace: NIST-IAL, current_level: 2}}"), "current_level must be a string"},
		{"no path", rule("{event: account.suspended, from: {reason: a..b}}"), "from.reason: must be the name of a member"},
		{"two sources", rule("{event: account.suspended, from: {reason: {from: a, set: b}}}"), "must have one of from, param, set and cel"},
		{"unknown reading", rule("{event: account.suspended, from: {reason: {from: a, as: word}}}"), "as: must be one of text, number, time"},
		{"not CEL", rule("{event: account.suspended, when: 'a =='}"), "acme.yaml:10: formats.acme.handles.x.events.1.when: when: column "},
		{"unknown name", rule("{event: account.suspended, when: recrd.a == 1}"), "undeclared reference to 'recrd'"},
		{"condition is a text", rule("{event: account.suspended, when: handle}"), "when: is string, want bool"},
		{"name of a variable", rule("{event: account.suspended, let: {user: '1'}}"), "let.user: must be a new name"},
		{"enabled", rule("{event: account.suspended, enabled: params.limit}"), "enabled: enabled ("},
		{"identifier without its member", "formats: {idme: {user: [{format: iss_sub, sub: x}]}}", "lacks iss, which the format iss_sub has"},
		{"identifier of no format", "formats: {idme: {user: [{format: complex}]}}", "must have a format: account, did, email"},
		{"member of another format", "formats: {idme: {user: [{format: email, email: x, sub: y}]}}", "has a member that the format email has not"},
		{"unmet requirement", "formats: {onelogin: {params: {risk_medium: 50, risk_high: 50}}}", "params: risk_medium and risk_high are from 0 to 100"},
		{"envelope", "formats: {acme: {envelope: {members: [a], list: b}}}", "envelope: must have members, and list, which is one of them"},
		{"nested too deeply", "formats: {acme: {params: {x: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}, record: {handle: a}}}", "params.x: is too large or nested too deeply"},
		{"alias of itself", "formats: {acme: {params: {x: &x [*x]}, record: {handle: a}}}", "is too large or nested too deeply"},
		{"expression too long", rule("{event: account.suspended, when: \"" + strings.Repeat("true && ", 600) + "true\"}"), "expression code point size exceeds limit"},
	} {
		_, err := mapping.New(mapping.Config{Rules: []mapping.RulesFile{{Name: "acme.yaml", YAML: []byte(c.text)}}})
		var fault *mapping.RulesError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// Faults in a block of an expression have the lines of the file, and several are
// told at once.
func TestRulesErrorLines(t *testing.T) {
	text := acme + `      x:
        events:
          - event: account.suspended
            when: |
              true &&
              nobody == 1
            cel:
              reason: "1 +"
      y: {naem: x}
`
	_, err := mapping.New(mapping.Config{Rules: []mapping.RulesFile{{Name: "acme.yaml", YAML: []byte(text)}}})
	if err == nil {
		t.Fatal("got no error, want three")
	}
	for _, want := range []string{"acme.yaml:14: ", "acme.yaml:16: ", "acme.yaml:17: formats.acme.handles.y.naem: is not known"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestParams(t *testing.T) {
	for name, params := range map[string]map[string]map[string]any{
		"unknown format":    {"acme": {"issuer": "https://acme.example"}},
		"unknown parameter": {"idme": {"isuer": "https://acme.example"}},
		"number for a text": {"idme": {"issuer": 7}},
		"no JSON":           {"idme": {"issuer": func() {}}},
		"high below medium": {"onelogin": {"risk_medium": 50, "risk_high": 50}},
		"above 100":         {"onelogin": {"risk_high": 101}},
		"negative":          {"onelogin": {"risk_medium": -1}},
		"text for a number": {"onelogin": {"risk_medium": "much"}},
	} {
		if _, err := mapping.New(mapping.Config{Params: params}); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
	m := newMapper(t, mapping.Config{Params: map[string]map[string]any{"idme": {"issuer": "https://id.example"}}})
	r, err := m.Record("idme", []byte(`{"event":"session.failed","identifier":"u"}`), nil)
	if err != nil || string(r.Subjects[0].Raw()) != `{"format":"iss_sub","iss":"https://id.example","sub":"u"}` {
		t.Errorf("got %v, %v, want the issuer", r.Subjects, err)
	}
}

// What rules can say, one rule each.
func TestRuleOutcomes(t *testing.T) {
	const record = `{"kind":"x","no":"n1","at":"2024-03-15T14:32:10Z","who":"u1","sid":"s1","mail":"jo@example.com","n":5,"f":2.5,
		"ok":true,"list":["a",{"b":"c"}],"deep":{"er":{"v":"w"},"empty":null},"nothing":null,"big":"` + "AbC" + `"}`
	for _, c := range []struct{ name, rule, want string }{
		{"condition true", `{event: account.deleted, when: record.n > 3 && record.ok}`, `{}`},
		{"condition false", `{event: account.deleted, when: record.n > 5}`, ``},
		{"about what is absent nothing is true", `{event: account.deleted, when: record.missing != "x"}`, ``},
		{"null is absent", `{event: account.deleted, when: 'has(record.nothing) || has(record.deep.empty)'}`, ``},
		{"has", `{event: account.deleted, when: 'has(record.deep.er) && !has(record.deep.nope)'}`, `{}`},
		{"or with what is absent", `{event: account.deleted, when: record.missing == 1 || record.n == 5}`, `{}`},
		{"optional", `{event: account.suspended, cel: {reason: "record.?missing.orValue('none')"}}`, `{"reason":"none"}`},
		{"optional that is absent", `{event: account.suspended, cel: {reason: "record.?missing"}}`, `{}`},
		{"needs", `{event: account.deleted, needs: deep.er.v}`, `{}`},
		{"needs what is absent", `{event: account.deleted, needs: [n, missing]}`, ``},
		{"any", `{event: account.deleted, any: [missing, n]}`, `{}`},
		{"any of what is absent", `{event: account.deleted, any: [missing, nothing]}`, ``},
		{"not enabled", `{event: account.deleted, enabled: false}`, ``},
		{"enabled by a parameter", `{event: account.deleted, enabled: params.limit == 3}`, `{}`},
		{"path", `{event: account.suspended, from: {reason: deep.er.v}}`, `{"reason":"w"}`},
		{"path into a list", `{event: account.suspended, from: {reason: list.1.b}}`, `{"reason":"c"}`},
		{"path beyond a list", `{event: account.suspended, from: {reason: list.7}}`, `{}`},
		{"path through a text", `{event: account.suspended, from: {reason: who.x}}`, `{}`},
		{"the first that is there", `{event: account.suspended, from: {reason: [missing, nothing, who]}}`, `{"reason":"u1"}`},
		{"number as text", `{event: account.suspended, from: {reason: {from: n, as: number, prefix: "no "}}}`, `{"reason":"no 5"}`},
		{"a value", `{event: account.suspended, cel: {reason: "handle + '/' + id + '/' + user + session"}}`, `{"reason":"x/n1/s1"}`},
		{"text and lower", `{event: account.suspended, cel: {reason: "lower(record.big) + text(record.n) + text(record.f) + text(record.ok) + text(record.list)"}}`, `{"reason":"abc52.5true"}`},
		{"names", `{event: account.suspended, let: {a: record.n + 1, b: a * 2}, when: b == 12, cel: {reason: text(b)}}`, `{"reason":"12"}`},
		{"a name of what is absent is null", `{event: account.suspended, let: {a: record.missing}, when: a == null}`, `{}`},
		{"time", `{event: account.suspended, cel: {reason: "string(time)"}}`, `{"reason":"2024-03-15T14:32:10Z"}`},
		{"names that nobody needs", `{event: account.deleted, let: {a: 1 / 0}, when: record.n == 5 || a == 1}`, `{}`},
		{"level", `{event: account.suspended, cel: {reason: "level(4, 5, 9) + level('5', 5, 9) + level(9.5, 5, 9) + level(null, 5, 9) + level(5, 0, 0) + level(5, 0, 9) + level(5, 5, 0)"}}`, `{"reason":"LOWMEDIUMHIGHLOWMEDIUM"}`},
		{"objects and lists", `{event: claims.changed, cel: {claims: "{'b': record.list, 'a': record.deep, 'n': [1, 2.5, true, 'x']}"}}`, `{"claims":{"a":{"er":{"v":"w"},"empty":null},"b":["a",{"b":"c"}],"n":[1,2.5,true,"x"]},"event_timestamp":1710513130}`},
		{"comparison of objects", `{event: account.deleted, when: "record.deep == {'er': {'v': 'w'}} && size(record.deep) == 1 && 'er' in record.deep && record.list.all(x, x != 7)"}`, `{}`},
		{"walk over an object", `{event: account.deleted, when: "record.deep.exists(k, k == 'er')"}`, `{}`},
		{"constants of all kinds", `{event: claims.changed, set: {claims: {a: 1, b: [x, null, 2.5, 0x10], c: "2024-01-01", d: 2024-01-01}, initiating_entity: null}}`, `{"claims":{"a":1,"b":["x",null,2.5,16],"c":"2024-01-01","d":"2024-01-01"},"event_timestamp":1710513130}`},
		{"reasons by language", `{event: session.revoked, set: {reason_admin: {en: Closed}}}`, `{"event_timestamp":1710513130,"reason_admin":{"en":"Closed"}}`},
		{"type of CEAP", `{event: "` + caep.SessionRevokedType + `"}`, `{"event_timestamp":1710513130}`},
		{"type of others", `{event: "https://acme.example/frozen", set: {b: 1}, from: {a: deep}, cel: {at: time}}`, `{"b":1,"a":{"er":{"v":"w"},"empty":null},"at":1710513130}`},
	} {
		m := newAcme(t, "      x:\n        events:\n          - "+c.rule+"\n")
		r, err := m.Record("acme", []byte(record), nil)
		got := ""
		if len(r.Mapped) == 1 {
			got = string(r.Mapped[0].Payload)
		}
		if err != nil || got != c.want || len(r.Mapped) > 1 {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
	}
}

// A record that a rule cannot be worked out for is not mapped, and the reason
// quotes nothing of it.
func TestRuleFailures(t *testing.T) {
	for _, c := range []struct{ name, rule, want string }{
		{"types", `{event: account.deleted, when: record.who > 3}`, "when (acme.yaml:11): has values of the wrong types"},
		{"no truth", `{event: account.deleted, when: record.who}`, "when (acme.yaml:11): "},
		{"conversion", `{event: account.deleted, when: int(record.who) > 3}`, "when (acme.yaml:11): cannot be evaluated"},
		{"division", `{event: account.suspended, cel: {reason: 1 / record.zero}}`, "reason (acme.yaml:11): divides by zero"},
		{"a name", `{event: account.deleted, let: {a: 1 / record.zero, b: a + 1}, when: b == 1}`, "a (acme.yaml:11): divides by zero"},
		{"a name that grows", `{event: account.deleted, let: {a: "record.text + record.text + record.text + record.text", b: a + a + a + a + a, c: b + b + b}, when: c == ""}`, "b (acme.yaml:11): makes a value that is too large"},
		{"cost", `{event: account.deleted, when: "record.many.all(a, record.many.all(b, record.many.all(c, a + b + c >= 0)))"}`, "when (acme.yaml:11): costs too much"},
		{"large", `{event: account.suspended, let: {a: "record.text + record.text + record.text", b: "a + a + a + a"}, cel: {reason: b + b + b + b}}`, "reason (acme.yaml:11): makes a value that is too large"},
		{"a list that is too long", `{event: account.deleted, when: "record.long.all(x, x == 1)"}`, "when (acme.yaml:11): cannot be evaluated"},
		{"the record itself", `{event: claims.changed, cel: {claims: record}}`, "claims (acme.yaml:11): is the whole record"},
		{"kind", `{event: account.suspended, from: {reason: zero}}`, "zero must be a string"},
		{"empty result of a required member", `{event: credential.changed, set: {change_type: delete}, from: {credential_type: [missing, factor]}}`, "factor is missing"},
		{"no session", `{event: session.revoked, subject: session}`, "sid is missing"},
		{"no device", `{event: session.revoked, subject: device}`, "device is missing"},
		{"no e-mail", `{event: identifier.changed, subject: email}`, "email is missing or not an e-mail address"},
	} {
		m := newAcme(t, "      x:\n        events:\n          - "+c.rule+"\n")
		many := strings.Repeat("1,", 99) + "1"
		r, err := m.Record("acme", fmt.Appendf(nil, `{"kind":"x","who":"secret","zero":0,"many":[%s],"long":[%s1],"text":%q}`,
			many, strings.Repeat("1,", 4096), strings.Repeat("x", 1000)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || r.Mapped != nil {
			t.Errorf("%s: got %v, %v, want %q", c.name, r.Mapped, err, c.want)
		}
	}
}

// A rule that asks for the past is left alone where nobody can tell it.
func TestRuleOfThePast(t *testing.T) {
	m := newAcme(t, "      x: {events: [{event: account.deleted, past: true}]}\n")
	for previous, want := range map[mapping.Previous]int{nil: 0, &nothing{}: 1} {
		if r, err := m.Record("acme", []byte(`{"kind":"x","who":"u"}`), previous); err != nil || len(r.Mapped) != want {
			t.Errorf("%v: got %v, %v, want %d events", previous, r.Mapped, err, want)
		}
	}
}

type nothing struct{}

func (*nothing) Previous(mapping.Key) (string, bool) { return "", false }

// A rule can name nobody although the record says who acted.
func TestNobodyActed(t *testing.T) {
	m := newMapper(t, mapping.Config{Rules: []mapping.RulesFile{{Name: "x.yaml", YAML: []byte(
		`formats: {onelogin: {handles: {"7": {events: [{event: session.revoked, set: {initiating_entity: null}}]}}}}`)}}})
	r, err := m.Record("onelogin", []byte(`{"event_type_id":7,"account_id":1,"user_id":5,"actor_user_id":5}`), nil)
	if err != nil || len(r.Mapped) != 1 || string(r.Mapped[0].Payload) != "{}" {
		t.Errorf("got %v, %v, want nobody", r.Mapped, err)
	}
}

// What there is no time of has none: a value of it is left out.
func TestRecordWithoutTime(t *testing.T) {
	m := newAcme(t, "      x: {events: [{event: 'https://acme.example/x', cel: {at: time}}, {event: session.revoked}]}\n")
	r, err := m.Record("acme", []byte(`{"kind":"x","who":"u"}`), nil)
	if err != nil || len(r.Mapped) != 2 || string(r.Mapped[0].Payload) != "{}" || string(r.Mapped[1].Payload) != "{}" {
		t.Errorf("got %v, %v, want two events without a time", r.Mapped, err)
	}
}

// A record that cannot be mapped still tells of whom it speaks: who is to be
// forgotten must be found in it.
func TestUserOfBrokenRecords(t *testing.T) {
	m := newMapper(t, mapping.Config{})
	for _, raw := range []string{
		`{"event":7,"identifier":"u","email":"jo@example.com"}`,
		`{"event":"session.signout","identifier":"u","email":"jo@example.com","tracked_at":"yesterday"}`,
		`{"event":"session.signout","identifier":7,"email":"jo@example.com"}`,
	} {
		r, err := m.Record("idme", []byte(raw), nil)
		if err == nil || len(r.Subjects) == 0 || r.Attributes.Email != "jo@example.com" {
			t.Errorf("%s: got %v, %+v, %v, want an error, the user and the address", raw, r.Subjects, r.Attributes, err)
		}
	}
}

// Whom an event is about.
func TestRuleSubjects(t *testing.T) {
	for _, c := range []struct{ name, subject, want string }{
		{"an identifier", `{format: email, email: mail}`, `{"format":"email","email":"jo@example.com"}`},
		{"opaque", `{format: opaque, id: {cel: "'t-' + record.no"}}`, `{"format":"opaque","id":"t-n1"}`},
		{"complex", `{complex: {user: user, session: session, tenant: {format: opaque, id: {set: t1}}}}`, `{"format":"complex","session":{"format":"opaque","id":"s1"},"tenant":{"format":"opaque","id":"t1"},"user":{"format":"iss_sub","iss":"https://id.acme.example","sub":"u1"}}`},
		{"without the user", `{complex: {session: session}}`, `{"format":"complex","session":{"format":"opaque","id":"s1"}}`},
	} {
		m := newAcme(t, "      x:\n        events:\n          - {event: session.revoked, subject: "+c.subject+"}\n")
		r, err := m.Record("acme", []byte(`{"kind":"x","no":"n1","who":"u1","sid":"s1","mail":"jo@example.com"}`), nil)
		if err != nil || len(r.Mapped) != 1 || len(r.Mapped[0].Subjects) != 1 || string(r.Mapped[0].Subjects[0].Raw()) != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.name, r.Mapped, err, c.want)
		}
	}
}

// Files are laid over each other: what a later one says of a handle holds, the
// rest stays.
func TestRulesOverRules(t *testing.T) {
	m := newMapper(t, mapping.Config{Rules: []mapping.RulesFile{
		{Name: "a.yaml", YAML: []byte(acme + "      x: {name: First, category: security, events: [{event: account.deleted}]}\n      y: {events: [{event: account.deleted}]}\n    every:\n      extra: {event: opt_in, needs: who}\n")},
		{Name: "b.yaml", YAML: []byte("formats:\n  acme:\n    params: {issuer: 'https://b.example'}\n    handles: {x: {name: Second, events: []}, z: {events: []}}\n    every: {extra: {enabled: false}}\n")},
		{Name: "c.yaml", YAML: []byte("formats:\n  acme:\n    handles: {w: {events: [{event: opt_in, enabled: false}]}}\n    every: {more: {event: opt_in, needs: who}}\n")},
		{Name: "d.yaml", YAML: []byte("formats:\n  acme:\n    every: {more: {event: opt_out_initiated, needs: missing}}\n")},
	}})
	types := m.Types()
	x, y, z := typeOf(types, "acme:x"), typeOf(types, "acme:y"), typeOf(types, "acme:z")
	if x.Name != "Second" || x.Category != "security" || len(x.Events) != 1 || len(y.Events) != 2 || z.ID == "" {
		t.Errorf("got %+v, %+v, %+v, want the second name, the first category, and no event of x but that of every record", x, y, z)
	}
	if w := typeOf(types, "acme:w"); !slices.Equal(w.Events, []string{risc.OptOutInitiatedType}) {
		t.Errorf("got %v, want the event of every record, from the last file, and none that is not enabled", w.Events)
	}
	r, err := m.Record("acme", []byte(`{"kind":"x","who":"u"}`), nil)
	if err != nil || r.Mapped != nil || !strings.Contains(string(r.Subjects[0].Raw()), "https://b.example") {
		t.Errorf("got %v, %v, %v, want the issuer of the second file and no event", r.Mapped, r.Subjects, err)
	}
	if got, want := m.Formats(), []string{"idme", "onelogin", "fingerprint", "acme"}; !slices.Equal(got, want) {
		t.Errorf("got formats %v, want %v", got, want)
	}
}

// What one mapper's rules change, others do not see.
func TestMappersAreApart(t *testing.T) {
	before := newMapper(t, mapping.Config{})
	want := before.Types()
	newMapper(t, mapping.Config{
		Rules: []mapping.RulesFile{{Name: "x.yaml", YAML: []byte(`formats:
  idme:
    title: Other
    record: {session: other}
    user: []
    attributes: {email: other, signals: {vpn: vpn}}
    groups: {session: other}
    handles:
      session.signout: {name: Other, category: other, events: []}
      session.new: {name: New}
  onelogin: {acted: {}, envelope: {members: [a], list: a}}
  fingerprint: {every: {device_risk: {enabled: false}, tampering: {enabled: true}, more: {event: opt_in}}}
`)}},
		Params: map[string]map[string]any{"onelogin": {"risk_high": 80}},
	})
	for name, m := range map[string]*mapping.Mapper{"before": before, "after": newMapper(t, mapping.Config{})} {
		if got := m.Types(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got another catalogue, want that of the built-in rules", name)
		}
		checkGolden(t, m, "idme.json")
		checkGolden(t, m, "onelogin.json")
		checkGolden(t, m, "fingerprint.json")
	}
}
