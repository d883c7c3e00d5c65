package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/ssf"
)

// Every fault names its line, and what would be right.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		line       int
		want       string
	}{
		{"no YAML", "rules:\n- name: [", 2, "is not YAML"},
		{"no object", "- 1", 1, "must be an object"},
		{"unknown key", "rules: []\nrule: []", 2, "known are default_rules, rules, tests"},
		{"unknown key of a rule", "rules:\n- name: a\n  do: end\n  then: x", 4, "known are do, name, stop, when"},
		{"unknown key of when", "rules:\n- name: a\n  do: end\n  when: {typ: x}", 4, "known are if, issuer, scope, type"},
		{"twice", "rules:\n- name: a\n  do: end\n  do: deny", 4, "stands twice"},
		{"no name", "rules:\n- do: end", 2, "lacks name"},
		{"no do", "rules:\n- name: a", 2, "lacks do"},
		{"name taken", "rules:\n- {name: a, do: end}\n- {name: a, do: end}", 3, "rules.yaml:2"},
		{"unknown effect", "rules:\n- name: a\n  do: kill", 3, "known are end, deny, allow, reload, forget, notify"},
		{"no effect", "rules:\n- name: a\n  do: {hooks: all}", 3, "lacks effect"},
		{"unknown hook", "rules:\n- name: a\n  do:\n  - {effect: end, hooks: [redis, sqll]}", 4, `"sqll" is no hook; known are redis, sql`},
		{"no hook", "rules:\n- name: a\n  do:\n  - {effect: end, hooks: []}", 4, "must not be empty"},
		{"unknown type", "rules:\n- name: a\n  do: end\n  when:\n    type: [session-revoked, session-revokt]", 5, `"session-revokt" is no event type`},
		{"control type", "rules:\n- name: a\n  do: end\n  when: {type: verification}", 4, "comes to no hook"},
		{"control type by URI", "rules:\n- name: a\n  do: end\n  when: {type: " + ssf.VerificationType + "}", 4, "comes to no hook"},
		{"unknown issuer", "rules:\n- name: a\n  do: end\n  when: {issuer: okto}", 4, `"okto" is no issuer; known are okta`},
		{"unknown scope", "rules:\n- name: a\n  do: end\n  when: {scope: person}", 4, "must be session, device"},
		{"condition: syntax", "rules:\n- name: a\n  do: end\n  when: {if: event.x = 1}", 4, "Syntax error"},
		{"condition: unknown name", "rules:\n- name: a\n  do: end\n  when: {if: evnt.x == 1}", 4, "undeclared reference to 'evnt'"},
		{"condition: not true or false", "rules:\n- name: a\n  do: end\n  when: {if: issuer}", 4, "is string, want true or false"},
		{"condition: line of a block", "rules:\n- name: a\n  do: end\n  when:\n    if: |\n      has(event.x) &&\n      evnt.x == 1", 7, "undeclared reference"},
		{"condition: too long", "rules:\n- name: a\n  do: end\n  when: {if: '" + strings.Repeat("true && ", 1000) + "true'}", 4, "expression code point size exceeds limit"},
		{"stop", "rules:\n- name: a\n  do: end\n  stop: perhaps", 4, "must be true or false"},
		{"test without want", "tests:\n- {name: a, event: session-revoked, subject: {format: email, email: a@b.example}}", 2, "a want"},
		{"test with a wrong subject", "tests:\n- name: a\n  event: session-revoked\n  subject: {email: a@b.example}\n  want: {do: none}", 4, "is no subject"},
		{"test with a wrong effect", "tests:\n- name: a\n  event: session-revoked\n  subject: {format: opaque, id: a}\n  want: {do: {kill: all}}", 5, "is no effect"},
		{"test with a wrong time", "tests:\n- name: a\n  event: session-revoked\n  subject: {format: opaque, id: a}\n  now: noon\n  want: {do: none}", 5, "must be a time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := policy.Known{Hooks: []string{"sql", "redis"}, Issuers: map[string]string{"okta": "https://org.okta.com"}}
			rules, err := policy.Load(known, policy.Source{Name: "rules.yaml", YAML: []byte(tt.yaml)})
			var fault *policy.RulesError
			if rules != nil || !errors.As(err, &fault) || fault.Line != tt.line || !strings.Contains(fault.Reason, tt.want) {
				t.Errorf("got %v, want a fault in line %d with %q", err, tt.line, tt.want)
			}
		})
	}
}

