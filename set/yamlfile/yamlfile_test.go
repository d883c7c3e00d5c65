package yamlfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// read reads a file of {name: text, on: truth, list: [text]}.
func read(text string) (r yamlfile.Reader, got []string) {
	r.File = "f.yaml"
	root := r.Document([]byte(text))
	if root == nil {
		return r, nil
	}
	r.Object(root, yamlfile.Keys{
		"name": func(n *yaml.Node) { got = append(got, r.Text(n)) },
		"on":   func(n *yaml.Node) { got = append(got, fmt.Sprint(r.Truth(n))) },
		"list": func(n *yaml.Node) { r.List(n, 2, func(n *yaml.Node) { got = append(got, r.Text(n)) }) },
	})
	return r, got
}

func TestReader(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "[]",
		"name: x\non: True\nlist: [1, b]":      "[x true 1 b]",
		"name: &a x\nlist: &b [*a]\non: false": "[x x false]",
	} {
		if r, got := read(text); fmt.Sprint(got) != want || r.Faults != nil {
			t.Errorf("%q: got %v, %v, want %s", text, got, r.Faults, want)
		}
	}
}

// Every fault names file, line and keys, and all are told at once.
func TestFaults(t *testing.T) {
	long := strings.Repeat("ä", 50)
	for text, want := range map[string]string{
		"name: [":                        "f.yaml:1: is not YAML: did not find expected node content",
		"name: x\n---\nname: y":          "f.yaml:2: has more than one document",
		"#" + strings.Repeat("x", 1<<20): "f.yaml: is larger than 1 MiB",
		"[]":                             "f.yaml:1: must be an object",
		"name: x\nnames: y":              "f.yaml:2: names: is not known here; known are list, name, on",
		"name: x\nname: y":               "f.yaml:2: name: stands twice",
		"[a]: b":                         "f.yaml:1: a key must be a text",
		"name:\non: 1":                   "f.yaml:1: name: must be a text; f.yaml:2: on: must be true or false",
		"list: x":                        "f.yaml:1: list: must be a list",
		"list: [a, b, c]":                "f.yaml:1: list: has more than 2 elements",
		"list: [a, {}]":                  "f.yaml:1: list.2: must be a text",
		long + ": x":                     "f.yaml:1: " + long[:64] + ": is not known here; known are list, name, on",
	} {
		r, _ := read(text)
		var told []string
		for _, err := range r.Faults {
			var fault *yamlfile.Error
			if !errors.As(err, &fault) {
				t.Errorf("%.40q: got %T, want an *Error", text, err)
			}
			told = append(told, err.Error())
		}
		if got := strings.Join(told, "; "); got != want {
			t.Errorf("%.40q: got %s\nwant %s", text, got, want)
		}
	}
	if r, _ := read(strings.Repeat("x: 1\n", 100)); len(r.Faults) != yamlfile.MaxFaults {
		t.Errorf("got %d faults, want %d at most", len(r.Faults), yamlfile.MaxFaults)
	}
}
