package streams

import (
	"fmt"
	"time"
)

// Kind says which sort of rule a request broke. The transmitter turns it into
// an HTTP status; this package knows none.
type Kind uint8

// The kinds of a [RuleError].
const (
	// Invalid: the request is malformed or contradicts the stream.
	Invalid Kind = iota
	// Forbidden: well-formed, but the policy does not allow it (U17).
	Forbidden
	// TooSoon: allowed again after RetryAfter (SSF-8.1.4.2-04).
	TooSoon
	// Conflict: the stream's state contradicts the request.
	Conflict
)

// RuleError is a request that a rule of SSF §8 refuses. Nothing was changed.
type RuleError struct {
	Kind Kind
	// Member names the member of the request at fault, as a dotted path;
	// empty if there is no single one.
	Member string
	// Description is a text for the one who wrote the request. It repeats
	// nothing of it.
	Description string
	// RetryAfter is when to come again, in whole seconds (TooSoon only).
	RetryAfter time.Duration
}

// Error returns the description, with the member where there is one.
func (e *RuleError) Error() string {
	if e.Member == "" {
		return "streams: " + e.Description
	}
	return fmt.Sprintf("streams: %s: %s", e.Member, e.Description)
}

func invalid(member, description string) *RuleError {
	return &RuleError{Kind: Invalid, Member: member, Description: description}
}
