package conformance_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every test that docs/security.md names against a threat exists, and every threat names one.
func TestThreatsAreCovered(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+)/((?:Test|Fuzz)[A-Za-z0-9]+)`")
	sources := make(map[string]string) // tests of a folder
	covered := 0
	for _, row := range regexp.MustCompile(`(?m)^\|.*\|$`).FindAllString(string(text), -1) {
		tests := named.FindAllStringSubmatch(row, -1)
		if len(tests) == 0 {
			if !regexp.MustCompile(`^\| ?(Threat |---)`).MatchString(row) {
				t.Errorf("got no test in %q, want one", row)
			}
			continue
		}
		covered++
		for _, test := range tests {
			folder, name := test[1], test[2]
			if _, ok := sources[folder]; !ok {
				sources[folder] = testsOf(t, folder)
			}
			if !regexp.MustCompile(`(?m)^func ` + name + `\(`).MatchString(sources[folder]) {
				t.Errorf("%s/%s: got no such test", folder, name)
			}
		}
	}
	if covered < 20 {
		t.Errorf("got %d threats with tests, want all of the page's", covered)
	}
}

func testsOf(t *testing.T, folder string) (all string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	return all
}
