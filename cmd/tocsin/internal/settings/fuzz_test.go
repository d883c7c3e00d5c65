package settings_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// A file of settings is decoded, or its faults are told with the file's name, a bounded
// number of them; none shows the value of a variable.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"base: &base {listen: a}\nissuers:\n- name: a\n  audience: one\n  retry: [1s, 5m]\n  poll: {max_events: 7}\nhooks: {x: *base}\nany: [1, {a: b}]",
		"issuers: [{name: \"${SECRET}\", retry: \"${SECRET}\", poll: {max_events: \"${SECRET}\"}}]", "allow: [10.0.0.0/8, \"${SECRET}\"]\nsize: 70000\nratio: x", "any: &a [*a]", "hooks: &h {x: *h}\nlabels: *h",
		"issuers: {}", "base: null\nbsae: {}", "labels: {a: b, a: c}", "issuers: [{token_file: /nowhere, token: x}]", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nany: [*b,*b,*b,*b,*b,*b]", "size: -1\nnotify: x\nhttp: {}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(string(text), "_file") {
			return // it would read files of this machine
		}
		var into whole
		n, err := settings.Parse("receive.yaml", text, []string{"SECRET=s3cr3t-value"})
		if err == nil {
			if err = n.Decode(&into); len(n.String()) > 64*(len(text)+64) {
				t.Fatalf("%q: got %d bytes as text", text, len(n.String()))
			}
		}
		if err == nil {
			return
		}
		if strings.Contains(err.Error(), "s3cr3t-value") {
			t.Fatalf("%q: got %v", text, err)
		}
		faults := []error{err}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			faults = many.Unwrap()
		}
		if len(faults) > yamlfile.MaxFaults {
			t.Fatalf("got %d faults", len(faults))
		}
		for _, fault := range faults {
			var one *settings.Error
			if !errors.As(fault, &one) || one.File != "receive.yaml" || one.Reason == "" {
				t.Fatalf("%q: got %v", text, fault)
			}
		}
	})
}
