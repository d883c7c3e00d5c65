package transmitter

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/vault"
)

// retryFull is what a caller is asked to wait where waiting alone does not help.
const retryFull = time.Hour

// retryControl is what a caller is asked to wait until its receiver has taken
// some of what waits.
const retryControl = time.Minute

// retryPaced is what a source is asked to wait that sends too fast.
const retryPaced = time.Second

// retryStore is what a caller is asked to wait after a failure of a store.
const retryStore = 5 * time.Second

// answer is what an error becomes on the wire.
type answer struct {
	Status      int           `json:"-"`
	Err         string        `json:"err"`
	Member      string        `json:"member,omitempty"`
	Description string        `json:"description,omitempty"`
	retryAfter  time.Duration // 0: no header
	challenge   string        // WWW-Authenticate; "": no header
}

// answerOf is the one table from errors to HTTP. What it does not know is a
// failure of a store, which is safe to retry: 503, and its text stays in the
// log (fixed is false).
func answerOf(err error) (a answer, fixed bool) {
	var (
		wrong *request.Error
		token *auth.Error
		rule  *streams.RuleError
		slow  *rateError
		echoE *echo.HTTPError
	)
	switch {
	case errors.As(err, &wrong):
		return answer{Status: wrong.Status, Err: wrong.Code, Member: wrong.Member, Description: wrong.Description, retryAfter: wrong.RetryAfter}, true
	case errors.As(err, &token):
		return answer{Status: token.Status, Err: token.Code, Description: token.Description, challenge: token.WWWAuthenticate()}, true
	case errors.As(err, &slow):
		return answer{Status: http.StatusTooManyRequests, Err: request.CodeTooManyRequests, Description: slow.Error(), retryAfter: slow.wait}, true
	case errors.As(err, &rule):
		return ruleAnswer(rule), true
	case errors.Is(err, streams.ErrNotFound), errors.Is(err, eventlog.ErrNotFound), errors.Is(err, auth.ErrNotFound):
		return answer{Status: http.StatusNotFound, Err: "not_found", Description: "there is no such thing here"}, true
	case behind(err):
		return answer{Status: http.StatusServiceUnavailable, Err: "index_rebuilding", Description: "the search index is being built; try again", retryAfter: retryStore}, true
	case errors.Is(err, eventlog.ErrPaced):
		return answer{Status: http.StatusServiceUnavailable, Err: "temporarily_unavailable", Description: "events come in faster than they can be indexed; nothing was kept, try again", retryAfter: retryPaced}, true
	case errors.Is(err, eventlog.ErrMalformedID):
		return answer{Status: http.StatusBadRequest, Err: "invalid_request", Member: "id", Description: "is not the id of an event"}, true
	case errors.Is(err, eventlog.ErrEvent):
		return answer{Status: http.StatusBadRequest, Err: "invalid_request", Description: "one of the events cannot be kept"}, true
	case errors.Is(err, streams.ErrPlace):
		return answer{Status: http.StatusBadRequest, Err: "invalid_request", Member: "after", Description: "is not a cursor of ours"}, true
	case errors.Is(err, streams.ErrConflict):
		return answer{Status: http.StatusConflict, Err: "conflict", Description: "the application has its stream already: read, change or delete that one"}, true
	case errors.Is(err, streams.ErrFullControl):
		return answer{Status: http.StatusTooManyRequests, Err: "too_many", Description: "too many verifications wait on the stream: take or accept them first", retryAfter: retryControl}, true
	case errors.Is(err, streams.ErrFullNames):
		return answer{Status: http.StatusTooManyRequests, Err: "too_many", Description: "the application's complex subjects have as many different sets of member names as they may", retryAfter: retryFull}, true
	case errors.Is(err, streams.ErrFull):
		return answer{Status: http.StatusTooManyRequests, Err: "too_many", Description: "the stream holds as many subjects as it may", retryAfter: retryFull}, true
	case errors.Is(err, vault.ErrSealed):
		return answer{Status: http.StatusConflict, Err: "conflict", Description: vault.ErrSealed.Error()}, true
	case errors.Is(err, keys.ErrAway):
		return answer{Status: http.StatusServiceUnavailable, Err: "temporarily_unavailable", Description: "the signing key cannot be reached; what waits is kept, try again", retryAfter: retryStore}, true
	case errors.As(err, &echoE):
		return answer{Status: echoE.Code, Err: wordOf(echoE.Code), Description: http.StatusText(echoE.Code)}, true
	}
	return answer{
		Status: http.StatusServiceUnavailable, Err: "temporarily_unavailable",
		Description: "nothing was done; try again", retryAfter: retryStore,
	}, false
}

func ruleAnswer(e *streams.RuleError) answer {
	a := answer{Member: e.Member, Description: e.Description}
	switch e.Kind {
	case streams.Forbidden:
		a.Status, a.Err = http.StatusForbidden, "access_denied"
	case streams.TooSoon:
		a.Status, a.Err, a.retryAfter = http.StatusTooManyRequests, "too_soon", e.RetryAfter
	case streams.Conflict:
		a.Status, a.Err = http.StatusConflict, "conflict"
	default:
		a.Status, a.Err = http.StatusBadRequest, "invalid_request"
	}
	return a
}

func wordOf(status int) string {
	switch status {
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusUnsupportedMediaType:
		return "unsupported_media_type"
	}
	if status >= 500 {
		return "temporarily_unavailable"
	}
	return "invalid_request"
}

// writeError is echo's error handler: the only place where errors become answers.
func (t *Transmitter) writeError(err error, c echo.Context) {
	if c.Response().Committed || c.Request().Context().Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	a, fixed := answerOf(err)
	if !fixed {
		t.cfg.Logger.ErrorContext(c.Request().Context(), "a request failed", "method", c.Request().Method, "route", c.Path(), "err", err)
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	if a.challenge != "" {
		h.Set("WWW-Authenticate", a.challenge)
	}
	if a.retryAfter > 0 {
		seconds := (a.retryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if a.Err == "" { // RFC 6750 §3.1: no credential, no error code
		a.Err, a.Description = "unauthorized", "a bearer token is needed"
	}
	var body any = a
	if a.Status == http.StatusTooManyRequests && t.oauth(c.Path()) {
		body = map[string]string{"error": "temporarily_unavailable", "error_description": a.Description}
	}
	if err := c.JSON(a.Status, body); err != nil {
		t.cfg.Logger.DebugContext(c.Request().Context(), "could not write an answer", "err", err)
	}
}
