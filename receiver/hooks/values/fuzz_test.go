package values_test

import (
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
)

// A template has what stands in it, with values in the places of its names and nowhere
// else, each escaped.
func FuzzParseTemplate(f *testing.F) {
	for _, seed := range []string{"sess:{user.email}:{effect}", "{{x}}", "{", "}", "{user.email?}", "{nobody}", "{{{key}}}", "é{jti}\x00", strings.Repeat("{key}", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x01") {
			return // it stands for a value below
		}
		tmpl, err := values.ParseTemplate(text)
		if err != nil {
			if len(tmpl.Names()) > 0 {
				t.Fatalf("%q: got %v and %v", text, tmpl, err)
			}
			return
		}
		row, bare := values.Row{}, strings.NewReplacer("{{", "{", "}}", "}").Replace(text)
		for _, name := range tmpl.Names() {
			if err := values.Check(name); err != nil {
				t.Fatalf("%q: got name %q: %v", text, name, err)
			}
			row[name] = "\x01"
		}
		got := tmpl.Expand(row, func(s string) string { return s + s })
		if n := strings.Count(got, "\x01") - strings.Count(text, "\x01"); n != 2*len(tmpl.Names()) {
			t.Fatalf("%q: got %q, want each value escaped once", text, got)
		}
		if len(tmpl.Names()) == 0 && got != bare {
			t.Fatalf("%q: got %q, want %q", text, got, bare)
		}
	})
}
