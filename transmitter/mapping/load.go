package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// Limits of rules.
const (
	maxFormats    = 64
	maxHandles    = 10_000 // of a format
	maxRules      = 32     // of a handle
	maxLets       = 16     // of a rule
	maxSources    = 8      // that one value may come from
	maxFormatName = 64     // bytes
)

// ruleset reads rules files, one over the other.
type ruleset struct {
	yamlfile.Reader
	m       *Mapper
	env     *cel.Env
	formats map[string]*format
	order   []string
	used    []usedParam
}

// clone returns a ruleset that can be changed without changing s.
func (s *ruleset) clone() *ruleset {
	c := &ruleset{env: s.env, formats: make(map[string]*format, len(s.formats)), order: slices.Clone(s.order), used: slices.Clone(s.used)}
	for name, f := range s.formats {
		c.formats[name] = f.clone()
	}
	return c
}

// load reads a file.
func (s *ruleset) load(file RulesFile) {
	root := s.root(file)
	if root == nil {
		return
	}
	s.Object(root, yamlfile.Keys{
		"formats": func(n *yaml.Node) {
			s.Each(n, func(name string, at, value *yaml.Node) { s.format(name, at, value) })
		},
		"tests": func(*yaml.Node) {}, // see tests.go
	})
}

// format reads what a file says of a format, over what is known of it.
func (s *ruleset) format(name string, at, n *yaml.Node) {
	f := s.formats[name]
	if f == nil {
		if len(s.formats) >= maxFormats || !isFormatName(name) {
			s.Fail(at, "must be a lower-case word of at most 64 letters, digits, - and _, and there are at most 64 formats")
			return
		}
		f = &format{
			name: name, file: s.File, line: at.Line,
			params: map[string]json.RawMessage{}, attributes: map[string]*source{}, groups: map[string]string{}, handles: map[string]*handle{},
		}
		s.formats[name] = f
		s.order = append(s.order, name)
	}
	s.Object(n, yamlfile.Keys{
		"title":      func(n *yaml.Node) { f.title = s.Text(n) },
		"params":     func(n *yaml.Node) { s.params(f, n) },
		"require":    func(n *yaml.Node) { s.require(f, n) },
		"envelope":   func(n *yaml.Node) { s.envelope(f, n) },
		"record":     func(n *yaml.Node) { s.record(f, n) },
		"user":       func(n *yaml.Node) { s.user(f, n) },
		"acted":      func(n *yaml.Node) { s.acted(f, n) },
		"attributes": func(n *yaml.Node) { s.attributes(f, n) },
		"groups": func(n *yaml.Node) {
			s.Each(n, func(group string, _, value *yaml.Node) { f.groups[group] = s.category(value) })
		},
		"handles": func(n *yaml.Node) { s.handles(f, n) },
		"every":   func(n *yaml.Node) { s.every(f, n) },
	})
}

