package client

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Errors that callers branch on.
var (
	// ErrNotOffered: the transmitter's metadata has no endpoint for the operation.
	ErrNotOffered = errors.New("client: operation not offered by the transmitter")
	// ErrPending: the transmitter accepted a change but has not decided on it within
	// Config.Pending (202). Ask again later.
	ErrPending = errors.New("client: transmitter has not decided yet")
	// ErrNotFound: no such stream, or none of ours (404).
	ErrNotFound = errors.New("client: stream not found")
	// ErrConflict: the receiver has its stream already (409).
	ErrConflict = errors.New("client: stream exists already")
	// ErrMismatch: what came back is not of the issuer or audience expected.
	ErrMismatch = errors.New("client: answer is not what was expected")
)

// NotOfferedError says which member of the metadata is absent. It is ErrNotOffered.
type NotOfferedError struct{ Member string }

// Error names the member.
func (e *NotOfferedError) Error() string {
	return fmt.Sprintf("client: the transmitter offers no %s", e.Member)
}

// Is makes errors.Is(err, ErrNotOffered) hold.
func (e *NotOfferedError) Is(target error) bool { return target == ErrNotOffered }

// MismatchError says which member of a stream is not as expected; the stream must not
// be used. It is ErrMismatch.
type MismatchError struct {
	StreamID string // empty if the answer had none
	Member   string // stream_id, iss, aud or delivery.method
}

// Error names the member.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("client: %s of the stream is missing or not the one expected", e.Member)
}

// Is makes errors.Is(err, ErrMismatch) hold.
func (e *MismatchError) Is(target error) bool { return target == ErrMismatch }

// Error is an answer that is no success. What its body says is defined nowhere and is
// for people alone.
type Error struct {
	Operation       string        // "create stream"
	Status          int           // HTTP status
	Body            string        // the first MaxExcerpt bytes, valid UTF-8
	WWWAuthenticate []string      // fields of a 401 or 403 (RFC 6750 §3)
	RetryAfter      time.Duration // zero if not sent; at most MaxRetryAfter
}

// Error tells the operation, the status and what the body says.
func (e *Error) Error() string {
	text := fmt.Sprintf("client: %s: answered %d %s", e.Operation, e.Status, http.StatusText(e.Status))
	if e.Body != "" {
		text += fmt.Sprintf(": %q", e.Body)
	}
	return text
}

// Is makes errors.Is hold for ErrNotFound (404) and ErrConflict (409).
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound ||
		target == ErrConflict && e.Status == http.StatusConflict
}
