package mapping_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// The example of docs/mapping.md loads and does what is said beside it.
func TestDocumentedExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")
	if len(blocks) != 3 {
		t.Fatalf("got %d examples, want rules and tests", len(blocks)-1)
	}
	example, _, _ := strings.Cut(blocks[1], "```\n")
	tests, _, _ := strings.Cut(blocks[2], "```\n")
	m := newMapper(t, mapping.Config{Rules: []mapping.RulesFile{{Name: "acme.yaml", YAML: []byte(example)}}})
	r, err := m.Record("acme", []byte(`{"kind":"account.locked","no":17,"at":"2024-03-15T14:32:10Z","who":"u1","mail":"jo@example.com",
		"permanent":true,"why":"hijacking","from":{"ip":"203.0.113.42","vpn":true},"score":81}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Mapped) != 2 || string(r.Mapped[0].Payload) != `{"reason":"hijacking"}` || !strings.Contains(string(r.Mapped[1].Payload), `"HIGH"`) {
		t.Errorf("got %v, want account-disabled with its reason and a risk of HIGH", r.Mapped)
	}
	if r.ID != "17" || len(r.Subjects) != 2 || r.Attributes.Category != "account" || !r.Attributes.Signals["vpn"] || r.Attributes.Address.String() != "203.0.113.42" {
		t.Errorf("got %+v, want its id, two identifiers, category, signal and address", r)
	}
	if got := typeOf(m.Types(), "acme:account.locked"); got.Description != "%user% was locked" || len(got.Events) != 2 {
		t.Errorf("got %+v, want it in the catalogue with two events", got)
	}
	results, err := m.Test(mapping.RulesFile{Name: "acme_test.yaml", YAML: []byte(tests)})
	if err != nil || len(results) != 2 {
		t.Fatalf("got %v, %v, want two tests", results, err)
	}
	for _, r := range results {
		if len(r.Failures) > 0 {
			t.Errorf("%s: got %v, want it to pass", r.Name, r.Failures)
		}
	}
}
