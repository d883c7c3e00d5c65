package conformance_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// The list is whole and each entry well formed, so that what is built on it cannot
// pass over one.
func TestChecklist(t *testing.T) {
	list := checklist(t)
	if got := len(list.Requirements); got < 273 {
		t.Errorf("got %d requirements, want at least the 273 of the first list", got)
	}
	sections := map[int]bool{}
	for _, s := range list.Sections {
		sections[s.Number] = s.Title != ""
	}
	notes := map[string]bool{}
	for _, n := range list.Notes {
		notes[n.ID] = n.Text != ""
	}
	seen := map[string]bool{}
	for _, r := range list.Requirements {
		if !requirementID.MatchString(r.ID) || requirementID.FindString(r.ID) != r.ID {
			t.Errorf("%s: got an id of another shape", r.ID)
		}
		if seen[r.ID] {
			t.Errorf("%s: got it twice, want it once", r.ID)
		}
		seen[r.ID] = true
		official := strings.HasPrefix(r.ID, "OIDF")
		if !level.MatchString(r.Level) && (r.Level != "" || !official) {
			t.Errorf("%s: got level %q", r.ID, r.Level)
		}
		if !who.MatchString(r.Who) {
			t.Errorf("%s: got who %q", r.ID, r.Who)
		}
		if r.Text == "" || !sections[r.Section] {
			t.Errorf("%s: got text %q in section %d, want both", r.ID, r.Text, r.Section)
		}
		for _, reference := range noteReference.FindAllStringSubmatch(r.Text, -1) {
			if !notes[reference[1]] {
				t.Errorf("%s: got a pointer to %s, want a note of that name", r.ID, reference[1])
			}
		}
	}
	for _, d := range list.Drafts {
		if d.ID == "" || d.Variation == "" || d.Handling == "" {
			t.Errorf("got draft %+v, want it whole", d)
		}
	}
}

func TestRequirementBinds(t *testing.T) {
	for _, tt := range []struct {
		level, who string
		want       bool
	}{
		{"MUST", "T", true},
		{"MUST NOT*", "R", true},
		{"SHOULD", "B", true},
		{"SHOULD NOT", "T", true},
		{"MAY", "T", false},
		{"MUST", "AS", false},
		{"", "T", false},
	} {
		if got := (conformance.Requirement{Level: tt.level, Who: tt.who}).Binds(); got != tt.want {
			t.Errorf("%s %s: got %v, want %v", tt.level, tt.who, got, tt.want)
		}
	}
}

var (
	requirementID = regexp.MustCompile(`\b(SSF|SET|JWT|SUBJ|PUSH|POLL|CAEP|RISC|INTEROP|SCIM|PRM|OIDF|SEC|EVT)-([0-9]+(\.[0-9]+)*-)?[0-9]{2}\b`)
	noteReference = regexp.MustCompile(`\[(U[0-9]+)\]`)
	level         = regexp.MustCompile(`^((MUST|SHOULD)( NOT)?\*?|MAY)$`)
	who           = regexp.MustCompile(`^(T|R|B|AS)$`)
)

func checklist(t *testing.T) conformance.Checklist {
	t.Helper()
	list, err := conformance.ReadChecklist()
	if err != nil {
		t.Fatal(err)
	}
	return list
}
