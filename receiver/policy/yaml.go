package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a rules file.
const (
	MaxRulesBytes = 1 << 20
	maxFaults     = 20 // that are told at once
	maxWords      = 64 // of a list of names
	maxPathBytes  = 64 // of a key in an error
)

// RulesError is a fault in a rules file.
type RulesError struct {
	File   string
	Line   int    // from 1; 0: the file as a whole
	Path   string // the keys that lead to it: "rules.2.when.if"
	Reason string // what is wrong
}

// Error returns file, line, path and reason.
func (e *RulesError) Error() string {
	text := e.File
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	if e.Path != "" {
		text += ": " + e.Path
	}
	return text + ": " + e.Reason
}

// loader reads YAML nodes. It goes on after a fault, to tell several at once.
type loader struct {
	file   string
	path   []string
	faults []error
}

// fail notes a fault at a node.
func (l *loader) fail(n *yaml.Node, format string, args ...any) {
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, &RulesError{l.file, n.Line, strings.Join(l.path, "."), fmt.Sprintf(format, args...)})
	}
}

// document returns the root of a file with one YAML document, nil if it has none.
func (l *loader) document(text []byte) *yaml.Node {
	if len(text) > MaxRulesBytes {
		l.fail(&yaml.Node{}, "is larger than 1 MiB")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		l.syntax(err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		l.fail(&more, "has more than one document")
		return nil
	}
	return target(doc.Content[0])
}

// syntax notes a fault that the YAML parser found: "yaml: line 3: …".
func (l *loader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var line int
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	l.fail(&yaml.Node{Line: line}, "is not YAML: %s", text)
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// each calls do for the members of an object, in order, with their keys on the
// path. A key that stands twice is a fault.
func (l *loader) each(n *yaml.Node, do func(key string, at, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		l.fail(n, "must be an object")
		return false
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		at := n.Content[i]
		key := target(at)
		if key.Kind != yaml.ScalarNode {
			l.fail(at, "a key must be a text")
			continue
		}
		l.path = append(l.path, key.Value[:min(len(key.Value), maxPathBytes)])
		if seen[key.Value] {
			l.fail(at, "stands twice")
		} else {
			seen[key.Value] = true
			do(key.Value, at, target(n.Content[i+1]))
		}
		l.path = l.path[:len(l.path)-1]
	}
	return true
}

// keys are what an object may have.
type keys map[string]func(value *yaml.Node)

// object reads an object whose keys are known; another is a fault.
func (l *loader) object(n *yaml.Node, known keys) bool {
	return l.each(n, func(key string, at, value *yaml.Node) {
		if read := known[key]; read != nil {
			read(value)
			return
		}
		l.fail(at, "is not known here; known are %s", sorted(known))
	})
}

// list calls do for the elements of a list.
func (l *loader) list(n *yaml.Node, limit int, do func(value *yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		l.fail(n, "must be a list")
		return
	}
	if len(n.Content) > limit {
		l.fail(n, "has more than %d elements", limit)
		return
	}
	for i, value := range n.Content {
		l.path = append(l.path, strconv.Itoa(i+1))
		do(target(value))
		l.path = l.path[:len(l.path)-1]
	}
}

// text reads a text that is not empty; numbers and the like are taken as they
// are written.
func (l *loader) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		l.fail(n, "must be a text")
		return ""
	}
	return n.Value
}

// truth reads true or false.
func (l *loader) truth(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		l.fail(n, "must be true or false")
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

// words calls do for a text, or for each of a list of texts that is not empty.
func (l *loader) words(n *yaml.Node, do func(at *yaml.Node, word string)) {
	one := func(n *yaml.Node) {
		if text := l.text(n); text != "" {
			do(n, text)
		}
	}
	if n.Kind != yaml.SequenceNode {
		one(n)
		return
	}
	if len(n.Content) == 0 {
		l.fail(n, "must not be empty")
	}
	l.list(n, maxWords, one)
}

// sorted lists the names of a map for an error.
func sorted[V any](names map[string]V) string {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
