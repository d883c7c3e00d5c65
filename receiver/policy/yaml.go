package policy

import (
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// Limits of a rules file.
const (
	MaxRulesBytes = yamlfile.MaxBytes
	maxWords      = 64 // of a list of names
)

// RulesError is a fault in a rules file.
type RulesError = yamlfile.Error

// words calls do for a text, or for each of a list of texts that is not empty.
func (s *ruleset) words(n *yaml.Node, do func(at *yaml.Node, word string)) {
	one := func(n *yaml.Node) {
		if text := s.Text(n); text != "" {
			do(n, text)
		}
	}
	if n.Kind != yaml.SequenceNode {
		one(n)
		return
	}
	if len(n.Content) == 0 {
		s.Fail(n, "must not be empty")
	}
	s.List(n, maxWords, one)
}
