package erase

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// maxBodyBytes bounds the body of an order or a hold; retryOrder is what who has
// too many orders is asked to wait.
const (
	maxBodyBytes = 64 << 10
	retryOrder   = time.Minute
)

// Handler serves erasures to applications and operators, and holds to operators.
// A request without a principal is an operator's: the admin API has asked before.
// Without an Eraser every answer is 501.
type Handler struct{ Eraser *Eraser }

// Offered is the middleware that refuses where nothing can be erased, and a
// client that is bound to an environment: an order is about all of an
// application's events, which it may not see.
func (h Handler) Offered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if h.Eraser == nil {
			return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "this transmitter has no index, and finds nothing that could be erased"}
		}
		if p := request.Principal(c); p != nil && p.Environment != "" {
			return &request.Error{
				Status: http.StatusForbidden, Code: "access_denied",
				Description: "a client of one environment erases nothing of the whole application",
			}
		}
		return next(c)
	}
}

// ask is the body of an order and of a hold.
type ask struct {
	Subject jsontext.Value `json:"subject"`
	Reason  string         `json:"reason"`
	Now     bool           `json:"now"`
}

// Create answers POST …/erasures {"subject", "reason"?, "now"?}: 202, the order
// is noted. Errors: 400; 409 legal_hold; 429 while too many wait.
func (h Handler) Create(c echo.Context) error {
	a, ids, err := read(c)
	if err != nil {
		return err
	}
	application, by := caller(c)
	x, err := h.Eraser.Order(c.Request().Context(), Order{Subjects: ids, Application: application, Reason: a.Reason, By: by, Now: a.Now})
	if err != nil {
		return refusal(err)
	}
	c.Response().Header().Set("Location", strings.TrimSuffix(c.Request().URL.Path, "/")+"/"+x.ID)
	return answer(c, http.StatusAccepted, x)
}

// Read answers GET …/erasures/{id}: what became of an order.
func (h Handler) Read(c echo.Context) error {
	application, _ := caller(c)
	x, err := h.Eraser.Erasure(c.Request().Context(), application, c.Param("id"))
	if err != nil {
		return refusal(err)
	}
	return answer(c, http.StatusOK, x)
}

// List answers GET …/erasures: the orders that are still to be carried out.
func (h Handler) List(c echo.Context) error {
	application, _ := caller(c)
	list, err := h.Eraser.Pending(c.Request().Context(), application)
	if err != nil {
		return refusal(err)
	}
	return answer(c, http.StatusOK, map[string]any{"erasures": list})
}

// Hold answers POST …/holds {"subject", "reason"?}: 201, the hold stands.
func (h Handler) Hold(c echo.Context) error {
	a, ids, err := read(c)
	if err != nil {
		return err
	}
	if a.Now {
		return request.Invalid("now", "is not a member of a hold")
	}
	_, by := caller(c)
	held, err := h.Eraser.Hold(c.Request().Context(), ids, a.Reason, by)
	if err != nil {
		return refusal(err)
	}
	return answer(c, http.StatusCreated, held)
}

// Holds answers GET …/holds: all of them, lifted ones too.
func (h Handler) Holds(c echo.Context) error {
	list, err := h.Eraser.Holds(c.Request().Context())
	if err != nil {
		return refusal(err)
	}
	if list == nil {
		list = []Hold{}
	}
	return answer(c, http.StatusOK, map[string]any{"holds": list})
}

// Lift answers DELETE …/holds/{id}: 204, it is lifted.
func (h Handler) Lift(c echo.Context) error {
	_, by := caller(c)
	if err := h.Eraser.Lift(c.Request().Context(), c.Param("id"), by); err != nil {
		return refusal(err)
	}
	return c.NoContent(http.StatusNoContent)
}

func answer(c echo.Context, status int, v any) error {
	request.NoStore(c)
	return c.JSON(status, v)
}

// read reads the body and the identifiers in it.
func read(c echo.Context) (ask, []subject.Identifier, error) {
	var a ask
	if err := request.MediaType(c, request.MediaTypeJSON); err != nil {
		return a, nil, err
	}
	body, err := request.Body(c, maxBodyBytes)
	if err != nil {
		return a, nil, err
	}
	if err := jsonv2.Unmarshal(body, &a, jsonv2.RejectUnknownMembers(true)); err != nil {
		return a, nil, request.Invalid("", "the body is not a JSON object with subject and, if you like, reason and now")
	}
	if len(a.Reason) > MaxReasonBytes {
		return a, nil, request.Invalid("reason", "is longer than 1024 bytes")
	}
	ids, wrong := ingest.Subjects(a.Subject)
	if wrong != nil {
		return a, nil, request.Invalid(wrong.Member, wrong.Description)
	}
	return a, ids, nil
}

// caller returns the application that an order is bound to, none for an
// operator, and who gives it.
func caller(c echo.Context) (application, by string) {
	p := request.Principal(c)
	signedIn, ok := request.Actor(c)
	switch {
	case ok && signedIn.Client == "": // of another kind, which its name tells
		return "", signedIn.String()
	case p == nil:
		return "", "operator"
	case p.Allows(auth.ScopeAdmin):
		return "", "client:" + p.Client
	}
	return p.Application, "client:" + p.Client
}

func refusal(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return &request.Error{Status: http.StatusNotFound, Code: "not_found", Description: "there is no such thing here"}
	case errors.Is(err, eventlog.ErrEvent): // all else in it is bounded
		return request.Invalid("subject", "has more identifiers in it than can be kept")
	case errors.Is(err, ErrTooMany):
		return &request.Error{
			Status: http.StatusTooManyRequests, Code: request.CodeTooManyRequests, RetryAfter: retryOrder,
			Description: fmt.Sprintf("%d erasures wait to be carried out, which is the most: GET …/erasures lists them; with now they do not wait for queued SETs", MaxPending),
		}
	case errors.Is(err, ErrHeld):
		return &request.Error{
			Status: http.StatusConflict, Code: "legal_hold", Member: "subject",
			Description: "a legal hold keeps what is known of this subject; it has to be lifted first",
		}
	}
	return err
}
