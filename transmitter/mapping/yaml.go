package mapping

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// Limits of a rules file.
const (
	MaxRulesBytes = yamlfile.MaxBytes
	maxYAMLDepth  = 32
	maxYAMLNodes  = 50_000 // of one value that becomes JSON
)

// RulesError is a fault in a rules file.
type RulesError = yamlfile.Error

// root returns the root of a file, nil if it is empty or has a fault.
func (s *ruleset) root(file RulesFile) *yaml.Node {
	s.File, s.Path = file.Name, nil
	before := len(s.Faults)
	root := s.Document(file.YAML)
	if root == nil && len(s.Faults) == before {
		s.Fail(nil, "is empty")
	}
	return root
}

// words reads a text or a list of texts.
func (s *ruleset) words(n *yaml.Node) []string {
	if n = yamlfile.Target(n); n.Kind != yaml.SequenceNode {
		if text := s.Text(n); text != "" {
			return []string{text}
		}
		return nil
	}
	var words []string
	s.List(n, maxMembers, func(value *yaml.Node) {
		if text := s.Text(value); text != "" {
			words = append(words, text)
		}
	})
	return words
}

// json returns a value as JSON, nil if it cannot be.
func (s *ruleset) json(n *yaml.Node) json.RawMessage {
	budget := maxYAMLNodes
	b, wrong := appendNode(nil, n, 0, &budget)
	if wrong != "" {
		s.Fail(n, "%s", wrong)
		return nil
	}
	return b
}

// appendNode appends a value as JSON.
func appendNode(b []byte, n *yaml.Node, depth int, budget *int) ([]byte, string) {
	n = yamlfile.Target(n)
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
			key := yamlfile.Target(n.Content[i])
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
