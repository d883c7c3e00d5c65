package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

const maxTests = 10_000 // of a file

// TestResult is what became of a test of rules.
type TestResult struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Name     string   `json:"name"`
	Failures []string `json:"failures"` // "got …, want …"; none: it passed
}

// ruleTest is a test of rules: a record, what was known before, and what shall
// become of it. Of want only what is given is compared.
type ruleTest struct {
	at       *yaml.Node
	name     string
	format   string
	record   json.RawMessage
	previous asked
	want     wanted
}

type wanted struct {
	given      bool
	handle, id *string
	time       *string
	consent    *string
	failure    *string
	subjects   json.RawMessage
	attributes map[string]json.RawMessage
	events     []wantedEvent
	hasEvents  bool
}

type wantedEvent struct {
	eventType string
	subjects  json.RawMessage
	payload   json.RawMessage
}

// Test runs the tests that stand under "tests" in rules files, each by its own:
//
//	tests:
//	  - name: a sign-out ends the session
//	    format: idme
//	    record: {event: session.signout, identifier: u1, session: s1}
//	    previous: {device: {fp1: {signal.frida: "false"}}}
//	    want:
//	      events: [{type: session.revoked, payload: {initiating_entity: user}}]
//
// The error has the faults of the files, each a [*RulesError].
func (m *Mapper) Test(files ...RulesFile) ([]TestResult, error) {
	results := []TestResult{}
	s := &ruleset{m: m, formats: m.formats}
	for _, file := range files {
		for _, t := range s.tests(file) {
			results = append(results, TestResult{file.Name, t.at.Line, t.name, m.failures(t)})
		}
	}
	return results, s.err()
}

// BuiltInTests are the files with the tests of the built-in rules.
func BuiltInTests() ([]RulesFile, error) {
	var files []RulesFile
	for _, name := range []string{FormatIDme, FormatOneLogin, FormatFingerprint} {
		name += "_test.yaml"
		text, err := builtIn.ReadFile("rules/" + name)
		if err != nil {
			return nil, fmt.Errorf("mapping: %w", err)
		}
		files = append(files, RulesFile{name, text})
	}
	return files, nil
}

// tests reads the tests of a file.
func (s *ruleset) tests(file RulesFile) []ruleTest {
	root := s.root(file)
	if root == nil {
		return nil
	}
	var tests []ruleTest
	s.Object(root, yamlfile.Keys{
		"formats": func(*yaml.Node) {}, // see load.go
		"tests": func(n *yaml.Node) {
			s.List(n, maxTests, func(n *yaml.Node) {
				before := len(s.Faults)
				if t := s.test(n); len(s.Faults) == before {
					tests = append(tests, t)
				}
			})
		},
	})
	return tests
}

func (s *ruleset) test(n *yaml.Node) ruleTest {
	t := ruleTest{at: n}
	s.Object(n, yamlfile.Keys{
		"name": func(n *yaml.Node) { t.name = s.Text(n) },
		"format": func(n *yaml.Node) {
			if t.format = s.Text(n); t.format != "" && s.formats[t.format] == nil {
				s.Fail(n, "there is no format of that name")
			}
		},
		"record": func(n *yaml.Node) {
			if n.Kind == yaml.ScalarNode { // JSON as it was sent
				t.record = json.RawMessage(n.Value)
				return
			}
			t.record = s.json(n)
		},
		"previous": func(n *yaml.Node) { t.previous = s.asked(n) },
		"want":     func(n *yaml.Node) { t.want = s.wanted(n) },
	})
	if t.name == "" || t.format == "" || t.record == nil || !t.want.given {
		s.Fail(n, "a test must have name, format, record, and a want that says something")
	}
	return t
}

// asked is what a test says was known before. Its keys are user or device, the
// id, and the dimension as in an expression.
type asked struct {
	m      *Mapper
	values map[string]map[string]map[string]string
}

func (s *ruleset) asked(n *yaml.Node) asked {
	a := asked{s.m, map[string]map[string]map[string]string{}}
	whose := func(kind string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			a.values[kind] = map[string]map[string]string{}
			s.Each(n, func(id string, _, value *yaml.Node) {
				a.values[kind][id] = map[string]string{}
				s.Each(value, func(dimension string, _, value *yaml.Node) { a.values[kind][id][dimension] = s.Text(value) })
			})
		}
	}
	s.Object(n, yamlfile.Keys{"user": whose("user"), "device": whose("device")})
	return a
}

// Previous looks it up.
func (a asked) Previous(of Key) (string, bool) {
	kind, id, dimension := "user", of.Identifier, of.Dimension
	if of.Fingerprint != "" {
		kind, id = "device", of.Fingerprint
	}
	for _, n := range a.m.named {
		if i := slices.IndexFunc(n.Members, func(m Member) bool { return m.Target == of.Member }); n.Type == of.Dimension && i >= 0 {
			dimension = n.Name + "/" + n.Members[i].Name
		}
	}
	value, known := a.values[kind][id][dimension]
	return value, known
}

