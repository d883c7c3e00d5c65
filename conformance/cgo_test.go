package conformance_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What needs cgo is in no binary but one that is built with the tag pkcs11, and there it
// is imported by the one folder that is for it: every other is static.
func TestCgo(t *testing.T) {
	for _, tt := range []struct {
		tags string
		cgo  []string // packages with C, of libraries and ours
		by   []string // of ours that import the library of hardware modules
	}{
		{"", nil, nil},
		{"pkcs11", []string{"github.com/ThalesGroup/crypto11", "github.com/miekg/pkcs11"}, []string{module + "/cmd/tocsin/internal/pkcs11"}},
	} {
		const form = `{{if not .Standard}}{{if .CgoFiles}}cgo {{.ImportPath}}{{"\n"}}{{end}}` +
			`{{range .Imports}}{{if or (eq . "github.com/ThalesGroup/crypto11") (eq . "github.com/miekg/pkcs11")}}{{$.ImportPath}}{{"\n"}}{{end}}{{end}}{{end}}`
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tt.tags, "-f", form, "./...")
		cmd.Dir, cmd.Env = root, append(cmd.Environ(), "CGO_ENABLED=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		var cgo, by []string
		for _, line := range strings.Fields(strings.ReplaceAll(string(out), "cgo ", "cgo:")) {
			name, isCgo := strings.CutPrefix(line, "cgo:")
			switch {
			case isCgo:
				cgo = append(cgo, name)
			case strings.HasPrefix(name, module+"/"):
				by = append(by, name)
			}
		}
		slices.Sort(cgo)
		if !slices.Equal(cgo, tt.cgo) || !slices.Equal(by, tt.by) {
			t.Errorf("tags %q: got cgo in %q, and the library imported by %q, want %q and %q", tt.tags, cgo, by, tt.cgo, tt.by)
		}
	}
}
