package subject_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Equality is deep JSON equality, nothing more and nothing less (SSF-8.1.3.1-01, U5).
func TestEqual(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"member order", `{"format":"iss_sub","iss":"https://a/","sub":"1"}`, `{"sub":"1","iss":"https://a/","format":"iss_sub"}`, true},
		{"escapes", `{"format":"opaque","id":"a\/\u0062"}`, `{"format":"opaque","id":"a/b"}`, true},
		{"no case folding", `{"format":"email","email":"A@example.com"}`, `{"format":"email","email":"a@example.com"}`, false},
		{"no normalisation", `{"format":"opaque","id":"\u00e4"}`, `{"format":"opaque","id":"a\u0308"}`, false},
		{"other format, same value", `{"format":"uri","uri":"acct:a@b"}`, `{"format":"account","uri":"acct:a@b"}`, false},
		{"array order", `{"format":"ip-addresses","ip-addresses":["::1","::2"]}`, `{"format":"ip-addresses","ip-addresses":["::2","::1"]}`, false},
		{
			"alias order", `{"format":"aliases","identifiers":[{"format":"opaque","id":"1"},{"format":"opaque","id":"2"}]}`,
			`{"format":"aliases","identifiers":[{"format":"opaque","id":"2"},{"format":"opaque","id":"1"}]}`, false,
		},
		{
			"complex member order", `{"format":"complex","user":{"format":"opaque","id":"1"},"tenant":{"format":"opaque","id":"2"}}`,
			`{"tenant":{"id":"2","format":"opaque"},"user":{"id":"1","format":"opaque"},"format":"complex"}`, true,
		},
		{"undescribed members", `{"format":"opaque","id":"1","x":1}`, `{"format":"opaque","id":"1"}`, true},
		{"unknown format, nested", `{"format":"x","a":{"b":1,"c":[true,null]}}`, `{"a":{"c":[true,null],"b":1},"format":"x"}`, true},
		{"unknown format, extra member", `{"format":"x","a":1}`, `{"format":"x","a":1,"b":2}`, false},
		{"scim attributes count", `{"format":"scim","uri":"/Users/1","userName":"a"}`, `{"format":"scim","uri":"/Users/1"}`, false},
		{"numbers by value", `{"format":"x","a":1200}`, `{"format":"x","a":1.200E+3}`, true},
		{"numbers by value, zero", `{"format":"x","a":-0.0e5}`, `{"format":"x","a":0}`, true},
		{"numbers by value, fraction", `{"format":"x","a":0.0050}`, `{"format":"x","a":5e-3}`, true},
		{"numbers are exact", `{"format":"x","a":9007199254740993}`, `{"format":"x","a":9007199254740992}`, false},
		{"numbers have a sign", `{"format":"x","a":-1}`, `{"format":"x","a":1}`, false},
		{"number and string", `{"format":"x","a":1}`, `{"format":"x","a":"1"}`, false},
		{"string that looks like members", `{"format":"x","a":"b\",\"c\":\"d"}`, `{"format":"x","a":"b","c":"d"}`, false},
	} {
		a, b := must(t, c.a), must(t, c.b)
		if got := a.Equal(b); got != c.want || (a.Canonical() == b.Canonical()) != c.want {
			t.Errorf("%s: got %v for %s and %s, want %v", c.name, got, a.Canonical(), b.Canonical(), c.want)
		}
	}
}

const (
	userA   = `"user":{"format":"opaque","id":"a"}`
	userB   = `"user":{"format":"opaque","id":"b"}`
	tenant  = `"tenant":{"format":"opaque","id":"t"}`
	device  = `"device":{"format":"opaque","id":"d"}`
	groupG  = `"group":{"format":"opaque","id":"g"}`
	groupH  = `"group":{"format":"opaque","id":"h"}`
	simpleA = `{"format":"opaque","id":"a"}`
	aliasAB = `{"format":"aliases","identifiers":[{"format":"opaque","id":"a"},{"format":"opaque","id":"b"}]}`
	aliasBC = `{"format":"aliases","identifiers":[{"format":"opaque","id":"b"},{"format":"opaque","id":"c"}]}`
)

func joined(members ...string) string {
	return `{"format":"complex",` + strings.Join(members, ",") + `}`
}

