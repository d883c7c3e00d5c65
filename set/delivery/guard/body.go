package guard

import (
	"errors"
	"fmt"
	"io"
)

// ErrTooLarge is matched by every [TooLargeError].
var ErrTooLarge = errors.New("body too large")

// TooLargeError says that a body held more bytes than its reader accepts.
type TooLargeError struct {
	Limit int64 // bytes accepted
}

// Error describes the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("body has more than %d bytes", e.Limit)
}

// Unwrap returns [ErrTooLarge].
func (e *TooLargeError) Unwrap() error { return ErrTooLarge }

// ReadBody reads r to its end and returns what it held, at most limit bytes. A
// longer body is a [TooLargeError]; no more than limit+1 bytes of it are read.
//
// ReadBody waits as long as r does: the time limit is that of the client or server
// whose body it is.
func ReadBody(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, &TooLargeError{Limit: limit}
	}
	return b, nil
}
