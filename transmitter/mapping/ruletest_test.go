package mapping_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// The built-in rules pass their tests.
func TestBuiltInTests(t *testing.T) {
	files, err := mapping.BuiltInTests()
	if err != nil {
		t.Fatal(err)
	}
	results, err := newMapper(t, mapping.Config{}).Test(files...)
	if err != nil || len(results) < 12 {
		t.Fatalf("got %d tests, %v, want 12 or more", len(results), err)
	}
	for _, r := range results {
		for _, f := range r.Failures {
			t.Errorf("%s:%d: %s: %s", r.File, r.Line, r.Name, f)
		}
	}
}

// Each thing that a test may want is compared.
func TestRuleTestsFail(t *testing.T) {
	const test = `tests:
  - name: x
    format: idme
    record: {event: session.signout, identifier: u, session: s, tracked_at: "2024-03-15T14:32:10Z"}
    want: `
	m := newMapper(t, mapping.Config{})
	for want, failure := range map[string]string{
		`{handle: other}`:                                    `handle: got "session.signout", want "other"`,
		`{id: "7"}`:                                          `id: got "", want "7"`,
		`{time: "2024-03-15T14:32:11Z"}`:                     `time: got "2024-03-15T14:32:10Z", want "2024-03-15T14:32:11Z"`,
		`{error: session}`:                                   `error: got none, want one with "session"`,
		`{subjects: []}`:                                     `subjects: got [{"format":"iss_sub"`,
		`{attributes: {category: security}}`:                 `attributes.category: got "authentication", want "security"`,
		`{attributes: {linked_id: x}}`:                       `attributes.linked_id: got none, want "x"`,
		`{events: []}`:                                       `session-revoked], want []`,
		`{events: [{type: account.deleted}]}`:                `event-type/account-purged]`,
		`{events: [{type: session.revoked, payload: {}}]}`:   `events.1.payload: got {"event_timestamp":1710513130,"initiating_entity":"user"}, want {}`,
		`{events: [{type: session.revoked, subjects: [x]}]}`: `events.1.subjects: got [{"format":"complex"`,
		`{events: [{type: session.revoked}]}`:                ``,
		`{attributes: {linked_id: null}}`:                    ``,
	} {
		results, err := m.Test(mapping.RulesFile{Name: "x.yaml", YAML: []byte(test + want + "\n")})
		if err != nil || len(results) != 1 || results[0].Line != 2 {
			t.Errorf("%s: got %v, %v, want one result of line 2", want, results, err)
			continue
		}
		got := strings.Join(results[0].Failures, "; ")
		if failure == "" && got != "" || !strings.Contains(got, failure) {
			t.Errorf("%s: got %s, want %q", want, got, failure)
		}
	}
	failing := strings.Replace(test, "session: s,", "", 1)
	results, err := m.Test(mapping.RulesFile{Name: "x.yaml", YAML: []byte(failing + "{handle: session.signout}\n")})
	if err != nil || len(results) != 1 || !slices.Contains(results[0].Failures, "error: got session is missing, want none") {
		t.Errorf("got %v, %v, want an error that nobody wanted to be a failure", results, err)
	}
}

func TestRuleTestsFaults(t *testing.T) {
	m := newMapper(t, mapping.Config{})
	for text, want := range map[string]string{
		"tests: [{name: x, format: idme, record: {}}]":                                      "x.yaml:1: tests.1: a test must have name, format, record, and a want",
		"tests: [{name: x, format: idme, record: {}, want: {}}]":                            "a want that says something",
		"tests: [{name: x, format: acme, record: {}, want: {id: a}}]":                       "tests.1.format: there is no format of that name",
		"tests: [{name: x, format: idme, record: {}, want: {event: a}}]":                    "want.event: is not known here",
		"tests: [{name: x, format: idme, record: {}, want: {events: [{payload: {}}]}}]":     "events.1: must have a type",
		"tests: [{name: x, format: idme, record: {}, previous: {team: {}}, want: {id: a}}]": "previous.team: is not known here",
		"tests: {}": "tests: must be a list",
	} {
		results, err := m.Test(mapping.RulesFile{Name: "x.yaml", YAML: []byte(text)})
		var fault *mapping.RulesError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) || len(results) > 0 {
			t.Errorf("%s: got %v, %v, want %q", text, results, err, want)
		}
	}
}

func TestDetect(t *testing.T) {
	m := newMapper(t, mapping.Config{})
	for raw, want := range map[string][]string{
		`{"event":"session.signin","tracked_at":"2024-03-15T14:32:10Z"}`:     {"idme"},
		`{"event_type_id":7,"id":1}`:                                         {"onelogin"},
		`{"event_id":"1","timestamp":1700000000000}`:                         {"fingerprint"},
		`{"event":"session.unheard_of","tracked_at":"2024-03-15T14:32:10Z"}`: nil,
		`{}`: nil,
		`[`:  nil,
	} {
		if got := m.Detect([]byte(raw)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", raw, got, want)
		}
	}
}

// An explanation tells which rule did what, and where members came from.
func TestExplain(t *testing.T) {
	m := newMapper(t, mapping.Config{Params: map[string]map[string]any{"onelogin": {"risk_high": 80}}})
	r, x, err := m.Explain("onelogin", []byte(`{"id":1,"event_type_id":7,"account_id":1,"user_id":5,"actor_user_id":5,"risk_score":10}`), nil)
	if err != nil || len(r.Mapped) != 1 || !x.Known || len(x.Tried) != 2 {
		t.Fatalf("got %+v, %+v, %v, want one event of two rules", r, x, err)
	}
	if done := x.Tried[0]; !done.Made || done.Rule != "7" || done.File != "onelogin.yaml" || done.Line == 0 || done.Why != "" {
		t.Errorf("got %+v, want that 7 made its event", done)
	}
	if not := x.Tried[1]; not.Made || not.Rule != "risk" || !strings.HasPrefix(not.Why, "when (onelogin.yaml:") || !strings.HasSuffix(not.Why, "is false") {
		t.Errorf("got %+v, want that its condition is false", not)
	}
	for _, want := range []mapping.Origin{
		{Member: "handle", From: "event_type_id"},
		{Member: "subject (iss_sub)", From: "user_id"},
		{Member: "actor", From: "actor_user_id"},
		{Member: "7: initiating_entity", From: "acted"},
	} {
		if !slices.Contains(x.Origins, want) {
			t.Errorf("got %v, want %v among them", x.Origins, want)
		}
	}
	_, x, err = m.Explain("onelogin", []byte(`{"event_type_id":7,"account_id":1}`), nil)
	if err == nil || len(x.Tried) != 1 || x.Tried[0].Why != "user_id is missing" {
		t.Errorf("got %+v, %v, want why 7 failed", x, err)
	}
}

// A mapper is safe for concurrent use, expressions included.
func TestConcurrentRecords(t *testing.T) {
	m := benchMapper(t)
	records := benchRecords(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				for _, r := range records {
					if _, err := m.Record(r.format, r.raw, r.previous); err != nil {
						t.Errorf("%s: got %v, want none", r.name, err)
					}
				}
				m.Types()
			}
		})
	}
	group.Wait()
}
