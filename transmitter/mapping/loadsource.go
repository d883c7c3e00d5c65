package mapping

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// source reads where a value comes from: a path, a list of sources of which the
// first that is there is taken, or an object.
func (s *ruleset) source(n *yaml.Node, as reading) *source {
	n = yamlfile.Target(n)
	switch n.Kind {
	case yaml.SequenceNode:
		var first, last *source
		s.List(n, maxSources, func(n *yaml.Node) {
			if n.Kind == yaml.SequenceNode {
				s.Fail(n, "is a list in a list")
				return
			}
			one := s.source(n, as)
			switch {
			case one == nil:
			case first == nil:
				first, last = one, one
			default:
				last.next, last = one, one
			}
		})
		if first == nil {
			s.Fail(n, "names no source")
		}
		return first
	case yaml.ScalarNode:
		src := &source{as: as}
		s.from(src, n)
		return src
	}
	src := &source{as: as}
	given := 0
	s.Object(n, yamlfile.Keys{
		"from":  func(n *yaml.Node) { given++; s.from(src, n) },
		"param": func(n *yaml.Node) { given++; src.param = s.usesParam(n) },
		"set":   func(n *yaml.Node) { given++; src.set = s.json(n) },
		"cel":   func(n *yaml.Node) { given++; src.expr = s.expression(s.env, n, "cel", cel.DynType) },
		"as": func(n *yaml.Node) {
			word := s.Text(n)
			as, ok := readings()[word]
			if !ok && word != "" {
				s.Fail(n, "must be one of text, number, time, milliseconds, positive")
			}
			src.as = as
		},
		"prefix": func(n *yaml.Node) { src.prefix = s.Text(n) },
		"given":  func(n *yaml.Node) { src.given = s.usesParam(n) },
	})
	if given != 1 {
		s.Fail(n, "must have one of from, param, set and cel")
		return nil
	}
	return src
}

// usesParam notes that a parameter is named; whether there is one is known when
// all files are read.
func (s *ruleset) usesParam(n *yaml.Node) string {
	name := s.Text(n)
	if name != "" && len(s.Path) > 1 {
		s.used = append(s.used, usedParam{s.File, s.Path[1], slices.Clone(s.Path), n, name})
	}
	return name
}

// usedParam is where a format names a parameter.
type usedParam struct {
	file, format string
	path         []string
	at           *yaml.Node
	name         string
}

// from reads the path of a member of the record.
func (s *ruleset) from(src *source, n *yaml.Node) {
	src.from = s.Text(n)
	if src.path = pathOf(src.from); src.path == nil && src.from != "" {
		s.Fail(n, "must be the name of a member, or a path of up to 16 names with dots between")
	}
}

// template reads how an identifier is made.
func (s *ruleset) template(n *yaml.Node) *template {
	var t template
	sources := map[string]*source{}
	known := yamlfile.Keys{
		"format":  func(n *yaml.Node) { t.format = s.Text(n) },
		"lenient": func(n *yaml.Node) { t.lenient = s.Truth(n) },
	}
	var formats []string
	for format, names := range identifierMembers() {
		formats = append(formats, format)
		for _, name := range names {
			known[name] = func(n *yaml.Node) { sources[name] = s.source(n, asText) }
		}
	}
	slices.Sort(formats)
	if !s.Object(n, known) {
		return nil
	}
	names := identifierMembers()[t.format]
	if names == nil {
		s.Fail(n, "must have a format: %s", strings.Join(formats, ", "))
		return nil
	}
	for _, name := range names {
		if sources[name] == nil {
			s.Fail(n, "lacks %s, which the format %s has", name, t.format)
			return nil
		}
		t.members = append(t.members, sources[name])
	}
	if len(sources) != len(names) {
		s.Fail(n, "has a member that the format %s has not", t.format)
		return nil
	}
	return &t
}

// expression compiles a text. Its faults are told at their lines.
func (s *ruleset) expression(env *cel.Env, n *yaml.Node, what string, want *cel.Type) *expression {
	text := s.Text(n)
	if text == "" {
		return nil
	}
	x, issues, err := compile(env, text, fmt.Sprintf("%s (%s:%d)", what, s.File, n.Line), want)
	switch {
	case issues != nil:
		for _, e := range issues.Errors() {
			at := *n
			at.Line += max(e.Location.Line(), 1) - 1
			if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
				at.Line++
			}
			s.Fail(&at, "%s: column %d: %s", what, e.Location.Column()+1, e.Message)
		}
		return nil
	case err != nil:
		s.Fail(n, "%s: %s", what, err)
		return nil
	}
	return x
}
