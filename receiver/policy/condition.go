package policy

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Limits of a condition.
const (
	maxConditionBytes = 4096
	maxConditionDepth = 64
	// maxCost is the most that one evaluation may cost, in the units of CEL: about
	// one per operation, and one per ten bytes of a text that it reads.
	maxCost = 50_000
)

// condition is a CEL expression, compiled.
type condition struct {
	text    string
	env     *cel.Env
	ast     *cel.Ast
	program cel.Program
}

// environment returns what conditions may speak of.
func environment() (*cel.Env, error) {
	return cel.NewEnv(
		cel.ParserExpressionSizeLimit(maxConditionBytes),
		cel.ParserRecursionLimit(maxConditionDepth),
		cel.OptionalTypes(),
		cel.EnableMacroCallTracking(), // explanations quote them
		cel.Variable("event", cel.DynType),
		cel.Variable("event_type", cel.StringType),
		cel.Variable("event_name", cel.StringType),
		cel.Variable("event_time", cel.TimestampType),
		cel.Variable("issued_at", cel.TimestampType),
		cel.Variable("received", cel.TimestampType),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("subject", cel.DynType),
		cel.Variable("scope", cel.DynType),
		cel.Variable("issuer", cel.StringType),
		cel.Variable("feed", cel.StringType),
		cel.Variable("jti", cel.StringType),
		cel.Variable("txn", cel.StringType),
		cel.Function("lower", cel.Overload("lower_string",
			[]*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(lower))),
	)
}

// lower is lower(s): a text in lower case.
func lower(value ref.Val) ref.Val {
	s, ok := value.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(value)
	}
	return types.String(strings.ToLower(string(s)))
}

// compile compiles a condition. The fault is in words; line is that of the
// expression in which it is, from 0.
func compile(env *cel.Env, text string) (c *condition, fault string, line int) {
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, first.Message, max(first.Location.Line()-1, 0)
	}
	if kind := ast.OutputType(); !kind.IsExactType(cel.BoolType) && !kind.IsExactType(cel.DynType) {
		return nil, fmt.Sprintf("is %s, want true or false", kind), 0
	}
	program, err := env.Program(ast, cel.CostLimit(maxCost))
	if err != nil {
		return nil, err.Error(), 0
	}
	return &condition{text, env, ast, program}, "", 0
}

// errAbsent: the condition speaks of a member that is not there; it is not true.
var errAbsent = errors.New("speaks of a member that is absent")

// holds returns the value of the condition. Errors: one that is errAbsent, or one
// that says what makes it impossible to tell, without a word of the event.
func (c *condition) holds(in *input) (bool, error) {
	value, _, err := c.program.Eval(in.variables())
	return truth(value, err)
}

func truth(value ref.Val, err error) (bool, error) {
	if err != nil {
		return false, reasonOf(err)
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, errors.New("is not true or false")
	}
	return bool(b), nil
}

// reasonOf says why an evaluation failed.
func reasonOf(err error) error {
	text := err.Error()
	if strings.Contains(text, "no such key") {
		return errAbsent
	}
	for _, known := range []struct{ has, say string }{
		{"cost limit", "costs too much to evaluate"},
		{"no such overload", "has values of the wrong types for an operation"},
		{"division by zero", "divides by zero"},
		{"modulus by zero", "divides by zero"},
		{"overflow", "has a number that is too large"},
		{"index out of bounds", "has an index out of bounds"},
	} {
		if strings.Contains(text, known.has) {
			return errors.New(known.say)
		}
	}
	return errors.New("cannot be evaluated for this event")
}
