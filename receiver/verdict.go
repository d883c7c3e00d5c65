package receiver

import (
	"errors"
	"time"
)

// MaxLater is the longest that a hook can put its next attempt off.
const MaxLater = time.Hour

// Permanent marks err as one that another attempt cannot mend: the event becomes a
// dead letter at once. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or one that it wraps, is marked by [Permanent].
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Later marks err as one after which the next attempt comes no sooner than after,
// but at most MaxLater: what stands behind the hook asked for it (Retry-After).
// Later(nil, …) is nil; a delay of zero or less marks nothing.
func Later(err error, after time.Duration) error {
	if err == nil || after <= 0 {
		return err
	}
	return &laterError{err, min(after, MaxLater)}
}

// After returns the longest delay by which err, or any that it wraps, was marked by
// [Later]; zero if there is none.
func After(err error) time.Duration {
	var longest time.Duration
	if later, ok := errors.AsType[*laterError](err); ok {
		longest = later.after
	}
	if joined, ok := errors.AsType[joinedErrors](err); ok {
		for _, one := range joined.Unwrap() {
			longest = max(longest, After(one))
		}
	}
	return longest
}

// joinedErrors is what errors.Join makes.
type joinedErrors interface {
	error
	Unwrap() []error
}

type laterError struct {
	err   error
	after time.Duration
}

func (e *laterError) Error() string { return e.err.Error() }
func (e *laterError) Unwrap() error { return e.err }
