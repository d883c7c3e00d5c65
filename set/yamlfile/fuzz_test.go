package yamlfile_test

import (
	"errors"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// A file is one document, nothing, or at fault, which is said with the file's name; a
// reader tells a bounded number of faults and never none of what it left out.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"name: x\non: True\nlist: [1, b]", "a: &a [*a]\nb: *a", "--- 1\n--- 2", "{", "? [a]\n: b", "<<: {name: x}", "name: !!binary aGk=", "\xff\xfe", "%YAML 9.9\n---\nname: 1", "list: [a,b,c]\nname:", "&a name: &b x\n*a : *b",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := yamlfile.Parse("f.yaml", text)
		var fault *yamlfile.Error
		if err != nil && (root != nil || !errors.As(err, &fault) || fault.File != "f.yaml") {
			t.Fatalf("%q: got %v and %v, want a fault of the file alone", text, root, err)
		}
		r, got := read(string(text))
		if len(r.Faults) > yamlfile.MaxFaults || err != nil && len(r.Faults) == 0 {
			t.Fatalf("%q: got %d faults and %q", text, len(r.Faults), got)
		}
		for _, fault := range r.Faults {
			var one *yamlfile.Error
			if !errors.As(fault, &one) || one.Reason == "" {
				t.Fatalf("%q: got %v, want a fault with a reason", text, fault)
			}
		}
	})
}
