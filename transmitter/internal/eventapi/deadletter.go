package eventapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

const (
	defaultPage = 50  // dead letters of a page
	maxPage     = 500 // dead letters that a page may be asked for
	maxCursor   = 256 // bytes of a cursor
)

// DeadLetter is a SET that was set aside, as it is read.
type DeadLetter struct {
	ID          string    `json:"jti"`
	Type        string    `json:"event_type"`
	Code        string    `json:"err"`
	Description string    `json:"description,omitempty"`
	Attempts    int       `json:"attempts"`
	At          time.Time `json:"at"`
}

// DeadLetterPage is a page of a stream's dead letters, oldest first.
type DeadLetterPage struct {
	DeadLetters []DeadLetter `json:"dead_letters"`
	Next        string       `json:"next,omitempty"`
}

// PageOf turns what the store returned into a page.
func PageOf(letters []streams.DeadLetter, next string) DeadLetterPage {
	page := DeadLetterPage{DeadLetters: make([]DeadLetter, len(letters)), Next: next}
	for i, l := range letters {
		page.DeadLetters[i] = DeadLetter{
			ID: l.ID, Type: l.Type, Code: l.Code, Description: l.Description, Attempts: l.Attempts, At: l.At.UTC(),
		}
	}
	return page
}

// own returns the stream of the path if it belongs to the caller.
func (h Handler) own(c echo.Context) (string, error) {
	id := c.Param("stream_id")
	s, err := h.Registry.Stream(c.Request().Context(), id)
	if err != nil {
		return "", err
	}
	owner := request.Owner(c)
	if h.Owner != nil {
		owner = h.Owner(request.Principal(c).Application)
	}
	if s.Owner != owner {
		return "", streams.ErrNotFound
	}
	return id, nil
}

// DeadLetterPage answers GET …/dead-letters?after=&limit=: the stream's dead
// letters, oldest first, 50 unless limit (1 to 500) says otherwise.
func (h Handler) DeadLetterPage(c echo.Context) error {
	id, err := h.own(c)
	if err != nil {
		return err
	}
	limit := defaultPage
	if raw := c.QueryParam("limit"); raw != "" {
		if limit, err = strconv.Atoi(raw); err != nil || limit < 1 || limit > maxPage {
			return request.Invalid("limit", "is not a number from 1 to 500")
		}
	}
	after := c.QueryParam("after")
	if len(after) > maxCursor {
		return request.Invalid("after", "is not a cursor of ours")
	}
	letters, next, err := h.DeadLetters.DeadLetters(c.Request().Context(), id, after, limit)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, PageOf(letters, next))
}

// Resend answers POST …/dead-letters/{jti}/resend: 202, the SET is queued again
// under its jti and gives its order up.
func (h Handler) Resend(c echo.Context) error {
	id, err := h.own(c)
	if err != nil {
		return err
	}
	if err := h.DeadLetters.Resend(c.Request().Context(), id, c.Param("jti")); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// Drop answers DELETE …/dead-letters/{jti}: 204, the SET is gone.
func (h Handler) Drop(c echo.Context) error {
	id, err := h.own(c)
	if err != nil {
		return err
	}
	if err := h.DeadLetters.Drop(c.Request().Context(), id, c.Param("jti")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
