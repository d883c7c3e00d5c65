package subject

import "errors"

// ErrInvalid is what every [*Error] wraps.
var ErrInvalid = errors.New("invalid subject identifier")

// Error says what is wrong with an identifier. It never quotes values.
type Error struct {
	Member string // dotted path such as "user.email"; "" for the identifier as a whole
	Reason string // for people, in English
}

// Error returns the member's path and the reason.
func (e *Error) Error() string {
	if e.Member == "" {
		return "subject: " + e.Reason
	}
	return "subject: member " + e.Member + ": " + e.Reason
}

// Unwrap returns [ErrInvalid].
func (e *Error) Unwrap() error { return ErrInvalid }

// at returns err with its path moved below the member called name.
func at(name string, err *Error) *Error {
	if err == nil {
		return nil
	}
	if err.Member == "" {
		return &Error{Member: name, Reason: err.Reason}
	}
	return &Error{Member: name + "." + err.Member, Reason: err.Reason}
}
