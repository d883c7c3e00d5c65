package set

import (
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// ErrNoEvent reports that a token has no event of the type asked for.
var ErrNoEvent = errors.New("set: no event of this type")

// Error is the refusal of a SET. Code and Description are what the transmitter
// is told (RFC 8935 §2.3, RFC 8936 §2.2); the cause stays inside.
type Error struct {
	Code        delivery.Code
	Description string // English, free of what the SET says about its subject
	Err         error  // cause, for the log; may be nil
}

// Error returns code, description and cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("set: %s: %s: %v", e.Code, e.Description, e.Err)
	}
	return fmt.Sprintf("set: %s: %s", e.Code, e.Description)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an [*Error] of the same code that, if it has a
// description, has the same one.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Description == "" || t.Description == e.Description)
}

// Failure returns the body to answer with.
func (e *Error) Failure() delivery.Failure {
	return delivery.Failure{Err: e.Code, Description: e.Description}
}

// invalid is a refusal for what the SET says (U21).
func invalid(description string) *Error {
	return &Error{Code: delivery.CodeInvalidRequest, Description: description}
}
