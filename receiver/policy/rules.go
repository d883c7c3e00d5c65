package policy

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set"
)

//go:embed defaults.yaml
var defaults []byte

// Defaults returns the rules that hold unless a file says otherwise, with their tests.
func Defaults() Source { return Source{Name: "defaults.yaml", YAML: slices.Clone(defaults)} }

// Source is a YAML text with rules (docs/policy.md).
type Source struct {
	Name string // for errors and explanations
	YAML []byte // at most [MaxRulesBytes]
	// Part says that rules are but a part of the file: keys at its top that are not
	// ours are somebody else's to check.
	Part bool
}

// Known is what rules may name.
type Known struct {
	// Hooks are the names of the hooks. At least one; none is "all" or "none".
	Hooks []string
	// Issuers are the issuers by their names, for rules to call them by. Where
	// there is one, a rule that names another issuer is a fault; nil: any is taken.
	Issuers map[string]string
}

// Rules are rules, compiled. Safe for concurrent use.
type Rules struct {
	list  []*rule
	hooks []string // that are known, sorted
	names map[string]string
	tests []ruleTest
}

// rule is one rule.
type rule struct {
	name, file string
	line       int
	types      []string          // URIs; nil: any
	issuers    []origin          // nil: any
	known      map[string]string // Known.Issuers
	scopes     []string          // kinds; nil: any
	when       *condition
	do         []choice
	stop       bool
}

// origin is an issuer as a rule calls it: by the name that the configuration gives it,
// or by its iss, name being empty.
type origin struct{ name, iss string }

// is reports whether an event comes from o. Several names may have one iss: then the
// feed tells them apart, where it is a name.
func (o origin) is(in *input, known map[string]string) bool {
	if iss, named := known[in.feed]; o.name != "" && named && iss == in.d.Issuer {
		return o.name == in.feed
	}
	return o.iss == in.d.Issuer
}

// choice is what a rule wants of a hook.
type choice struct {
	hook   string
	effect hooks.Effect
}

// Load reads the rules of sources, in their order, and behind them the default ones:
// all unless a source says "default_rules: false", otherwise those whose names no
// source has. Faults are [*RulesError], joined.
func Load(known Known, sources ...Source) (*Rules, error) {
	if err := known.check(); err != nil {
		return nil, err
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	s := &ruleset{env: env, names: Names(), known: known, byName: map[string]*rule{}}
	for _, source := range sources {
		s.load(source)
	}
	if !s.noDefaults {
		s.load(Defaults())
	}
	if s.Faults != nil {
		return nil, fmt.Errorf("policy: rules: %w", errors.Join(s.Faults...))
	}
	hooks := slices.Sorted(slices.Values(known.Hooks))
	return &Rules{s.rules, slices.Compact(hooks), s.names, s.tests}, nil
}

func (k Known) check() error {
	if len(k.Hooks) == 0 {
		return errors.New("policy: there is no hook: nothing would ever be done")
	}
	for _, name := range k.Hooks {
		if name == "" || len(name) > maxName || name == all || name == none {
			return fmt.Errorf("policy: a hook cannot be called %q", name)
		}
	}
	return nil
}

// Names returns the names of the rules in the order in which they are looked at.
func (r *Rules) Names() []string {
	names := make([]string, len(r.list))
	for i := range r.list {
		names[i] = r.list[i].name
	}
	return names
}

// order is how strong effects are, the strongest first: of several that rules want of
// one hook the strongest is asked for. Forget is not among them: it stands beside.
func order() []hooks.Effect {
	return []hooks.Effect{hooks.Deny, hooks.End, hooks.Allow, hooks.Reload, hooks.Notify}
}

// chosen is what is asked of a hook, and by which rule.
type chosen struct {
	choice
	rule      string
	eventType string
}

// choose looks at the rules one after the other and returns what is asked of which
// hook, sorted by hook, forget last. told, if not nil, is told of each rule. The errors are those
// of conditions that cannot be told.
func (r *Rules) choose(in *input, told func(Step)) (list []chosen, errs []error) {
	strongest := map[string]chosen{}
	forget := map[string]chosen{}
	for _, rule := range r.list {
		step, event := rule.matches(in, told != nil)
		if told != nil {
			told(step)
		}
		if step.err != nil {
			errs = append(errs, fmt.Errorf("policy: rule %q (%s:%d): its condition %w", rule.name, rule.file, rule.line, step.err))
		}
		if !step.Matched {
			continue
		}
		for _, c := range rule.do {
			into := strongest
			if c.effect == hooks.Forget {
				into = forget
			}
			if have, ok := into[c.hook]; !ok || slices.Index(order(), c.effect) < slices.Index(order(), have.effect) {
				into[c.hook] = chosen{c, rule.name, event.Type}
			}
		}
		if rule.stop {
			break
		}
	}
	for _, of := range []map[string]chosen{strongest, forget} {
		for _, hook := range r.hooks {
			if c, ok := of[hook]; ok {
				list = append(list, c)
			}
		}
	}
	return list, errs
}

// matches reports whether the rule holds for an event of the token, and for which.
func (r *rule) matches(in *input, trace bool) (Step, set.Event) {
	step := Step{Rule: r.name, File: r.file, Line: r.line, Stop: r.stop}
	switch {
	case r.issuers != nil && !slices.ContainsFunc(r.issuers, func(o origin) bool { return o.is(in, r.known) }):
		step.Why = "another issuer"
		return step, set.Event{}
	case r.scopes != nil && !slices.Contains(r.scopes, kindOf(in.scope)):
		step.Why = "the scope is " + kindOf(in.scope)
		return step, set.Event{}
	}
	step.Why = "another event type"
	for _, event := range in.d.Token.Events {
		if control(event.Type) || r.types != nil && !slices.Contains(r.types, event.Type) {
			continue
		}
		if r.when == nil {
			step.Matched, step.Why = true, ""
			return step, event
		}
		ok, err := r.when.holds(in.with(event))
		if trace {
			step.Values = r.when.trace(in.with(event))
		}
		switch {
		case ok:
			step.Matched, step.Why, step.err = true, "", nil
			return step, event
		case errors.Is(err, errAbsent):
			step.Why = "if " + err.Error()
		case err != nil:
			step.Why, step.err = "if "+err.Error(), err
		default:
			step.Why = "if is false"
		}
	}
	return step, set.Event{}
}