func (s *ruleset) wanted(n *yaml.Node) wanted {
	var w wanted
	text := func(into **string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			value := n.Value
			if n.Kind != yaml.ScalarNode {
				s.Fail(n, "must be a text")
			}
			*into, w.given = &value, true
		}
	}
	s.Object(n, yamlfile.Keys{
		"handle":   text(&w.handle),
		"id":       text(&w.id),
		"time":     text(&w.time),
		"consent":  text(&w.consent),
		"error":    text(&w.failure),
		"subjects": func(n *yaml.Node) { w.subjects, w.given = s.json(n), true },
		"attributes": func(n *yaml.Node) {
			w.attributes = map[string]json.RawMessage{}
			s.Each(n, func(name string, at, value *yaml.Node) {
				w.attributes[name], w.given = s.json(value), true
			})
		},
		"events": func(n *yaml.Node) {
			w.hasEvents, w.given = true, true
			s.List(n, maxMembers, func(n *yaml.Node) {
				var e wantedEvent
				s.Object(n, yamlfile.Keys{
					"type":     func(n *yaml.Node) { e.eventType = s.Text(n) },
					"subjects": func(n *yaml.Node) { e.subjects = s.json(n) },
					"payload":  func(n *yaml.Node) { e.payload = s.json(n) },
				})
				if e.eventType == "" {
					s.Fail(n, "must have a type")
				}
				if named := s.m.named[e.eventType]; named != nil {
					e.eventType = named.Type
				}
				w.events = append(w.events, e)
			})
		},
	})
	return w
}

// failures runs a test and says what is not as it shall be.
func (m *Mapper) failures(t ruleTest) []string {
	failures := []string{}
	differ := func(what, got, want string) {
		failures = append(failures, fmt.Sprintf("%s: got %s, want %s", what, got, want))
	}
	var previous Previous
	if t.previous.m != nil {
		previous = t.previous
	}
	r, _, err := m.Explain(t.format, t.record, previous)
	failure := "none"
	if err != nil {
		failure = strings.TrimPrefix(err.Error(), "mapping: ")
	}
	switch {
	case err != nil && t.want.failure == nil:
		differ("error", failure, "none")
	case t.want.failure != nil && (err == nil || !strings.Contains(failure, *t.want.failure)):
		differ("error", failure, fmt.Sprintf("one with %q", *t.want.failure))
	}
	when := ""
	if !r.Time.IsZero() {
		when = r.Time.Format(time.RFC3339Nano)
	}
	for _, c := range []struct {
		what, got string
		want      *string
	}{{"handle", r.Handle, t.want.handle}, {"id", r.ID, t.want.id}, {"time", when, t.want.time}, {"consent", r.Consent, t.want.consent}} {
		if c.want != nil && c.got != *c.want {
			differ(c.what, fmt.Sprintf("%q", c.got), fmt.Sprintf("%q", *c.want))
		}
	}
	if t.want.subjects != nil {
		compare("subjects", identifiersJSON(r.Subjects), t.want.subjects, differ)
	}
	var attributes map[string]json.RawMessage
	all, _ := json.Marshal(r.Attributes) // of texts, numbers and truth values
	_ = json.Unmarshal(all, &attributes) // it was made above
	for name, want := range t.want.attributes {
		compare("attributes."+name, attributes[name], want, differ)
	}
	if t.want.hasEvents {
		m.compareEvents(r, t.want.events, differ)
	}
	slices.Sort(failures)
	return failures
}

func (m *Mapper) compareEvents(r Record, want []wantedEvent, differ func(what, got, want string)) {
	types := func(n int, of func(i int) string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = of(i)
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	got := types(len(r.Mapped), func(i int) string { return r.Mapped[i].Type })
	if w := types(len(want), func(i int) string { return want[i].eventType }); got != w {
		differ("events", got, w)
		return
	}
	for i, w := range want {
		what := fmt.Sprintf("events.%d", i+1)
		if w.payload != nil {
			compare(what+".payload", r.Mapped[i].Payload, w.payload, differ)
		}
		if w.subjects != nil {
			ids := r.Mapped[i].Subjects
			if ids == nil {
				ids = r.Subjects
			}
			compare(what+".subjects", identifiersJSON(ids), w.subjects, differ)
		}
	}
}

// compare compares two JSON values; null is absent.
func compare(what string, got, want json.RawMessage, differ func(what, got, want string)) {
	value := func(raw json.RawMessage) (v any) {
		dec := json.NewDecoder(bytes.NewReader(raw))
		if dec.Decode(&v) != nil {
			return nil
		}
		return v
	}
	if !reflect.DeepEqual(value(got), value(want)) {
		if got == nil {
			got = json.RawMessage("none")
		}
		differ(what, string(got), string(want))
	}
}

func identifiersJSON(ids []subject.Identifier) json.RawMessage {
	b := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, id.Raw()...)
	}
	return append(b, ']')
}

// Detect returns the formats that a record may have: those by which it says what
// happened in a word that is known, and its id or when.
func (m *Mapper) Detect(raw []byte) []string {
	var formats []string
	for _, name := range m.order {
		r, x, _ := m.Explain(name, raw, nil)
		if x.Known && (r.ID != "" || !r.Time.IsZero()) {
			formats = append(formats, name)
		}
	}
	return formats
}
