package policy

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tocsin-ssf/tocsin/set/celrules"
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
	return cel.NewEnv(append(celrules.Options(),
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
	)...)
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
	program, err := env.Program(ast, cel.CostLimit(celrules.MaxCost))
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
	switch {
	case err != nil && celrules.Absent(err):
		return false, errAbsent
	case err != nil:
		return false, errors.New(celrules.Reason(err))
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, errors.New("is not true or false")
	}
	return bool(b), nil
}
