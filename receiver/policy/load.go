package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// Limits of rules.
const (
	maxRules = 1000
	maxTests = 10_000 // of a file
	maxDo    = 16     // of a rule
	maxName  = journal.MaxNameBytes
)

// Words of rules.
const (
	all  = "all"  // every hook
	none = "none" // no hook; a scope without members
)

// ruleset reads sources, one after the other.
type ruleset struct {
	yamlfile.Reader
	env        *cel.Env
	names      map[string]string // of event types
	known      Known
	rules      []*rule
	byName     map[string]*rule
	tests      []ruleTest
	noDefaults bool
}

// load reads a source.
func (s *ruleset) load(source Source) {
	s.File, s.Path = source.Name, nil
	root := s.Document(source.YAML)
	if root == nil {
		return
	}
	known := yamlfile.Keys{
		"rules": func(n *yaml.Node) { s.List(n, maxRules, s.rule) },
		"tests": func(n *yaml.Node) { s.List(n, maxTests, s.test) },
		"default_rules": func(n *yaml.Node) {
			s.noDefaults = !s.Truth(n)
		},
	}
	if !source.Part {
		s.Object(root, known)
		return
	}
	s.Each(root, func(key string, _, value *yaml.Node) {
		if read := known[key]; read != nil {
			read(value)
		}
	})
}

// rule reads a rule. A rule of the defaults whose name is taken is left out.
func (s *ruleset) rule(n *yaml.Node) {
	r := &rule{file: s.File, line: n.Line, known: s.known.Issuers}
	does := false
	ok := s.Object(n, yamlfile.Keys{
		"name": func(n *yaml.Node) { r.name = s.Text(n) },
		"when": func(n *yaml.Node) { s.when(r, n) },
		"do":   func(n *yaml.Node) { s.do(r, n); does = true },
		"stop": func(n *yaml.Node) { r.stop = s.Truth(n) },
	})
	if !ok {
		return
	}
	before, taken := s.byName[r.name]
	switch {
	case r.name == "" || len(r.name) > maxName:
		s.Fail(n, "lacks name, a text of 1 to %d bytes", maxName)
	case !does:
		s.Fail(n, "lacks do: an effect (%s), or none", effectNames())
	case taken && r.file == Defaults().Name && before.file != r.file:
		return
	case taken:
		s.Fail(n, "the name %q is that of the rule at %s:%d", r.name, before.file, before.line)
	case len(s.rules) == maxRules:
		s.Fail(n, "there are more than %d rules", maxRules)
	default:
		s.byName[r.name] = r
		s.rules = append(s.rules, r)
	}
}

func (s *ruleset) when(r *rule, n *yaml.Node) {
	s.Object(n, yamlfile.Keys{
		"type": func(n *yaml.Node) {
			s.words(n, func(at *yaml.Node, word string) { r.types = append(r.types, s.eventType(at, word)) })
		},
		"issuer": func(n *yaml.Node) {
			s.words(n, func(at *yaml.Node, word string) { r.issuers = append(r.issuers, s.issuer(at, word)) })
		},
		"scope": func(n *yaml.Node) {
			s.words(n, func(at *yaml.Node, word string) {
				if word != none && !subject.StandardMember(word) {
					s.Fail(at, "must be session, device, user, group, org_unit, application, tenant, or none")
				}
				r.scopes = append(r.scopes, word)
			})
		},
		"if": func(n *yaml.Node) {
			text := s.Text(n)
			if text == "" {
				return
			}
			c, fault, line := compile(s.env, text)
			if fault != "" {
				at := *n
				if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
					at.Line++ // the text begins on the line after the sign
				}
				if n.Style&yaml.LiteralStyle != 0 {
					at.Line += line
				}
				s.Fail(&at, "%s", fault)
				return
			}
			r.when = c
		},
	})
}

// eventType returns the URI of a name or of a URI.
func (s *ruleset) eventType(n *yaml.Node, word string) string {
	uri, known := s.names[word]
	switch {
	case known:
		return uri
	case control(word) || controlName(word):
		s.Fail(n, "%s is about the stream and comes to no hook", word)
	case len(word) > set.MaxTypeBytes:
		s.Fail(n, "is longer than %d bytes", set.MaxTypeBytes)
	case !strings.Contains(word, ":"):
		s.Fail(n, "%q is no event type; known by name are %s; any other is named by its URI", word, yamlfile.Names(s.names))
	}
	return word
}

// issuer reads the name of an issuer, or its iss.
func (s *ruleset) issuer(n *yaml.Node, word string) origin {
	if iss, ok := s.known.Issuers[word]; ok {
		return origin{name: word, iss: iss}
	}
	known := s.known.Issuers == nil
	for _, iss := range s.known.Issuers {
		known = known || iss == word
	}
	if !known {
		s.Fail(n, "%q is no issuer; known are %s", word, yamlfile.Names(s.known.Issuers))
	}
	return origin{iss: word}
}

// do reads what is to be done: an effect, {effect, hooks}, or a list of such.
func (s *ruleset) do(r *rule, n *yaml.Node) {
	if n.Kind == yaml.SequenceNode {
		s.List(n, maxDo, func(n *yaml.Node) { s.doOne(r, n) })
		return
	}
	if n.Kind == yaml.ScalarNode && n.Value == none {
		return
	}
	s.doOne(r, n)
}

func (s *ruleset) doOne(r *rule, n *yaml.Node) {
	var effect hooks.Effect
	names := s.known.Hooks
	if n.Kind != yaml.MappingNode {
		effect = s.effect(n)
	} else {
		s.Object(n, yamlfile.Keys{
			"effect": func(n *yaml.Node) { effect = s.effect(n) },
			"hooks":  func(n *yaml.Node) { names = s.hookNames(n) },
		})
		if effect == "" {
			s.Fail(n, "lacks effect: %s", effectNames())
		}
	}
	for _, hook := range names {
		r.do = append(r.do, choice{hook, effect})
	}
}

func (s *ruleset) effect(n *yaml.Node) hooks.Effect {
	effect := hooks.Effect(s.Text(n))
	if effect != "" && !slices.Contains(hooks.Effects(), effect) {
		s.Fail(n, "%q is no effect; known are %s", effect, effectNames())
	}
	return effect
}

// hookNames reads the names of hooks, or all.
func (s *ruleset) hookNames(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode && n.Value == all {
		return s.known.Hooks
	}
	var names []string
	s.words(n, func(at *yaml.Node, word string) {
		if !slices.Contains(s.known.Hooks, word) {
			s.Fail(at, "%q is no hook; known are %s", word, strings.Join(slices.Sorted(slices.Values(s.known.Hooks)), ", "))
		}
		names = append(names, word)
	})
	return names
}

func effectNames() string {
	var names []string
	for _, e := range hooks.Effects() {
		names = append(names, string(e))
	}
	return strings.Join(names, ", ")
}

// kindOf is the kind of a scope as rules name it.
func kindOf(scope receiver.Scope) string {
	if kind := scope.Kind(); kind != "" {
		return kind
	}
	return none
}
