package subject_test

import (
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

func TestParts(t *testing.T) {
	const (
		jo     = `{"format":"email","email":"jo@example.com"}`
		one    = `{"format":"opaque","id":"1"}`
		device = `{"format":"opaque","id":"d"}`
		both   = `{"format":"aliases","identifiers":[` + one + `,` + jo + `]}`
	)
	type part struct{ under, id string }
	for _, c := range []struct {
		name, id string
		want     []part
	}{
		{"simple", jo, []part{{"", jo}}},
		{"aliases", both, []part{{"", both}, {"", one}, {"", jo}}},
		{
			"complex", `{"format":"complex","device":` + device + `,"user":` + jo + `}`,
			[]part{{"", `{"format":"complex","device":` + device + `,"user":` + jo + `}`}, {"device", device}, {"user", jo}},
		},
		{
			"aliases of the user", `{"format":"complex","tenant":` + jo + `,"user":` + both + `}`,
			[]part{{"", `{"format":"complex","tenant":` + jo + `,"user":` + both + `}`}, {"tenant", jo}, {"user", both}, {"user", one}, {"user", jo}},
		},
		{"of an unknown format", `{"format":"x","user":` + jo + `}`, []part{{"", `{"format":"x","user":` + jo + `}`}}},
	} {
		id := must(t, c.id)
		var got, want []part
		for under, p := range id.Parts() {
			got = append(got, part{under, p.Canonical()})
			if !id.Contains(p) {
				t.Errorf("%s: %s is a part and not contained", c.name, p.Canonical())
			}
		}
		for _, p := range c.want {
			want = append(want, part{p.under, must(t, p.id).Canonical()})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
		for range id.Parts() {
			break // an early end is the caller's to choose
		}
	}
	for range (subject.Identifier{}).Parts() {
		t.Error("the zero value has a part, want none")
	}
}
