package mapping

import (
	"encoding/json"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tocsin-ssf/tocsin/set/celrules"
)

// Limits of an expression, besides those that all rules have.
const (
	// maxValueSize is the size that an estimate takes for that of a text or a list
	// of the record.
	maxValueSize = 64 << 10
	// maxResultBytes is the longest value that an expression may make.
	maxResultBytes = 16 << 10
)

// expression is a CEL expression, compiled.
type expression struct {
	where   string // "when (acme.yaml:12)"
	program cel.Program
}

// celEnvironment returns what expressions may speak of.
func celEnvironment() (*cel.Env, error) {
	known := cel.ObjectType(previousTypeName)
	return cel.NewEnv(append(celrules.Options(),
		cel.Variable("record", cel.DynType),
		cel.Variable("handle", cel.StringType),
		cel.Variable("id", cel.StringType),
		cel.Variable("time", cel.TimestampType),
		cel.Variable("user", cel.StringType),
		cel.Variable("device", cel.StringType),
		cel.Variable("session", cel.StringType),
		cel.Variable("params", cel.DynType),
		cel.Variable("previous", known),
		cel.Function("at", cel.MemberOverload("record_at_string",
			[]*cel.Type{cel.DynType, cel.StringType}, cel.DynType, cel.BinaryBinding(celAt))),
		cel.Function("user", cel.MemberOverload("previous_user_string",
			[]*cel.Type{known, cel.StringType}, cel.StringType, cel.BinaryBinding(celPreviousUser))),
		cel.Function("device", cel.MemberOverload("previous_device_string",
			[]*cel.Type{known, cel.StringType}, cel.StringType, cel.BinaryBinding(celPreviousDevice))),
		cel.Function("level", cel.Overload("level_score_medium_high",
			[]*cel.Type{cel.DynType, cel.DynType, cel.DynType}, cel.StringType, cel.FunctionBinding(celLevel))),
		cel.Function("text", cel.Overload("text_any",
			[]*cel.Type{cel.DynType}, cel.StringType, cel.UnaryBinding(celText))),
	)...)
}

// compile compiles an expression whose result has the type, or is anything.
func compile(env *cel.Env, text, where string, want *cel.Type) (*expression, *cel.Issues, error) {
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, issues, issues.Err()
	}
	if want != cel.DynType && !want.IsAssignableType(ast.OutputType()) && ast.OutputType() != cel.DynType {
		return nil, nil, fmt.Errorf("is %s, want %s", ast.OutputType(), want)
	}
	var options []cel.ProgramOption
	if estimate, err := env.EstimateCost(ast, sizes{}); err != nil || estimate.Max > celrules.MaxCost {
		options = append(options, cel.CostLimit(celrules.MaxCost)) // else it surely costs less: nothing has to be counted
	}
	program, err := env.Program(ast, options...)
	if err != nil {
		return nil, nil, err
	}
	return &expression{where, program}, nil, nil
}

// sizes are what texts and lists may have at most, for the estimate of a cost.
type sizes struct{}

// EstimateSize returns the bounds of what a record or a name may hold.
func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Max: maxValueSize}
}

// EstimateCallCost leaves the cost of functions to CEL.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// eval returns the value of the expression, nil if it speaks of a member that
// the record has not: about what is absent nothing is said.
func (x *expression) eval(e *evaluation) (ref.Val, error) {
	value, _, err := x.program.Eval(e)
	if err == nil {
		if o, ok := value.(*types.Optional); ok {
			if !o.HasValue() {
				return nil, nil
			}
			value = o.GetValue()
		}
		return value, nil
	}
	if e.letErr != nil {
		return nil, e.letErr
	}
	if celrules.Absent(err) {
		return nil, nil
	}
	if e.origins != nil {
		return nil, &Error{"", x.where + ": " + err.Error()}
	}
	return nil, &Error{"", x.where + ": " + celrules.Reason(err)}
}

// holds returns the value of a condition. What is absent makes none true.
func (x *expression) holds(e *evaluation) (bool, error) {
	value, err := x.eval(e)
	if err != nil || value == nil {
		return false, err
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, &Error{"", x.where + ": is not true or false"}
	}
	return bool(b), nil
}

// json returns the value as JSON, nil if it is absent, null, or empty text.
func (x *expression) json(e *evaluation) (json.RawMessage, error) {
	value, err := x.eval(e)
	if err != nil || value == nil {
		return nil, err
	}
	b, wrong := appendValue(nil, value, 0)
	switch {
	case wrong != "":
		return nil, &Error{"", x.where + ": " + wrong}
	case string(b) == "null", string(b) == `""`:
		return nil, nil
	}
	return b, nil
}
