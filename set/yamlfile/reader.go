package yamlfile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxKeyBytes of a key stand in a fault.
const maxKeyBytes = 64

// Reader reads the nodes of a file. It goes on after a fault, to tell several at once.
type Reader struct {
	File   string
	Path   []string // the keys that lead to where it is
	Faults []error  // each an [*Error], at most MaxFaults
}

// Keys are what an object may have.
type Keys map[string]func(value *yaml.Node)

// Fail notes a fault at a node; nil: the file as a whole.
func (r *Reader) Fail(n *yaml.Node, format string, args ...any) {
	path := make([]string, len(r.Path))
	for i, key := range r.Path {
		path[i] = cut(key)
	}
	line := 0
	if n != nil {
		line = n.Line
	}
	r.note(&Error{r.File, line, strings.Join(path, "."), fmt.Sprintf(format, args...)})
}

func (r *Reader) note(fault error) {
	if len(r.Faults) < MaxFaults {
		r.Faults = append(r.Faults, fault)
	}
}

// cut returns what a fault shows of a key, ending with a whole character.
func cut(key string) string {
	if len(key) <= maxKeyBytes {
		return key
	}
	end := maxKeyBytes
	for !utf8.RuneStart(key[end]) {
		end--
	}
	return key[:end]
}

// Document returns the root of the file's text, nil if it has none or a fault.
func (r *Reader) Document(text []byte) *yaml.Node {
	root, err := Parse(r.File, text)
	if err != nil {
		r.note(err)
		return nil
	}
	return root
}

// Each calls do for the members of an object, in order, with their keys on the path.
func (r *Reader) Each(n *yaml.Node, do func(key string, at, value *yaml.Node)) bool {
	n = Target(n)
	if n.Kind != yaml.MappingNode {
		r.Fail(n, "must be an object")
		return false
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		at := n.Content[i]
		key := Target(at)
		if key.Kind != yaml.ScalarNode {
			r.Fail(at, "a key must be a text")
			continue
		}
		r.Path = append(r.Path, key.Value)
		if seen[key.Value] {
			r.Fail(at, "stands twice")
		} else {
			seen[key.Value] = true
			do(key.Value, at, Target(n.Content[i+1]))
		}
		r.Path = r.Path[:len(r.Path)-1]
	}
	return true
}

// Object reads an object whose keys are known; another is a fault.
func (r *Reader) Object(n *yaml.Node, known Keys) bool {
	return r.Each(n, func(key string, at, value *yaml.Node) {
		if read := known[key]; read != nil {
			read(value)
			return
		}
		r.Fail(at, "is not known here; known are %s", Names(known))
	})
}

// List calls do for the elements of a list of at most limit, with their numbers, from
// 1, on the path.
func (r *Reader) List(n *yaml.Node, limit int, do func(value *yaml.Node)) {
	n = Target(n)
	if n.Kind != yaml.SequenceNode {
		r.Fail(n, "must be a list")
		return
	}
	if len(n.Content) > limit {
		r.Fail(n, "has more than %d elements", limit)
		return
	}
	for i, value := range n.Content {
		r.Path = append(r.Path, strconv.Itoa(i+1))
		do(Target(value))
		r.Path = r.Path[:len(r.Path)-1]
	}
}

// Text reads a text that is not empty; numbers and the like are taken as they are
// written.
func (r *Reader) Text(n *yaml.Node) string {
	n = Target(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		r.Fail(n, "must be a text")
		return ""
	}
	return n.Value
}

// Truth reads true or false.
func (r *Reader) Truth(n *yaml.Node) bool {
	n = Target(n)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		r.Fail(n, "must be true or false")
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

// Names lists the names of a map for people, sorted.
func Names[V any](of map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}
