package profile_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/profile"
	"github.com/tocsin-ssf/tocsin/set"
)

// docs/tolerances.md has a row for every switch, and each profile with its own.
func TestDocument(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "tolerances.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(raw)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			rows[strings.Trim(cells[1], " `")] = cells[2:]
		}
	}
	for _, name := range set.ToleranceNames() {
		if rows[name] == nil {
			t.Errorf("got no row of %s, want one", name)
		}
	}
	quoted := regexp.MustCompile("`([a-z_]+)`")
	for _, name := range profile.Names() {
		p, err := profile.Lookup(name)
		if err != nil || rows[name] == nil {
			t.Errorf("got no row of %s, %v, want one", name, err)
			continue
		}
		var got []string
		for _, match := range quoted.FindAllStringSubmatch(rows[name][0], -1) {
			got = append(got, match[1])
		}
		want := p.Tolerances.Names()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v in the document, want %v", name, got, want)
		}
	}
}
