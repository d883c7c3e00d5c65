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
	if len(blocks) != 4 {
		t.Fatalf("got %d examples, want rules, what is often wanted, and tests", len(blocks)-1)
	}
	example, _, _ := strings.Cut(blocks[1], "```\n")
	tests, _, _ := strings.Cut(blocks[3], "```\n")
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

// What is often wanted can be had as it is written there.
func TestDocumentedOverlay(t *testing.T) {
	text, err := os.ReadFile("../../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "## Often wanted")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	overlay, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("got no example, want one")
	}
	file := mapping.RulesFile{Name: "often.yaml", YAML: []byte(overlay)}
	m := newMapper(t, mapping.Config{Rules: []mapping.RulesFile{file}})
	sessions := newMapper(t, mapping.Config{Rules: []mapping.RulesFile{file}, Params: map[string]map[string]any{"fingerprint": {"issuer": ""}}})
	const level = "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change#current_level"
	for _, c := range []struct {
		m                    *mapping.Mapper
		format, record, want string
	}{
		{m, "idme", `{"event":"session.signin","identifier":"u","session":"s","fingerprint":"fp"}`, `{"fp_ua":"fp"}`},
		{m, "idme", `{"event":"2fa.revoke","identifier":"u"}`, `{"credential_type":"app","change_type":"delete"}`},
		{m, "idme", `{"event":"verification.complete","identifier":"u"}`, `{"namespace":"NIST-IAL","current_level":"2","previous_level":"1"}`},
		{m, "idme", `{"event":"consent.allow","identifier":"u"}`, ``},
		{m, "onelogin", `{"event_type_id":5,"user_id":1,"risk_score":40}`, `{"principal":"USER","current_level":"MEDIUM"}`},
		{m, "onelogin", `{"event_type_id":4242,"user_id":1}`, `{}`},
		{m, "fingerprint", `{"event_id":"1","linked_id":"u","suspect_score":30}`, `{"principal":"USER","current_level":"HIGH"}`},
		{m, "fingerprint", `{"event_id":"1","linked_id":"u","replayed":true}`, `{"initiating_entity":"policy"}`},
		{sessions, "fingerprint", `{"event_id":"1","linked_id":"s","bot":"bad"}`, `{"initiating_entity":"policy"}`},
	} {
		r, err := c.m.Record(c.format, []byte(c.record), knowledge{"user/u/" + level: "1"})
		got := ""
		if len(r.Mapped) == 1 {
			got = string(r.Mapped[0].Payload)
		}
		if err != nil || got != c.want || len(r.Mapped) > 1 {
			t.Errorf("%s: got %v, %v, want %s", c.record, r.Mapped, err, c.want)
		}
	}
}
