package mapping

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-ssf/tocsin/set/yamlfile"
)

// handles reads what becomes of the handles.
func (s *ruleset) handles(f *format, n *yaml.Node) {
	s.Each(n, func(id string, at, value *yaml.Node) {
		h := f.handles[id]
		if h == nil {
			if len(id) > maxHandle || len(f.handles) >= maxHandles {
				s.Fail(at, "is longer than 128 bytes, or there are more than 10,000")
				return
			}
			h = &handle{}
			f.handles[id] = h
			f.order = append(f.order, id)
		}
		s.Object(value, yamlfile.Keys{
			"name":        func(n *yaml.Node) { h.name = s.Text(n) },
			"description": func(n *yaml.Node) { h.description = s.Text(n) },
			"category":    func(n *yaml.Node) { h.category = s.category(n) },
			"consent": func(n *yaml.Node) {
				if h.consent = s.Text(n); !slices.Contains(consents(), h.consent) {
					s.Fail(n, "must be one of %s", strings.Join(consents(), ", "))
				}
			},
			"events": func(n *yaml.Node) {
				h.rules = nil
				s.List(n, maxRules, func(n *yaml.Node) {
					if r := s.rule(id, n); r != nil {
						h.rules = append(h.rules, r)
					}
				})
			},
		})
	})
}

// consents are what a record may say that its user decided of consent.
func consents() []string { return []string{ConsentGrant, ConsentDeny, ConsentRevoke} }

// every reads the rules for every record. One that has a name of before takes
// its place, or only switches it on or off.
func (s *ruleset) every(f *format, n *yaml.Node) {
	s.Each(n, func(name string, at, value *yaml.Node) {
		i := slices.IndexFunc(f.every, func(r *rule) bool { return r.name == name })
		if value.Kind == yaml.MappingNode && len(value.Content) == 2 && value.Content[0].Value == "enabled" && i >= 0 {
			r := *f.every[i]
			s.enabled(&r, value.Content[1])
			f.every[i] = &r
			return
		}
		r := s.rule(name, value)
		switch {
		case r == nil:
		case i >= 0:
			f.every[i] = r
		case len(f.every) >= maxMembers:
			s.Fail(at, "there are more than 64")
		default:
			f.every = append(f.every, r)
		}
	})
}

// enabled reads true, false, or a condition on params.
func (s *ruleset) enabled(r *rule, n *yaml.Node) {
	if n = yamlfile.Target(n); n.Tag == "!!bool" {
		r.enabled, r.off = nil, !s.Truth(n)
		return
	}
	r.enabled = s.expression(s.env, n, "enabled", cel.BoolType)
}

// rule reads a rule, nil if it has faults.
func (s *ruleset) rule(name string, n *yaml.Node) *rule {
	before := len(s.Faults)
	r := &rule{name: name, file: s.File, line: n.Line, subject: form{word: formUser}}
	env := s.env
	members := map[string]*yaml.Node{}
	var data []member
	add := func(name string, at *yaml.Node, src *source) {
		if members[name] != nil {
			s.Fail(at, "stands in more than one of set, from and cel")
		}
		members[name] = at
		data = append(data, member{name, src})
	}
	var rest []func()
	later := func(read func(n *yaml.Node)) func(n *yaml.Node) {
		return func(n *yaml.Node) { // what lets name must be known before
			path := slices.Clone(s.Path)
			rest = append(rest, func() { s.Path = path; read(n) })
		}
	}
	path := slices.Clone(s.Path)
	ok := s.Object(n, yamlfile.Keys{
		"event":   func(n *yaml.Node) { s.event(r, n) },
		"enabled": func(n *yaml.Node) { s.enabled(r, n) },
		"needs":   func(n *yaml.Node) { r.needs = s.paths(n) },
		"past":    func(n *yaml.Node) { r.past = s.Truth(n) },
		"any":     func(n *yaml.Node) { r.anyOf = s.paths(n) },
		"let":     func(n *yaml.Node) { env = s.lets(r, n) },
		"when":    later(func(n *yaml.Node) { r.when = s.expression(env, n, "when", cel.BoolType) }),
		"subject": later(func(n *yaml.Node) { r.subject = s.form(n) }),
		"set": func(n *yaml.Node) {
			s.Each(n, func(name string, at, value *yaml.Node) {
				if raw := s.json(value); raw != nil {
					add(name, at, &source{set: raw})
				}
			})
		},
		"from": func(n *yaml.Node) {
			s.Each(n, func(name string, at, value *yaml.Node) {
				if src := s.source(value, asText); src != nil {
					add(name, at, src)
				}
			})
		},
		"cel": later(func(n *yaml.Node) {
			s.Each(n, func(name string, at, value *yaml.Node) {
				if x := s.expression(env, value, name, cel.DynType); x != nil {
					add(name, at, &source{expr: x})
				}
			})
		}),
	})
	for _, read := range rest {
		read()
	}
	s.Path = path
	if !ok || len(s.Faults) > before {
		return nil
	}
	if r.event == "" {
		s.Fail(n, "lacks event: the name of an account event or an event type URI")
		return nil
	}
	r.data = data
	r.said = members[memberInitiator] != nil
	if name, wrong := r.check(); wrong != "" {
		at := members[name]
		if at == nil {
			at = n
		}
		s.Fail(at, "%s %s", name, wrong)
		return nil
	}
	return r
}

