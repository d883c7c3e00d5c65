package policy_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// Whatever stands in a file: Load says what is wrong with it, or it can be used.
func FuzzLoad(f *testing.F) {
	f.Add(string(policy.Defaults().YAML))
	f.Add(conditions)
	f.Add("rules: &a [*a]")
	f.Add("rules: [{name: a, do: &x [*x]}]")
	f.Add("tests: [{name: a, event: {type: session-revoked, payload: &p {a: *p}}, subject: {format: opaque, id: a}, want: {do: none}}]")
	f.Fuzz(func(t *testing.T, text string) {
		for _, part := range []bool{false, true} {
			known := policy.Known{Hooks: []string{"redis"}, Issuers: map[string]string{"okta": "https://org.okta.com"}}
			rules, err := policy.Load(known, policy.Source{Name: "r.yaml", YAML: []byte(text), Part: part})
			if (rules == nil) == (err == nil) {
				t.Fatalf("got rules %v and error %v, want one of them", rules, err)
			}
			if err == nil {
				rules.Test()
			}
		}
	})
}