func TestFaultsBounded(t *testing.T) {
	var many strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&many, "- {name: r%d, do: kill}\n", n)
	}
	known := policy.Known{Hooks: []string{"redis"}}
	for name, text := range map[string]string{
		"rules":  "rules:\n" + many.String(),
		"faults": "rules:\n" + strings.Join(strings.SplitAfter(many.String(), "\n")[:900], ""),
		"bytes":  "#" + strings.Repeat("x", policy.MaxRulesBytes),
	} {
		_, err := policy.Load(known, policy.Source{Name: "rules.yaml", YAML: []byte(text)})
		if err == nil || strings.Count(err.Error(), "\n") > 20 {
			t.Errorf("%s: got %d lines of error, want 1 to 21", name, strings.Count(fmt.Sprint(err), "\n"))
		}
	}
	for _, hooks := range [][]string{nil, {""}, {"all"}, {"none"}} {
		if _, err := policy.Load(policy.Known{Hooks: hooks}); err == nil {
			t.Errorf("hooks %q: got no error, want one", hooks)
		}
	}
}

// Each event type of CAEP and RISC has a name, and no two have the same.
func TestNames(t *testing.T) {
	names := policy.Names()
	want := slices.Concat(caep.Types(), risc.Types(), []string{policy.TokensRevokedType, policy.TokenRevokedType})
	if len(names) != len(want) {
		t.Errorf("got %d names, want one for each of %d types", len(names), len(want))
	}
	for _, uri := range want {
		if !slices.Contains(slices.Collect(values(names)), uri) {
			t.Errorf("got no name of %s, want one", uri)
		}
	}
}