func TestMatch(t *testing.T) {
	standard := subject.DefaultMatching()
	for _, c := range []struct {
		name          string
		matching      subject.Matching
		stream, event string
		want          bool
	}{
		{"SSF-8.1.3.1-01 simple", standard, simpleA, simpleA, true},
		{"SSF-8.1.3.1-01 other value", standard, simpleA, `{"format":"opaque","id":"b"}`, false},
		{"SSF-8.1.3.1-01 other format", standard, simpleA, `{"format":"x","id":"a"}`, false},
		{"SSF-8.1.3.1-02 stream wider", standard, joined(tenant), joined(tenant, userA), true},
		{"SSF-8.1.3.1-02 stream narrower", standard, joined(userA, device), joined(userA), true},
		{"SSF-8.1.3.1-02 other group", standard, joined(userA, groupG), joined(userA, groupH), false},
		{"SSF-8.1.3.1-02 other user", standard, joined(userA), joined(userB), false},
		{"SSF-8.1.3.1-02 one of three differs", standard, joined(userA, tenant, groupG), joined(groupH, userA, tenant), false},
		{"SSF-8.1.3.1-02 overlap", standard, joined(userA, tenant), joined(tenant, device), true},
		{"U6 disjoint, by default", standard, joined(userA), joined(tenant), false},
		{"U6 disjoint, by the letter", subject.Matching{}, joined(userA), joined(tenant), true},
		{"U6 by the letter, difference", subject.Matching{}, joined(userA, tenant), joined(userB), false},
		{"U5 simple and complex", standard, simpleA, joined(userA), false},
		{"U5 complex and simple", standard, joined(userA), simpleA, false},
		{"U5 simple as user", subject.Matching{SimpleAsUser: true, RequireCommonMember: true}, simpleA, joined(userA, tenant), true},
		{"U5 simple as user, event simple", subject.Matching{SimpleAsUser: true, RequireCommonMember: true}, joined(userA), simpleA, true},
		{"U5 simple as user, other", subject.Matching{SimpleAsUser: true}, simpleA, joined(userB), false},
		{"U5 simple as user, both simple", subject.Matching{SimpleAsUser: true}, simpleA, `{"format":"opaque","id":"b"}`, false},
		{"U5 aliases, equal", standard, aliasAB, aliasAB, true},
		{"U5 aliases, one of them", standard, aliasAB, simpleA, false},
		{"U5 any alias", subject.Matching{AnyAlias: true}, aliasAB, simpleA, true},
		{"U5 any alias, both sides", subject.Matching{AnyAlias: true}, aliasAB, aliasBC, true},
		{"U5 any alias, none", subject.Matching{AnyAlias: true}, aliasBC, simpleA, false},
		{"U5 any alias, in a member", subject.Matching{AnyAlias: true, RequireCommonMember: true}, joined(`"user":` + aliasAB), joined(userA), true},
		{"SUBJ-3.2.2.1-01 addresses folded by the caller", subject.Matching{Normalize: foldDomain}, `{"format":"email","email":"JDoe@EXAMPLE.com"}`, `{"format":"email","email":"JDoe@example.COM"}`, true},
		{"SUBJ-3.2.2.1-01 local parts kept apart", subject.Matching{Normalize: foldDomain}, `{"format":"email","email":"JDoe@example.com"}`, `{"format":"email","email":"jdoe@example.com"}`, false},
		{"SUBJ-3.2.2.1-01 nothing folded by itself", standard, `{"format":"email","email":"jdoe@EXAMPLE.com"}`, `{"format":"email","email":"jdoe@example.com"}`, false},
		{"U5 normaliser", subject.Matching{Normalize: foldOpaque}, `{"format":"opaque","id":"A"}`, simpleA, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.matching.Match(must(t, c.stream), must(t, c.event)); got != c.want {
				t.Errorf("got %v, want %v for stream %s and event %s", got, c.want, c.stream, c.event)
			}
		})
	}
	if standard.Match(subject.Identifier{}, must(t, simpleA)) || standard.Match(must(t, simpleA), subject.Identifier{}) ||
		standard.Match(subject.Identifier{}, subject.Identifier{}) {
		t.Error("the zero value matches, want nothing")
	}
}

