// Package celrules holds what the CEL expressions in rules share, whoever reads the
// rules: their bounds, the function lower, and why one could not be evaluated, said
// without a word of what it was evaluated for.
package celrules

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Limits of an expression.
const (
	MaxBytes = 4096
	MaxDepth = 64
	// MaxCost is the most that one evaluation may cost, in the units of CEL: about one
	// per operation, and one per ten bytes of a text that it reads.
	MaxCost = 50_000
)

// Options are those of every environment: the bounds of the text, optional values,
// and lower(s).
func Options() []cel.EnvOption {
	return []cel.EnvOption{
		cel.ParserExpressionSizeLimit(MaxBytes),
		cel.ParserRecursionLimit(MaxDepth),
		cel.OptionalTypes(),
		cel.Function("lower", cel.Overload("lower_string",
			[]*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(lower))),
	}
}

// lower is lower(s): a text in lower case.
func lower(value ref.Val) ref.Val {
	s, ok := value.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(value)
	}
	return types.String(strings.ToLower(string(s)))
}

// Absent reports whether an evaluation failed for want of a member.
func Absent(err error) bool { return strings.Contains(err.Error(), "no such key") }

// Reason says why an evaluation failed, as the end of a sentence about the expression.
// CEL's own words may quote values.
func Reason(err error) string {
	text := err.Error()
	for _, known := range []struct{ has, say string }{
		{"cost limit", "costs too much to evaluate"},
		{"no such overload", "has values of the wrong types for an operation"},
		{"division by zero", "divides by zero"},
		{"modulus by zero", "divides by zero"},
		{"overflow", "has a number that is too large"},
		{"index out of bounds", "has an index out of bounds"},
	} {
		if strings.Contains(text, known.has) {
			return known.say
		}
	}
	return "cannot be evaluated"
}