func isFormatName(name string) bool {
	return name != "" && len(name) <= maxFormatName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// category reads a category: a lower-case word.
func (s *ruleset) category(n *yaml.Node) string {
	word := s.Text(n)
	if word != "" && !isFormatName(word) {
		s.Fail(n, "must be a lower-case word")
	}
	return word
}

func (s *ruleset) params(f *format, n *yaml.Node) {
	s.Each(n, func(name string, at, value *yaml.Node) {
		if raw := s.json(value); raw != nil {
			f.params[name] = raw
		}
	})
}

func (s *ruleset) require(f *format, n *yaml.Node) {
	s.List(n, maxMembers, func(n *yaml.Node) {
		var r requirement
		s.Object(n, yamlfile.Keys{
			"that": func(n *yaml.Node) { r.that = s.expression(s.env, n, "that", cel.BoolType) },
			"or":   func(n *yaml.Node) { r.or = s.Text(n) },
		})
		if r.that == nil || r.or == "" {
			s.Fail(n, "must have that, an expression, and or, what is wrong if it is false")
			return
		}
		f.require = append(f.require, r)
	})
}

func (s *ruleset) envelope(f *format, n *yaml.Node) {
	var v envelope
	s.Object(n, yamlfile.Keys{
		"members": func(n *yaml.Node) { v.members = s.words(n) },
		"list":    func(n *yaml.Node) { v.list = s.Text(n) },
	})
	if v.list == "" || !slices.Contains(v.members, v.list) {
		s.Fail(n, "must have members, and list, which is one of them")
		return
	}
	f.envelope = &v
}

func (s *ruleset) record(f *format, n *yaml.Node) {
	s.Object(n, yamlfile.Keys{
		"handle":  func(n *yaml.Node) { f.handle = s.source(n, asText) },
		"id":      func(n *yaml.Node) { f.id = s.source(n, asText) },
		"time":    func(n *yaml.Node) { f.time = s.source(n, asTime) },
		"session": func(n *yaml.Node) { f.session = s.source(n, asText) },
	})
}

func (s *ruleset) user(f *format, n *yaml.Node) {
	f.user = nil
	s.List(n, maxMembers, func(n *yaml.Node) {
		if t := s.template(n); t != nil {
			f.user = append(f.user, t)
		}
	})
}

func (s *ruleset) acted(f *format, n *yaml.Node) {
	a := &acted{}
	s.Object(n, yamlfile.Keys{
		"system": func(n *yaml.Node) { a.system = s.source(n, asText) },
		"actor":  func(n *yaml.Node) { a.actor = s.source(n, asText) },
		"user":   func(n *yaml.Node) { a.user = s.source(n, asText) },
	})
	f.acted = a
}

func (s *ruleset) attributes(f *format, n *yaml.Node) {
	known := yamlfile.Keys{}
	for _, name := range []string{"ip_address", "risk_score", "risk_reasons", "suspect", "tags"} {
		known[name] = func(n *yaml.Node) { f.attributes[name] = s.source(n, asText) }
	}
	for name := range textAttributes() {
		known[name] = func(n *yaml.Node) { f.attributes[name] = s.source(n, asText) }
	}
	known["signals"] = func(n *yaml.Node) {
		s.Each(n, func(name string, at, value *yaml.Node) {
			if len(name) > maxTagName {
				s.Fail(at, "is longer than 64 bytes")
				return
			}
			f.signals = slices.DeleteFunc(f.signals, func(m member) bool { return m.name == name })
			if f.signals = append(f.signals, member{name, s.source(value, asText)}); len(f.signals) > maxMembers {
				s.Fail(at, "there are more than 64 signals")
			}
		})
	}
	s.Object(n, known)
}

// finish checks the formats as a whole and makes them ready.
func (s *ruleset) finish() {
	for _, u := range s.used {
		if f := s.formats[u.format]; f != nil && f.params[u.name] == nil {
			s.File, s.Path = u.file, u.path
			s.Fail(u.at, "there is no parameter %q", printable(u.name))
		}
	}
	for _, name := range s.order {
		f := s.formats[name]
		s.File, s.Path = f.file, []string{"formats", name}
		at := &yaml.Node{Line: f.line}
		if f.handle == nil {
			s.Fail(at, "lacks record.handle: what happened")
			continue
		}
		values := map[string]ref.Val{}
		for name, raw := range f.params {
			values[name] = valueOf(raw)
		}
		f.paramsValue = types.NewStringInterfaceMap(types.DefaultTypeAdapter, anyMap(values))
		all := textAttributes()
		f.texts = nil
		for name, src := range f.attributes {
			if of := all[name]; of != nil {
				f.texts = append(f.texts, textAttribute{name, of, src})
			}
		}
		slices.SortFunc(f.texts, func(a, b textAttribute) int { return strings.Compare(a.name, b.name) })
		s.switches(f, at)
	}
}

func anyMap(values map[string]ref.Val) map[string]any {
	m := make(map[string]any, len(values))
	for name, value := range values {
		m[name] = value
	}
	return m
}

// switches checks what params must fulfil and finds out which rules are enabled.
func (s *ruleset) switches(f *format, at *yaml.Node) {
	e := &evaluation{mapper: s.m, format: f}
	for _, r := range f.require {
		if ok, err := r.that.holds(e); err != nil || !ok {
			s.Fail(at, "params: %s", r.or)
		}
	}
	check := func(r *rule) {
		if r.enabled == nil {
			return
		}
		ok, err := r.enabled.holds(e)
		if err != nil {
			s.File = r.file
			s.Fail(&yaml.Node{Line: r.line}, "enabled: %s", strings.TrimPrefix(err.Error(), "mapping: "))
		}
		r.off = !ok
	}
	for _, id := range f.order {
		for _, r := range f.handles[id].rules {
			check(r)
		}
	}
	f.active = nil
	for _, r := range f.every {
		if check(r); !r.off {
			f.active = append(f.active, r)
		}
	}
}

// err returns the faults.
func (s *ruleset) err() error {
	if len(s.Faults) == 0 {
		return nil
	}
	return fmt.Errorf("mapping: rules: %w", errors.Join(s.Faults...))
}