func foldOpaque(id subject.Identifier) subject.Identifier {
	v, _ := id.Value("id")
	return subject.Opaque(strings.ToLower(v))
}

// foldDomain is a canonicalisation of e-mail addresses as a caller would have it.
func foldDomain(id subject.Identifier) subject.Identifier {
	address, ok := id.Value("email")
	if !ok {
		return id
	}
	local, domain, _ := strings.Cut(address, "@")
	return subject.Email(local + "@" + strings.ToLower(domain))
}

// The three worked examples of SSF §8.1.3.1.
func TestMatchSpecificationExamples(t *testing.T) {
	for name, want := range map[string]bool{"less-restrictive": true, "more-restrictive": true, "different-group": false} {
		var pair [2]subject.Identifier
		for k, side := range []string{"stream", "event"} {
			raw, err := os.ReadFile("testdata/ssf-8.1.3.1-" + name + "-" + side + ".json")
			if err != nil {
				t.Fatal(err)
			}
			pair[k] = must(t, string(raw))
		}
		for _, m := range []subject.Matching{subject.DefaultMatching(), {}} {
			if got := m.Match(pair[0], pair[1]); got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	}
}

// Exclusion is not wildcard matching (U7).
func TestExcludes(t *testing.T) {
	for _, c := range []struct {
		name, excluded, event string
		want                  bool
	}{
		{"equal simple", simpleA, simpleA, true},
		{"other simple", simpleA, `{"format":"opaque","id":"b"}`, false},
		{"same complex", joined(userA), joined(userA), true},
		{"event says more", joined(userA), joined(userA, tenant), true},
		{"one user must not silence the tenant", joined(userA, tenant), joined(tenant), false},
		{"member differs", joined(userA, tenant), joined(userB, tenant), false},
		{"disjoint", joined(userA), joined(tenant), false},
		{"simple and complex", simpleA, joined(userA), false},
		{"complex and simple", joined(userA), simpleA, false},
	} {
		if got := subject.Excludes(must(t, c.excluded), must(t, c.event)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if subject.Excludes(subject.Identifier{}, subject.Identifier{}) {
		t.Error("the zero value excludes, want nothing")
	}
}

// Projections onto the names both sides have decide matching by look-up
// (contracts.md §3).
func TestProject(t *testing.T) {
	whole, tenantOnly := must(t, joined(userA, tenant, groupG)), must(t, joined(tenant))
	if got, want := whole.Project("tenant"), tenantOnly.Canonical(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := whole.Project("group", "user", "tenant", "device"), whole.Canonical(); got != want {
		t.Errorf("all names: got %s, want %s", got, want)
	}
	if got := whole.Project("device"); got != "" {
		t.Errorf("no common name: got %s, want nothing", got)
	}
	if got := must(t, simpleA).Project("id"); got != "" {
		t.Errorf("simple: got %s, want nothing", got)
	}
}

func TestContains(t *testing.T) {
	const (
		jo      = `{"format":"email","email":"jo@example.com"}`
		joAt    = `{"format":"complex","tenant":{"format":"opaque","id":"t"},"user":` + jo + `}`
		aliases = `{"format":"aliases","identifiers":[{"format":"opaque","id":"1"},` + jo + `]}`
		deep    = `{"format":"complex","user":` + aliases + `}`
		quoted  = `{"format":"opaque","id":"{\"format\":\"email\",\"email\":\"jo@example.com\"}"}`
	)
	for _, c := range []struct {
		name, in, what string
		want           bool
	}{
		{"itself", jo, `{"email":"jo@example.com","format":"email"}`, true},
		{"a member", joAt, jo, true},
		{"not the other way", jo, joAt, false},
		{"an alias", aliases, jo, true},
		{"below", deep, jo, true},
		{"another", joAt, `{"format":"email","email":"o@example.com"}`, false},
		{"a beginning", `{"format":"email","email":"jo@example.com.au"}`, jo, false},
		{"a text that looks like it", quoted, jo, false},
	} {
		if got := must(t, c.in).Contains(must(t, c.what)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if (subject.Identifier{}).Contains(must(t, jo)) || must(t, jo).Contains(subject.Identifier{}) {
		t.Error("the zero value: got true, want false")
	}
}
