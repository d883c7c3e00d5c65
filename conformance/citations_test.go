package conformance_test

import (
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root        = ".."                   // of the module
	uncitedFile = "testdata/uncited.txt" // one line each: an id, "#", why no test can cite it
	lastCited   = 9                      // sections up to this one are what transmitter and receiver are tested for, id by id
	minReason   = 20                     // bytes; less is no reason
)

var update = flag.Bool("update", false, "rewrite "+uncitedFile)

// Every requirement that binds a transmitter or a receiver is cited by a test, or
// stands in uncited.txt with the reason why none can be; never both. No test cites
// what does not exist.
//
// go test ./conformance -run Citations -update rewrites the file and keeps the
// reasons; a line without one fails until somebody writes it.
func TestCitations(t *testing.T) {
	cited := citations(t)
	known, binding := map[string]bool{}, map[string]bool{}
	for _, r := range checklist(t).Requirements {
		known[r.ID] = true
		binding[r.ID] = r.Binds() && r.Section <= lastCited
	}
	for _, id := range slices.Sorted(maps.Keys(cited)) {
		if !known[id] {
			t.Errorf("%s: got it cited in %s, want an id of the checklist", id, cited[id])
		}
	}
	if *update {
		writeUncited(t, binding, cited)
	}
	uncited := readUncited(t)
	for _, id := range slices.Sorted(maps.Keys(uncited)) {
		if !binding[id] {
			t.Errorf("%s: got it in %s, want only requirements that bind", id, uncitedFile)
		}
		if len(uncited[id]) < minReason {
			t.Errorf("%s: got no test that cites it and reason %q, want one of them", id, uncited[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(binding)) {
		_, listed := uncited[id]
		switch {
		case !binding[id]:
		case cited[id] == "" && !listed:
			t.Errorf("%s: got no test that cites it, want one, or its line in %s", id, uncitedFile)
		case cited[id] != "" && listed:
			t.Errorf("%s: got it cited in %s, want its line in %s deleted", id, cited[id], uncitedFile)
		}
	}
	t.Logf("%d requirements bind; %d of them cannot be cited", count(binding), len(uncited))
}

// citations returns every requirement id that stands in a test file, with the first
// file that names it.
func citations(t *testing.T) map[string]string {
	t.Helper()
	cited := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, id := range requirementID.FindAllString(string(text), -1) {
			if cited[id] == "" {
				cited[id] = filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cited) == 0 {
		t.Fatal("got no citation at all, want the walk to find some")
	}
	return cited
}

// readUncited returns the ids of the file with their reasons.
func readUncited(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(uncitedFile)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for line := range strings.Lines(string(text)) {
		id, reason, _ := strings.Cut(line, "#")
		id = strings.TrimSpace(id)
		if _, twice := reasons[id]; twice {
			t.Errorf("%s: got it twice in %s, want it once", id, uncitedFile)
		}
		reasons[id] = strings.TrimSpace(reason)
	}
	return reasons
}

func writeUncited(t *testing.T, binding map[string]bool, cited map[string]string) {
	t.Helper()
	reasons := readUncited(t)
	var text strings.Builder
	for _, r := range checklist(t).Requirements { // in the order of the list
		if binding[r.ID] && cited[r.ID] == "" {
			text.WriteString(strings.TrimSpace(r.ID+" # "+reasons[r.ID]) + "\n")
		}
	}
	if err := os.WriteFile(uncitedFile, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func count(set map[string]bool) int {
	n := 0
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}
