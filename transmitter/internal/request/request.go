// Package request holds what every handler of the transmitter does with an
// HTTP request before it knows what is asked: who sent it, its media type, its
// body within a bound. Refusals are [*Error] values; the transmitter's error
// table turns them into answers.
package request

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Codes of an [Error], the err member of the answer (requirements U15).
const (
	CodeInvalidRequest       = "invalid_request"
	CodeBodyTooLarge         = "body_too_large"
	CodeUnsupportedMediaType = "unsupported_media_type"
	CodeTooManyRequests      = "too_many_requests"
	CodeTimeout              = "timeout"
)

// MediaTypeJSON is the media type of the bodies of the management API and of
// polling; a body without Content-Type is taken for it (U15).
const MediaTypeJSON = "application/json"

// MediaTypeMergePatch is allowed for PATCH besides (RFC 7396, U15).
const MediaTypeMergePatch = "application/merge-patch+json"

// Error is a request that is refused. Its answer is
// {"err", "description"[, "member"]} with Status (U15).
type Error struct {
	// Status is the HTTP status, 4xx.
	Status int
	// Code is one of the codes above or of the operation.
	Code string
	// Member names the member at fault as a dotted path; empty if none.
	Member string
	// Description is for the sender of the request and repeats nothing of it.
	Description string
	// RetryAfter is sent as Retry-After, in whole seconds rounded up; zero
	// sends none.
	RetryAfter time.Duration
}

// Error returns status, code and description.
func (e *Error) Error() string {
	if e.Member == "" {
		return fmt.Sprintf("request: %d %s: %s", e.Status, e.Code, e.Description)
	}
	return fmt.Sprintf("request: %d %s: %s: %s", e.Status, e.Code, e.Member, e.Description)
}

// Invalid returns a 400 with code invalid_request.
func Invalid(member, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Member: member, Description: description}
}

// bodyTimeout bounds the reading of a body: a sender that trickles holds no
// connection for longer.
const bodyTimeout = 30 * time.Second

// Body reads the request's body of at most limit bytes.
//
// Errors are *Error: 413 if the body is longer (one that says so is not read
// at all; the connection is closed after the answer), 408 if it does not come
// in time, 400 if it cannot be read.
func Body(c echo.Context, limit int64) ([]byte, error) {
	w := c.Response().Writer
	if c.Request().ContentLength > limit {
		w.Header().Set("Connection", "close") // what is still to come is not read
		return nil, TooLarge(limit)
	}
	limitReading(c)
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Request().Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, TooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return nil, &Error{Status: http.StatusRequestTimeout, Code: CodeTimeout, Description: "the body did not come in time"}
	case err != nil:
		return nil, Invalid("", "the body could not be read")
	}
	// Left in place it would end the request's context when it passes.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// BoundBody is the middleware that bounds in time the body of every request,
// also of one that is refused before its body is read: the server reads on
// then, up to a point. A handler that waits lifts it, as Body does.
func BoundBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().ContentLength != 0 {
			limitReading(c)
		}
		return next(c)
	}
}

// limitReading begins the time of a body. A writer without deadlines (a
// test's recorder) has bounds of its own.
func limitReading(c echo.Context) {
	_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Now().Add(bodyTimeout))
}

// TooLarge returns the 413 for a body beyond limit bytes.
func TooLarge(limit int64) *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Code: CodeBodyTooLarge,
		Description: fmt.Sprintf("the body exceeds %d bytes", limit),
	}
}

// MediaType refuses a request whose Content-Type is not one of allowed, with
// 415. No Content-Type is fine, and so is any parameter (SSF-8.1.1-09, U15).
func MediaType(c echo.Context, allowed ...string) error {
	values := c.Request().Header.Values(echo.HeaderContentType)
	if len(values) == 0 {
		return nil
	}
	if len(values) == 1 {
		// A malformed parameter still gives the media type itself.
		mediaType, _, _ := mime.ParseMediaType(values[0])
		if slices.Contains(allowed, mediaType) {
			return nil
		}
	}
	return &Error{
		Status: http.StatusUnsupportedMediaType, Code: CodeUnsupportedMediaType,
		Description: fmt.Sprintf("Content-Type must be one of %v", allowed),
	}
}

// NoStore forbids caches to keep the answer, an error's too (SSF-8.1.1-08).
func NoStore(c echo.Context) {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
}

const principalKey = "tocsin.principal"

// WithPrincipal notes who sent the request. The authenticating middleware
// calls it.
func WithPrincipal(c echo.Context, p *auth.Principal) { c.Set(principalKey, p) }

const actorKey = "tocsin.actor"

// WithActor notes on whose behalf the principal asks, where that is no token of its own.
func WithActor(c echo.Context, a eventlog.Actor) { c.Set(actorKey, a) }

// Actor returns it; false if nothing was noted.
func Actor(c echo.Context) (a eventlog.Actor, ok bool) {
	a, ok = c.Get(actorKey).(eventlog.Actor)
	return a, ok
}

// Owner returns the owner of the streams that the principal of the request may
// see and touch; "" if nobody was authenticated.
func Owner(c echo.Context) string {
	p := Principal(c)
	if p == nil {
		return ""
	}
	return streams.OwnerIn(p.Application, p.Environment)
}

// Principal returns who sent the request, nil if nobody was authenticated.
func Principal(c echo.Context) *auth.Principal {
	p, _ := c.Get(principalKey).(*auth.Principal)
	return p
}
