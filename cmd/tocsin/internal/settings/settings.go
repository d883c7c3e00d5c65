// Package settings reads a YAML file into structs of plain fields. A key is a field's
// name in snake_case; a key that no field knows is an error, so that a typo is one too.
// Every error names file, line and key, and all are told at once.
//
// Secrets stand elsewhere: for a text NAME the key NAME_file gives the file that holds
// it, and ${VARIABLE} in any text stands for a variable of the environment. No error
// shows a value that came from there.
package settings

import (
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// Bounds of a file.
const (
	MaxBytes       = yamlfile.MaxBytes
	MaxSecretBytes = 64 << 10 // of a file that NAME_file gives
	maxDepth       = 64       // of what an alias leads to
)

// Error is a fault in a file.
type Error = yamlfile.Error

// file is what all parts of a document share.
type file struct {
	name string
	text []byte
	dir  string // relative paths of secrets start here
	env  func(name string) (string, bool)
}

// Node is a part of a document that has not been decoded yet: a field of this type
// takes what stands there, for whoever knows what it means. The zero value is absent.
type Node struct {
	file *file
	node *yaml.Node
	path string
}

// Read reads the YAML file at path. environ holds the environment as NAME=value.
func Read(path string, environ []string) (Node, error) {
	f, err := os.Open(path)
	if err != nil {
		return Node{}, err
	}
	defer f.Close() // it is only read
	raw, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return Node{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return Parse(path, raw, environ)
}

// Parse reads a document of that name. A text of nothing is an empty document.
func Parse(name string, raw []byte, environ []string) (Node, error) {
	shared := &file{name: name, text: raw, dir: filepath.Dir(name), env: lookup(environ)}
	root, err := yamlfile.Parse(name, raw)
	if err != nil {
		return Node{}, err
	}
	return Node{file: shared, node: root}, nil
}

func lookup(environ []string) func(string) (string, bool) {
	values := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			values[name] = value
		}
	}
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

// Present reports whether anything stands there.
func (n Node) Present() bool { return n.node != nil && n.node.Tag != "!!null" }

// String returns what stands there, as YAML, to be compared. Secrets in files and
// variables are not in it.
func (n Node) String() string {
	if n.node == nil {
		return ""
	}
	raw, err := yaml.Marshal(n.node)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// File returns the name of the document, Text the whole of it.
func (n Node) File() string { return n.file.name }

// Text returns the text of the document that n is of.
func (n Node) Text() []byte { return n.file.text }

// Path returns the keys that lead to n.
func (n Node) Path() string { return n.path }

// Fault returns an error at n.
func (n Node) Fault(format string, args ...any) error {
	e := &Error{Path: n.path, Reason: fmt.Sprintf(format, args...)}
	if n.file != nil {
		e.File = n.file.name
	}
	if n.node != nil {
		e.Line = n.node.Line
	}
	return e
}

// At returns what stands under a key of n, absent if nothing does.
func (n Node) At(key string) Node {
	child := Node{file: n.file, path: join(n.path, key)}
	if m := resolve(n.node); m != nil && m.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(m.Content); i += 2 {
			if m.Content[i].Value == key {
				child.node = m.Content[i+1]
			}
		}
	}
	return child
}

// Each yields the keys of n with what stands under them.
func (n Node) Each() iter.Seq2[string, Node] {
	return func(yield func(string, Node) bool) {
		m := resolve(n.node)
		if m == nil || m.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(m.Content); i += 2 {
			key := m.Content[i].Value
			if !yield(key, Node{file: n.file, node: m.Content[i+1], path: join(n.path, key)}) {
				return
			}
		}
	}
}

// Items yields the items of a list.
func (n Node) Items() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		s := resolve(n.node)
		if s == nil || s.Kind != yaml.SequenceNode {
			return
		}
		for i, item := range s.Content {
			if !yield(Node{file: n.file, node: item, path: fmt.Sprintf("%s[%d]", n.path, i)}) {
				return
			}
		}
	}
}

// IsObject reports whether n has keys.
func (n Node) IsObject() bool {
	at := resolve(n.node)
	return at != nil && at.Kind == yaml.MappingNode
}

// Without returns n without some of its keys.
func (n Node) Without(keys ...string) Node {
	return n.filter(func(key string) bool { return !slices.Contains(keys, key) })
}

// Only returns n with some of its keys alone.
func (n Node) Only(keys ...string) Node {
	return n.filter(func(key string) bool { return slices.Contains(keys, key) })
}

func (n Node) filter(keep func(key string) bool) Node {
	m := resolve(n.node)
	if m == nil || m.Kind != yaml.MappingNode {
		return n
	}
	rest := *m
	rest.Content = nil
	for i := 0; i+1 < len(m.Content); i += 2 {
		if keep(m.Content[i].Value) {
			rest.Content = append(rest.Content, m.Content[i], m.Content[i+1])
		}
	}
	n.node = &rest
	return n
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// resolve returns what an alias stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for depth := 0; n != nil && n.Kind == yaml.AliasNode; depth++ {
		if depth == maxDepth {
			return nil
		}
		n = n.Alias
	}
	return n
}

// Named returns n with another path, for a fault about what is missing there.
func (n Node) Named(path string) Node {
	n.path = path
	return n
}

// FromEnvironment reports whether n is a text that refers to the environment, or a list
// of such texts.
func (n Node) FromEnvironment() bool {
	at := resolve(n.node)
	if at == nil {
		return false
	}
	if at.Kind == yaml.SequenceNode {
		return !slices.ContainsFunc(at.Content, func(item *yaml.Node) bool { return !(Node{node: item}).FromEnvironment() })
	}
	return at.Kind == yaml.ScalarNode && variable.MatchString(at.Value)
}
