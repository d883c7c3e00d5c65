// Package yamlfile reads YAML files that people write: rules and settings. Every fault
// names file, line and keys, and several are told at once; a key that is not known, or
// that stands twice, is a fault.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file and of what is told of it.
const (
	MaxBytes  = 1 << 20
	MaxFaults = 20 // that are told at once
)

// Error is a fault in a file.
type Error struct {
	File   string
	Line   int    // from 1; 0: the file as a whole
	Path   string // the keys that lead to it: "rules.2.when.if"
	Reason string // what is wrong
}

// Error returns file, line, path and reason.
func (e *Error) Error() string {
	text := e.File
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	if e.Path != "" {
		text += ": " + e.Path
	}
	return text + ": " + e.Reason
}

// Parse returns the root of a file with one YAML document of at most MaxBytes, nil if
// it has none. An error is an [*Error].
func Parse(file string, text []byte) (*yaml.Node, error) {
	if len(text) > MaxBytes {
		return nil, &Error{File: file, Reason: "is larger than 1 MiB"}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntax(file, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{File: file, Line: more.Line, Reason: "has more than one document"}
	}
	return Target(doc.Content[0]), nil
}

// syntax is a fault that the YAML parser found: "yaml: line 3: …".
func syntax(file string, err error) *Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var line int
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	return &Error{File: file, Line: line, Reason: "is not YAML: " + text}
}

// Target follows an alias.
func Target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
