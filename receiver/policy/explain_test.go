package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

const explained = `
rules:
  - name: elsewhere
    when: {issuer: https://other.example}
    do: end
  - name: risky
    when: {type: risk-level-change, if: 'event.current_level == "HIGH" && (has(event.reason) || event.scores[0] > 5) && [1, 2].exists(n, n == event.n)'}
    do: {effect: end, hooks: redis}
  - name: riskier
    when: {if: event.gone.further == 1}
    do: deny
  - name: one session
    when: {scope: session}
    do: end
  - name: riskiest
    when: {if: event.current_level > 7}
    do: deny
`

func TestExplain(t *testing.T) {
	w := newWorld(t, explained, nil, "redis", "sql")
	d := delivery("a", caep.RiskLevelChangeType, `{"current_level":"HIGH","scores":[7],"n":2}`, 0)
	x, err := w.Explain(t.Context(), "", d)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []policy.Step{
		{Rule: "elsewhere", Line: 3, Why: "another issuer"},
		{Rule: "risky", Line: 6, Matched: true},
		{Rule: "riskier", Line: 9, Why: "if speaks of a member that is absent"},
		{Rule: "one session", Line: 12, Why: "the scope is user"},
		{Rule: "riskiest", Line: 15, Why: "if has values of the wrong types for an operation"},
		{Rule: "session-revoked", Line: 10, Why: "another event type"},
	} {
		if got := x.Rules[i]; got.Rule != want.Rule || got.Matched != want.Matched || got.Why != want.Why || want.Rule != "session-revoked" && got.Line != want.Line {
			t.Errorf("step %d: got %+v, want %+v", i+1, got, want)
		}
	}
	values := map[string]string{}
	for _, v := range append(x.Rules[1].Values, x.Rules[2].Values...) {
		values[v.Expression] = v.Value
	}
	for expression, want := range map[string]string{
		"event.current_level": `"HIGH"`, "has(event.reason)": "false", "event.scores[0]": "7",
		"[1, 2].exists(n, n == event.n)": "true", "event.gone.further": "absent",
	} {
		if values[expression] != want {
			t.Errorf("value of %s: got %q of %q, want %q", expression, values[expression], values, want)
		}
	}
	var text strings.Builder
	if _, err := x.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		caep.RiskLevelChangeType, "about one user, sessions begun until 2023-11-14T22:13:20Z",
		"risky (rules.yaml:6)  matches", `event.current_level = "HIGH"`, "redis: end (rule risky)", "sql: notify (rule told)", "becomes a dead letter: rule \"riskiest\"",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got no %q in the text, want it:\n%s", want, &text)
		}
	}
	w.hooks["redis"].wants(t, "Explain asks nobody")
	if b, err := json.Marshal(x); err != nil || !strings.Contains(string(b), `"hooks":[{"hook":"redis","effect":"end","rule":"risky"},`) {
		t.Errorf("got %s %v, want the hooks as JSON", b, err)
	}
}

// It knows what was done before, and what is outdated.
func TestExplainKnown(t *testing.T) {
	w := newWorld(t, "", func(cfg *policy.Config) { cfg.DryHooks = []string{"sql"} }, "redis", "sql")
	w.done(t, disabled("d", 10))
	for _, tt := range []struct {
		id   string
		want policy.Asked
	}{
		{"d", policy.Asked{Hook: "redis", Effect: "deny", Rule: "account-disabled", Known: "done"}},
		{"e", policy.Asked{Hook: "redis", Effect: "allow", Rule: "account-enabled", Known: "outdated", Note: "a newer event denied"}},
	} {
		d := disabled("d", 10)
		if tt.id == "e" {
			d = enabled("e", 5)
		}
		x, err := w.Explain(t.Context(), "", d)
		if err != nil || len(x.Hooks) != 2 || x.Hooks[0] != tt.want || !x.Hooks[1].Dry {
			t.Errorf("%s: got %+v %v, want %+v and a dry one", tt.id, x.Hooks, err, tt.want)
		}
	}
	w.hooks["redis"].wants(t, "in all", hooks.Deny)
}
