package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// interestPage is how many subjects a page has.
const interestPage = 100

// Attempts are the last attempts to push to a stream, or what its receiver said of SETs that
// it polled, the latest first, as far as the node that answers saw them since it started.
type Attempts struct {
	Node     string    `json:"node"`
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one of them, of one SET.
type Attempt struct {
	At          time.Time `json:"at"`
	ID          string    `json:"jti"`
	Type        string    `json:"event_type"`
	Number      int       `json:"attempt"` // 1: the first
	Verdict     string    `json:"verdict"`
	Code        string    `json:"err,omitempty"`
	Description string    `json:"description,omitempty"`
	Took        int64     `json:"took_ms"` // 0 of what was polled
}

// Interests are a page of the subjects that were added to a stream, or removed from it.
type Interests struct {
	Subjects []Interest `json:"subjects"`
	Next     string     `json:"next,omitempty"`
}

// Interest is one of them.
type Interest struct {
	Subject  subject.Identifier `json:"subject"`
	Excluded bool               `json:"excluded,omitempty"`
}

// ssfStream returns the stream of the path. Error: streams.ErrNotFound, also for webhooks,
// which stand at /webhooks.
func (h Handler) ssfStream(c echo.Context) (streams.Stream, error) {
	s, err := h.Streams.Stream(c.Request().Context(), c.Param("stream_id"))
	if err == nil && s.Delivery.Method == streams.MethodWebhook {
		return streams.Stream{}, streams.ErrNotFound
	}
	return s, err
}

// verify puts a verification event on a stream, whatever its min_verification_interval.
func (h Handler) verify(c echo.Context) error {
	s, err := h.ssfStream(c)
	if err != nil {
		return err
	}
	if err := h.Catalog.RequestVerification(c.Request().Context(), s.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// attempts tells of the last attempts to push to a stream.
func (h Handler) attempts(c echo.Context) error {
	s, err := h.ssfStream(c)
	if err != nil {
		return err
	}
	out := Attempts{Node: h.Node, Attempts: []Attempt{}}
	for _, a := range h.Recent(s.ID) {
		out.Attempts = append(out.Attempts, attemptOf(a))
	}
	return c.JSON(http.StatusOK, out)
}

func attemptOf(a push.Attempt) Attempt {
	return Attempt{
		At: a.At.UTC(), ID: a.ID, Type: a.EventType, Number: a.Number,
		Verdict: a.Verdict, Code: a.Code, Description: a.Text, Took: a.Took.Milliseconds(),
	}
}

// lister is a store that can list the subjects of a stream.
type lister interface {
	Interests(ctx context.Context, stream, from string, max int) (page []streams.Interest, next string, err error)
}

// subjects lists what was added to a stream, or removed, from ?after= on.
func (h Handler) subjects(c echo.Context) error {
	s, err := h.ssfStream(c)
	if err != nil {
		return err
	}
	store, ok := h.Streams.(lister)
	if !ok {
		return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "the store of this transmitter cannot list subjects"}
	}
	page, next, err := store.Interests(c.Request().Context(), s.ID, c.QueryParam("after"), interestPage)
	if err != nil {
		return err
	}
	out := Interests{Subjects: make([]Interest, len(page)), Next: next}
	for i, one := range page {
		out.Subjects[i] = Interest(one)
	}
	return c.JSON(http.StatusOK, out)
}
