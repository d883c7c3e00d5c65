package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var change = regexp.MustCompile(`^- \[(CHANGE|FEATURE|ENHANCEMENT|BUGFIX)\] \S.*\.$`)

// sameChange is by how many of their first bytes two lines are about one change: what
// was written twice, and once gone on with, begins alike.
const sameChange = 60

// A change is one line with its kind, and told once.
func TestChangelog(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]int{}
	for i, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
		if !strings.HasPrefix(line, "-") {
			continue
		}
		if !change.MatchString(line) {
			t.Errorf("CHANGELOG.md:%d: got %.80s, want - [KIND] and sentences, in one line", i+1, line)
		}
		start := line[:min(len(line), sameChange)]
		if at, ok := first[start]; ok {
			t.Errorf("CHANGELOG.md:%d: got %q, as in line %d, want each change once", i+1, start, at)
		}
		first[start] = i + 1
	}
}
