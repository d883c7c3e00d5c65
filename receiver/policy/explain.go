package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/set/celrules"
)

// maxShown is the longest value that an explanation quotes, in bytes.
const maxShown = 200

// Step is a rule that was looked at.
type Step struct {
	Rule    string  `json:"rule"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Matched bool    `json:"matched"`
	Why     string  `json:"why,omitempty"`    // it did not match
	Stop    bool    `json:"stop,omitempty"`   // if it matches, no other is looked at
	Values  []Value `json:"values,omitempty"` // of what its condition speaks of

	err error
}

// Value is the value of a part of a condition, as JSON, or "absent".
type Value struct {
	Expression string `json:"expression"`
	Value      string `json:"value"`
}

// Asked is what would be asked of a hook.
type Asked struct {
	Hook   string `json:"hook"`
	Effect string `json:"effect"`
	Rule   string `json:"rule"`
	Dry    bool   `json:"dry,omitempty"` // it would only be noted
	// Known is the verdict of the journal if the hook is not asked again.
	Known string `json:"known,omitempty"`
	// Note says why it is less than the rule wants.
	Note string `json:"note,omitempty"`
}

// Explanation says what would be done about an event, and why. It quotes the event: it
// is for the eyes of whoever runs the receiver.
type Explanation struct {
	Issuer        string `json:"iss"`
	ID            string `json:"jti"`
	TransactionID string `json:"txn,omitempty"`
	Type          string `json:"type"`
	// Scope is the kind of whom the event is about, Members are the names of the
	// members of the subject ("" for that of a simple one).
	Scope   string   `json:"scope"`
	Members []string `json:"members"`
	// Until is the time at or before which sessions must have begun to be meant.
	Until  time.Time `json:"until"`
	Rules  []Step    `json:"rules"`
	Hooks  []Asked   `json:"hooks"`
	Errors []string  `json:"errors,omitempty"` // with which it would become a dead letter
}

// Explain says what Handle would do about d, in the feed of that name, and does
// nothing. See receiver.NewDelivery for a token at hand. The error is the journal's.
func (e *Engine) Explain(ctx context.Context, feed string, d receiver.Delivery) (Explanation, error) {
	x := Explanation{
		Issuer: d.Issuer, ID: d.ID, TransactionID: d.TransactionID, Type: d.Type,
		Members: []string{}, Until: d.EventTime, Rules: []Step{}, Hooks: []Asked{},
	}
	p, err := e.plan(ctx, feed, d, func(s Step) { x.Rules = append(x.Rules, s) })
	if err != nil {
		return x, fmt.Errorf("policy: the journal cannot be read: %w", err)
	}
	if err := e.hear(ctx, p); err != nil {
		return x, fmt.Errorf("policy: the journal cannot be read: %w", err)
	}
	x.Scope = kindOf(p.scope)
	for _, m := range p.scope {
		x.Members = append(x.Members, m.Name)
	}
	for _, t := range p.tasks {
		a := Asked{Hook: t.hook, Effect: string(t.effect), Rule: t.rule, Dry: t.dry, Known: string(t.verdict), Note: t.note()}
		switch {
		case t.outdated:
			a.Known = string(journal.Outdated)
		case t.held && t.effect == hooks.Allow:
			a.Known = string(journal.Held)
		}
		x.Hooks = append(x.Hooks, a)
	}
	for _, err := range p.wrong {
		x.Errors = append(x.Errors, strings.TrimPrefix(err.Error(), "policy: "))
	}
	return x, nil
}

// WriteTo writes the explanation for people.
func (x Explanation) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  jti %s", x.Type, x.ID)
	if x.TransactionID != "" {
		fmt.Fprintf(&b, ", txn %s", x.TransactionID)
	}
	fmt.Fprintf(&b, ", from %s\n  about one %s, sessions begun until %s\n\nrules\n", x.Issuer, x.scopeText(), x.Until.UTC().Format(time.RFC3339))
	for _, s := range x.Rules {
		word := "matches"
		if !s.Matched {
			word = "no: " + s.Why
		} else if s.Stop {
			word += ", and no other is looked at"
		}
		fmt.Fprintf(&b, "  %s (%s:%d)  %s\n", s.Rule, s.File, s.Line, word)
		for _, v := range s.Values {
			fmt.Fprintf(&b, "      %s = %s\n", v.Expression, v.Value)
		}
	}
	b.WriteString("\nhooks\n")
	if len(x.Hooks) == 0 {
		b.WriteString("  none is asked\n")
	}
	for _, a := range x.Hooks {
		fmt.Fprintf(&b, "  %s: %s (rule %s)%s\n", a.Hook, a.Effect, a.Rule, a.remark())
	}
	for _, e := range x.Errors {
		fmt.Fprintf(&b, "\nit becomes a dead letter: %s\n", e)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (x Explanation) scopeText() string {
	if len(x.Members) == 0 || slices.Equal(x.Members, []string{""}) {
		return x.Scope
	}
	return x.Scope + " (" + strings.Join(x.Members, ", ") + ")"
}

func (a Asked) remark() string {
	var words []string
	if a.Dry {
		words = append(words, "dry run")
	}
	if a.Known != "" {
		words = append(words, "not asked: "+a.Known)
	}
	if a.Note != "" {
		words = append(words, a.Note)
	}
	if words == nil {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

// trace evaluates the condition and returns the values of what it speaks of, as far as
// they were looked at.
func (c *condition) trace(in *input) []Value {
	program, err := c.env.Program(c.ast, cel.CostLimit(celrules.MaxCost), cel.EvalOptions(cel.OptTrackState))
	if err != nil {
		return nil
	}
	_, details, _ := program.Eval(in.variables())
	if details == nil {
		return nil
	}
	t := tracer{state: details.State(), info: c.ast.NativeRep().SourceInfo()}
	t.visit(c.ast.NativeRep().Expr())
	return t.values
}

// tracer collects the values of the members and names in an expression.
type tracer struct {
	state  interpreter.EvalState
	info   *celast.SourceInfo
	values []Value
}

func (t *tracer) visit(e celast.Expr) {
	switch e.Kind() {
	case celast.IdentKind, celast.SelectKind, celast.ComprehensionKind:
		t.note(e)
	case celast.CallKind:
		if e.AsCall().FunctionName() == "_[_]" {
			t.note(e)
			return
		}
		if e.AsCall().IsMemberFunction() {
			t.visit(e.AsCall().Target())
		}
		for _, arg := range e.AsCall().Args() {
			t.visit(arg)
		}
	case celast.ListKind:
		for _, element := range e.AsList().Elements() {
			t.visit(element)
		}
	}
}

func (t *tracer) note(e celast.Expr) {
	value, looked := t.state.Value(e.ID())
	text, err := cel.ExprToString(e, t.info)
	if !looked || err != nil || slices.ContainsFunc(t.values, func(v Value) bool { return v.Expression == text }) {
		return
	}
	t.values = append(t.values, Value{text, shown(value)})
}

// shown is a value for people.
func shown(value ref.Val) string {
	if value == nil || types.IsUnknownOrError(value) {
		return "absent"
	}
	b, err := json.Marshal(value.Value())
	if err != nil {
		b = fmt.Append(nil, value.Value())
	}
	if len(b) > maxShown {
		return strings.ToValidUTF8(string(b[:maxShown]), "") + "…"
	}
	return string(b)
}