func values(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// A rule takes the place of the default one with its name; others go before.
func TestOverDefaults(t *testing.T) {
	rules := load(t, "rules: [{name: told, do: none}, {name: first, do: none}]", "redis")
	got := rules.Names()
	if !slices.Equal(got[:3], []string{"told", "first", "session-revoked"}) || slices.Index(got[3:], "told") >= 0 {
		t.Errorf("got rules %q, want told once, and before the default ones", got)
	}
	if got := load(t, "default_rules: false", "redis").Names(); len(got) != 0 {
		t.Errorf("got rules %q without the default ones, want none", got)
	}
}

// The rules may be a part of a file whose other keys somebody else reads.
func TestPart(t *testing.T) {
	text := []byte("listen: :8443\nrules:\n- {name: a, do: notify}\nhooks: {redis: {type: redis}}")
	known := policy.Known{Hooks: []string{"redis"}}
	rules, err := policy.Load(known, policy.Source{Name: "receive.yaml", YAML: text, Part: true})
	if err != nil || rules.Names()[0] != "a" {
		t.Errorf("got error %v, want the rule", err)
	}
	if _, err := policy.Load(known, policy.Source{Name: "receive.yaml", YAML: text}); err == nil {
		t.Error("got no error of a file that is not a part, want one")
	}
}

// What rules can ask of an event, told by their own tests.
func TestRules(t *testing.T) {
	known := policy.Known{Hooks: []string{"redis", "sql"}, Issuers: map[string]string{"okta": "https://org.okta.com", "kc": "https://kc.example"}}
	rules, err := policy.Load(known, policy.Source{Name: "rules.yaml", YAML: []byte(conditions)})
	if err != nil {
		t.Fatal(err)
	}
	results := rules.Test()
	if len(results) != 11 {
		t.Errorf("got %d results, want 11", len(results))
	}
	for _, r := range results {
		for _, f := range r.Failures {
			t.Errorf("%s:%d: %s: %s", r.File, r.Line, r.Name, f)
		}
	}
}

const conditions = `
default_rules: false
rules:
  - name: issuer
    when: {issuer: okta, type: session-revoked}
    do: {effect: end, hooks: redis}
  - name: scope
    when: {scope: [device, none]}
    do: {effect: notify, hooks: sql}
  - name: subject
    when: {if: 'scope.identifiers.exists(i, i.member == "user" && i.format == "email" && lower(i.email).endsWith("@example.com"))'}
    do: {effect: end, hooks: sql}
    stop: true
  - name: claims
    when: {type: token-claims-change, if: '"admin" in event.claims.roles'}
    do: {effect: end, hooks: [redis]}
  - name: no reason
    when: {type: account-disabled, if: '!has(event.reason) && scope.kind == "user" && now == event_time'}
    do: notify
  - name: stale
    when: {if: 'now - event_time > duration("24h")'}
    do: {effect: notify, hooks: redis}
  - name: own
    when: {type: "urn:example:own", if: 'txn == "t" && feed == "f" && event.n > 2'}
    do: {effect: reload, hooks: redis}
  - name: costly
    when: {type: account-enabled, if: 'event.l.all(a, event.l.all(b, event.l.all(c, a + b + c > 0)))'}
    do: end
  - name: member
    when: {type: identifier-changed, if: 'subject.email == "jo@example.org" && event["new-value"].startsWith("j")'}
    do: {effect: reload, hooks: redis}
tests:
  - name: issuer by name
    issuer: okta
    event: session-revoked
    subject: {format: opaque, id: a}
    want: {rules: [issuer], do: {end: redis}}
  - name: another issuer
    issuer: https://kc.example
    event: session-revoked
    subject: {format: opaque, id: a}
    want: {rules: []}
  - name: device
    event: device-compliance-change
    subject: {format: complex, device: {format: opaque, id: d}, user: {format: email, email: a@b.example}}
    want: {rules: [scope], do: {notify: [sql]}}
  - name: all sessions of nobody
    event: account-disabled
    subject: {format: complex, session: {format: opaque, id: ALL}}
    want: {rules: [scope]}
  - name: user of a domain
    event: session-revoked
    issuer: okta
    subject: {format: complex, user: {format: email, email: Jo@Example.com}, session: {format: opaque, id: s}}
    want: {rules: [issuer, subject], do: {end: all}}
  - name: nested claims
    event: {type: token-claims-change, payload: {claims: {roles: [user, admin]}}}
    subject: {format: opaque, id: a}
    want: {rules: [claims]}
  - name: null is absent
    event: {type: account-disabled, payload: {reason: null}}
    subject: {format: opaque, id: a}
    want: {rules: [no reason], do: {notify: all}}
  - name: late
    now: 2026-03-02T12:00:00Z
    time: 2026-03-01T11:59:00Z
    event: account-disabled
    subject: {format: opaque, id: a}
    want: {rules: [stale], do: {notify: redis}}
  - name: an own type
    feed: f
    txn: t
    event: {type: "urn:example:own", payload: {n: 3}}
    subject: {format: opaque, id: a}
    want: {do: {reload: redis}}
  - name: costs too much
    event: {type: account-enabled, payload: {l: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30]}}
    subject: {format: opaque, id: a}
    want: {rules: [], error: costs too much}
  - name: subject and a name with a hyphen
    event: {type: identifier-changed, payload: {new-value: jo@example.net}}
    subject: {format: email, email: jo@example.org}
    want: {rules: [member]}
`

// A test that is not met says what it got.
func TestRulesFail(t *testing.T) {
	rules := load(t, `
rules: [{name: a, do: end}]
default_rules: false
tests:
  - name: wrong
    event: session-revoked
    subject: {format: opaque, id: a}
    want: {rules: [b], do: {deny: all}, error: no}
`, "redis")
	got := rules.Test()
	want := []string{"rules: got [a], want [b]", "do: got end: redis, want deny: redis", `error: got none, want one with "no"`}
	if len(got) != 1 || got[0].Line != 5 || !slices.Equal(got[0].Failures, want) {
		t.Errorf("got %+v, want line 5 and %q", got, want)
	}
}
