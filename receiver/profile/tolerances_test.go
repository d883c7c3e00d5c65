package profile_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Each switch has a vector that passes with it alone, and does not without it, whatever
// else is tolerated.
func TestTolerances(t *testing.T) {
	in := openInbox(t)
	files, err := filepath.Glob("testdata/tolerances/*.json")
	if err != nil || len(files) != len(set.ToleranceNames()) {
		t.Errorf("got %d vectors, %v, want one for each of %d switches", len(files), err, len(set.ToleranceNames()))
	}
	for _, name := range set.ToleranceNames() {
		t.Run(name, func(t *testing.T) {
			v := load(t, filepath.Join("testdata", "tolerances", name+".json"))
			alone, err := set.ParseTolerance(name)
			if err != nil {
				t.Fatal(err)
			}
			token, err := v.judge(t, in, alone)
			if err != nil {
				t.Fatalf("got %v, want accepted with %s alone", err, name)
			}
			if v.Reads != nil && !v.reads(t, token) {
				t.Errorf("got %s about %s, want what the vector says", token.Type(), token.Subject.Raw())
			}
			if name == "events_as_string" {
				// With typ_jwt among the others, what comes next refuses it.
				v.Refused = ""
			}
			for what, tolerances := range map[string]set.Tolerances{"strict": {}, "all others": allBut(t, name)} {
				token, err := v.judge(t, in, tolerances)
				switch {
				case v.Reads != nil && (err != nil || v.reads(t, token)):
					t.Errorf("%s: got %v, %v, want accepted and read otherwise", what, token, err)
				case v.Reads == nil && err == nil:
					t.Errorf("%s: got accepted, want refused", what)
				case v.Reads == nil && !strings.Contains(err.Error(), v.Refused):
					t.Errorf("%s: got %v, want %q in it", what, err, v.Refused)
				}
			}
		})
	}
}

func (v vector) reads(t testing.TB, token *set.Token) bool {
	t.Helper()
	want, err := subject.Parse(v.Reads.Subject)
	if err != nil {
		t.Fatal(err)
	}
	return token.Type() == v.Reads.Type && token.Subject.Equal(want)
}

// allBut tolerates everything but one. The adapter that reads no SETs is not among it,
// since with it nothing else is read.
func allBut(t testing.TB, name string) set.Tolerances {
	t.Helper()
	var all []string
	for _, n := range set.ToleranceNames() {
		if n != name && n != "events_as_string" {
			all = append(all, n)
		}
	}
	tolerances, err := set.ParseTolerances(all)
	if err != nil {
		t.Fatal(err)
	}
	return tolerances
}
