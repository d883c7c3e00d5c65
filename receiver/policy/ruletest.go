package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// TestResult is what became of a test of rules.
type TestResult struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Name     string   `json:"name"`
	Failures []string `json:"failures"` // "got …, want …"; none: it passed
}

// ruleTest is a test of rules: an event, and what shall be done about it. Of want only
// what is given is compared.
type ruleTest struct {
	name, file string
	line       int
	feed       string
	now        time.Time
	d          receiver.Delivery
	rules      []string // that match; nil: not compared
	do         map[string][]string
	hasDo      bool
	failure    string // the condition that cannot be told
}

// Test runs the tests that stand under "tests" in the sources, and those of the default
// rules if all of them are there. "all" in a test is what all hooks are:
//
//	tests:
//	  - name: a high risk ends the sessions
//	    event: {type: risk-level-change, payload: {current_level: HIGH}}
//	    subject: {format: email, email: jo@example.com}
//	    want: {rules: [high-risk], do: {end: all}}
func (r *Rules) Test() []TestResult {
	results := []TestResult{}
	for _, t := range r.tests {
		results = append(results, TestResult{t.file, t.line, t.name, r.failures(t)})
	}
	return results
}

// test reads a test. Those of the default rules are left out unless these hold as they
// are, alone.
func (s *ruleset) test(n *yaml.Node) {
	before := len(s.Faults)
	t := ruleTest{file: s.File, line: n.Line}
	token := &set.Token{Issuer: "https://transmitter.example", ID: "test"}
	hasWant := false
	var from origin
	t.d = receiver.Delivery{ID: token.ID, Attempt: 1, Token: token}
	t.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := map[string]time.Time{}
	moment := func(name string) func(*yaml.Node) { return func(n *yaml.Node) { at[name] = s.time(n) } }
	s.Object(n, yamlfile.Keys{
		"name":     func(n *yaml.Node) { t.name = s.Text(n) },
		"issuer":   func(n *yaml.Node) { from = s.issuer(n, s.Text(n)); token.Issuer = from.iss },
		"feed":     func(n *yaml.Node) { t.feed = s.Text(n) },
		"txn":      func(n *yaml.Node) { token.TransactionID = s.Text(n) },
		"now":      moment("now"),
		"time":     moment("time"),
		"received": moment("received"),
		"issued":   moment("issued"),
		"event":    func(n *yaml.Node) { token.Events = append(token.Events, s.testEvent(n)) },
		"subject":  func(n *yaml.Node) { token.Subject = s.subject(n) },
		"want":     func(n *yaml.Node) { hasWant = s.want(&t, n) },
	})
	if t.name == "" || len(token.Events) == 0 || token.Subject.IsZero() || !hasWant {
		s.Fail(n, "a test must have name, event, subject, and a want that says something")
	}
	if len(s.Faults) > before || s.File == Defaults().Name && len(s.rules) != s.defaultsAlone() {
		return
	}
	if t.feed == "" {
		t.feed = from.name // as a receiver of that name has it
	}
	if now, ok := at["now"]; ok {
		t.now = now
	}
	or := func(name string) time.Time {
		if when, ok := at[name]; ok {
			return when
		}
		return t.now
	}
	token.IssuedAt = or("issued")
	t.d.EventTime, t.d.Received = or("time"), or("received")
	t.d.Issuer, t.d.Type, t.d.TransactionID, t.d.Subject = token.Issuer, token.Type(), token.TransactionID, token.Subject
	s.tests = append(s.tests, t)
}

// defaultsAlone is how many rules there are of the defaults.
func (s *ruleset) defaultsAlone() int {
	n := 0
	for _, r := range s.rules {
		if r.file == Defaults().Name {
			n++
		}
	}
	return n
}

func (s *ruleset) time(n *yaml.Node) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if err != nil {
		s.Fail(n, "must be a time such as 2026-01-31T12:00:00Z")
	}
	return t
}

