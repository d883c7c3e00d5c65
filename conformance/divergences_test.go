package conformance_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A reading that the code points to in docs/divergences.md stands there.
func TestDivergencesNamedInTheCode(t *testing.T) {
	page, err := os.ReadFile("../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	var (
		reference = regexp.MustCompile(`docs/divergences\.md,?((?:(?:,| and)? [UL][0-9]+)+)`)
		id        = regexp.MustCompile(`[UL][0-9]+`)
		named     int
	)
	err = filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range reference.FindAllStringSubmatch(string(code), -1) {
			for _, one := range id.FindAllString(found[1], -1) {
				named++
				if !regexp.MustCompile(`\b` + one + `\b`).Match(page) {
					t.Errorf("%s: got no %s in docs/divergences.md, want it there", path, one)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named == 0 {
		t.Error("got no reference in the code: the test looks at nothing")
	}
}
