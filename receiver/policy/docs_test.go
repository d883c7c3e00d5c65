package policy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// The rules in docs/policy.md can be loaded, and their tests pass.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	known := policy.Known{Hooks: []string{"redis", "webhook"}, Issuers: map[string]string{"okta": "https://org.okta.com"}}
	n := 0
	for block := range strings.SplitSeq(string(text), "```yaml\n") {
		yaml, _, ok := strings.Cut(block, "```")
		if !ok || !strings.HasPrefix(yaml, "rules:") {
			continue
		}
		n++
		rules, err := policy.Load(known, policy.Source{Name: "policy.md", YAML: []byte(yaml)})
		if err != nil {
			t.Errorf("got error %v, want none of\n%s", err, yaml)
			continue
		}
		for _, r := range rules.Test() {
			for _, f := range r.Failures {
				t.Errorf("%s: %s", r.Name, f)
			}
		}
	}
	if n != 2 {
		t.Errorf("got %d blocks of rules, want 2", n)
	}
}

// The table of default rules in docs/policy.md has every rule and every type.
func TestDocsOfDefaults(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range load(t, "", "redis").Names() {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("got no row of the default rule %s, want one", name)
		}
	}
	for name := range policy.Names() {
		if !strings.Contains(string(text), name) {
			t.Errorf("got no word of %s, want where it leads", name)
		}
	}
}
