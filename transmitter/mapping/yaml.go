package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a rules file.
const (
	MaxRulesBytes = 1 << 20
	maxYAMLDepth  = 32
	maxYAMLNodes  = 50_000 // of one value that becomes JSON
	maxFaults     = 20     // that are told at once
)

// RulesError is a fault in a rules file.
type RulesError struct {
	File   string
	Line   int    // from 1; 0: the file as a whole
	Path   string // the keys that lead to it: "formats.acme.record"
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

// loader reads a rules file. It goes on after a fault, to tell several at once.
type loader struct {
	file   string
	path   []string
	faults []error
}

// fail notes a fault at a node.
func (l *loader) fail(n *yaml.Node, format string, args ...any) {
	if len(l.faults) >= maxFaults {
		return
	}
	path := make([]string, len(l.path))
	for i, key := range l.path {
		path[i] = printable(key)
	}
	line := 0
	if n != nil {
		line = n.Line
	}
	l.faults = append(l.faults, &RulesError{l.file, line, strings.Join(path, "."), fmt.Sprintf(format, args...)})
}

// document returns the root of a file with one YAML document, nil if it is none.
func (l *loader) document(text []byte) *yaml.Node {
	if len(text) > MaxRulesBytes {
		l.fail(nil, "is larger than 1 MiB")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		l.fail(nil, "is empty")
		return nil
	case err != nil:
		l.syntax(err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		l.fail(&more, "has more than one document")
		return nil
	}
	return doc.Content[0]
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
	n = target(n)
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
		l.path = append(l.path, key.Value)
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
		var names []string
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		l.fail(at, "is not known here; known are %s", strings.Join(names, ", "))
	})
}

// list calls do for the elements of a list.
func (l *loader) list(n *yaml.Node, limit int, do func(value *yaml.Node)) {
	n = target(n)
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
	n = target(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		l.fail(n, "must be a text")
		return ""
	}
	return n.Value
}

// truth reads true or false.
func (l *loader) truth(n *yaml.Node) bool {
	n = target(n)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		l.fail(n, "must be true or false")
		return false
	}
	return n.Value == "true"
}

// words reads a text or a list of texts.
func (l *loader) words(n *yaml.Node) []string {
	if n = target(n); n.Kind != yaml.SequenceNode {
		if text := l.text(n); text != "" {
			return []string{text}
		}
		return nil
	}
	var words []string
	l.list(n, maxMembers, func(value *yaml.Node) {
		if text := l.text(value); text != "" {
			words = append(words, text)
		}
	})
	return words
}

// json returns a value as JSON, nil if it cannot be.
func (l *loader) json(n *yaml.Node) json.RawMessage {
	budget := maxYAMLNodes
	b, wrong := appendNode(nil, n, 0, &budget)
	if wrong != "" {
		l.fail(n, "%s", wrong)
		return nil
	}
	return b
}

// appendNode appends a value as JSON.
func appendNode(b []byte, n *yaml.Node, depth int, budget *int) ([]byte, string) {
	n = target(n)
	if *budget--; *budget < 0 || depth > maxYAMLDepth {
		return nil, "is too large or nested too deeply"
	}
	switch n.Kind {
	case yaml.ScalarNode:
		return appendScalar(b, n)
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, value := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			var wrong string
			if b, wrong = appendNode(b, value, depth+1, budget); wrong != "" {
				return nil, wrong
			}
		}
		return append(b, ']'), ""
	case yaml.MappingNode:
		b = append(b, '{')
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := target(n.Content[i])
			if key.Kind != yaml.ScalarNode || seen[key.Value] {
				return nil, "has a key that is no text or stands twice"
			}
			seen[key.Value] = true
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, quoted(key.Value)...), ':')
			var wrong string
			if b, wrong = appendNode(b, n.Content[i+1], depth+1, budget); wrong != "" {
				return nil, wrong
			}
		}
		return append(b, '}'), ""
	}
	return nil, "is no value"
}

func appendScalar(b []byte, n *yaml.Node) ([]byte, string) {
	switch n.Tag {
	case "!!null":
		return append(b, "null"...), ""
	case "!!bool":
		return strconv.AppendBool(b, strings.EqualFold(n.Value, "true")), ""
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return append(b, n.Value...), ""
		}
		var number float64
		if n.Decode(&number) != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			return nil, "is a number that JSON has not"
		}
		return strconv.AppendFloat(b, number, 'g', -1, 64), ""
	}
	return append(b, quoted(n.Value)...), ""
}