// testEvent reads {type, payload}; a type by itself has an empty payload.
func (s *ruleset) testEvent(n *yaml.Node) set.Event {
	event := set.Event{Payload: json.RawMessage("{}")}
	if n.Kind == yaml.ScalarNode {
		event.Type = s.eventType(n, s.Text(n))
		return event
	}
	s.Object(n, yamlfile.Keys{
		"type":    func(n *yaml.Node) { event.Type = s.eventType(n, s.Text(n)) },
		"payload": func(n *yaml.Node) { event.Payload = s.json(n) },
	})
	if event.Type == "" {
		s.Fail(n, "must have a type")
	}
	return event
}

func (s *ruleset) subject(n *yaml.Node) subject.Identifier {
	id, err := subject.Parse(s.json(n))
	if err != nil {
		s.Fail(n, "is no subject: %v", err)
	}
	return id
}

// json returns a value as JSON.
func (s *ruleset) json(n *yaml.Node) json.RawMessage {
	var v any
	if err := n.Decode(&v); err != nil {
		s.Fail(n, "is no value: %v", err)
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil || n.Kind != yaml.MappingNode {
		s.Fail(n, "must be an object with names that are texts")
		return nil
	}
	return b
}

// want reads what shall be done and reports whether that says something.
func (s *ruleset) want(t *ruleTest, n *yaml.Node) bool {
	given := false
	s.Object(n, yamlfile.Keys{
		"rules": func(n *yaml.Node) {
			t.rules, given = []string{}, true
			s.List(n, maxRules, func(n *yaml.Node) { t.rules = append(t.rules, s.Text(n)) })
		},
		"error": func(n *yaml.Node) { t.failure, given = s.Text(n), true },
		"do": func(n *yaml.Node) {
			t.do, t.hasDo, given = map[string][]string{}, true, true
			if n.Kind == yaml.ScalarNode && n.Value == none {
				return
			}
			s.Each(n, func(effect string, at, value *yaml.Node) {
				if !slices.Contains(hooks.Effects(), hooks.Effect(effect)) {
					s.Fail(at, "is no effect; known are %s", effectNames())
				}
				t.do[effect] = slices.Sorted(slices.Values(s.hookNames(value)))
			})
		},
	})
	return given
}

// failures runs a test and says what is not as it shall be.
func (r *Rules) failures(t ruleTest) []string {
	failures := []string{}
	differ := func(what, got, want string) {
		failures = append(failures, fmt.Sprintf("%s: got %s, want %s", what, got, want))
	}
	matched := []string{}
	list, errs := r.choose(inputOf(t.feed, t.d, t.now), func(s Step) {
		if s.Matched {
			matched = append(matched, s.Rule)
		}
	})
	if t.rules != nil && !slices.Equal(matched, t.rules) {
		differ("rules", fmt.Sprint(matched), fmt.Sprint(t.rules))
	}
	do := map[string][]string{}
	for _, c := range list {
		do[string(c.effect)] = append(do[string(c.effect)], c.hook)
	}
	if t.hasDo && !maps.EqualFunc(do, t.do, slices.Equal[[]string]) {
		differ("do", doText(do), doText(t.do))
	}
	failure := "none"
	if len(errs) > 0 {
		failure = strings.TrimPrefix(errs[0].Error(), "policy: ")
	}
	if (t.failure == "") != (len(errs) == 0) || !strings.Contains(failure, t.failure) && t.failure != "" {
		want := "none"
		if t.failure != "" {
			want = fmt.Sprintf("one with %q", t.failure)
		}
		differ("error", failure, want)
	}
	return failures
}

func doText(do map[string][]string) string {
	if len(do) == 0 {
		return none
	}
	var parts []string
	for _, effect := range slices.Sorted(maps.Keys(do)) {
		parts = append(parts, effect+": "+strings.Join(do[effect], " "))
	}
	return strings.Join(parts, ", ")
}