// event reads what a rule makes.
func (s *ruleset) event(r *rule, n *yaml.Node) {
	r.event = s.Text(n)
	if r.event == "" {
		return
	}
	if r.named = s.m.named[r.event]; r.named != nil {
		return
	}
	if err := s.m.checkType(r.event); err != nil {
		s.Fail(n, "%s", err.(*Error).Description) //nolint:errorlint // checkType returns no other
		return
	}
	for _, named := range s.m.named {
		if named.Type == r.event {
			r.named = named
		}
	}
}

// lets reads the names that a rule gives to values, and returns the environment
// in which they are known.
func (s *ruleset) lets(r *rule, n *yaml.Node) *cel.Env {
	env := s.env
	s.Each(n, func(name string, at, value *yaml.Node) {
		if len(r.lets) >= maxLets {
			s.Fail(at, "there are more than 16")
			return
		}
		x := s.expression(env, value, name, cel.DynType)
		if x == nil {
			return
		}
		if _, taken := (&evaluation{format: &format{}}).ResolveName(name); taken || !isName(name) {
			s.Fail(at, "must be a new name of letters, digits and _")
			return
		}
		wider, err := env.Extend(cel.Variable(name, cel.DynType))
		if err != nil {
			s.Fail(at, "%s", err)
			return
		}
		env = wider
		r.lets = append(r.lets, binding{name, x})
	})
	return env
}

func isName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= maxFormatName
}

func (s *ruleset) paths(n *yaml.Node) [][]string {
	var paths [][]string
	for _, text := range s.words(n) {
		path := pathOf(text)
		if path == nil {
			s.Fail(n, "%q is not the name of a member or a path", printable(text))
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

// form reads whom an event is about: a word, an identifier, or a complex
// subject of such.
func (s *ruleset) form(n *yaml.Node) form {
	if n.Kind == yaml.ScalarNode {
		switch n.Value {
		case formUser, formSession, formEmail, formDevice:
			return form{word: n.Value}
		}
		s.Fail(n, "must be user, session, email, device, or an object")
		return form{}
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != "complex" {
		return form{simple: s.template(n)}
	}
	var f form
	s.Object(n, yamlfile.Keys{"complex": func(n *yaml.Node) {
		s.Each(n, func(name string, at, value *yaml.Node) {
			p := part{name: name}
			switch {
			case value.Kind == yaml.MappingNode:
				p.simple = s.template(value)
			case value.Value == formUser, value.Value == formSession, value.Value == formDevice:
				p.word = value.Value
			default:
				s.Fail(value, "must be user, session, device, or an identifier")
			}
			f.complex = append(f.complex, p)
		})
		if len(f.complex) == 0 || len(f.complex) > maxListElements {
			s.Fail(n, "must have members")
		}
	}})
	return f
}
