package eventapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/replay"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// maxReplayBytes bounds the body of an order, and retryReplay is what a caller
// is asked to wait while an earlier one is carried out.
const (
	maxReplayBytes = 4 << 10
	retryReplay    = 10 * time.Second
)

// ReplayHandler serves replays. Registry and Replays are required.
type ReplayHandler struct {
	Registry Registry
	Replays  Replays
	// Owner is as [Handler] has it: whose streams they are.
	Owner func(application string) string
}

// Replay answers POST /v1/streams/{id}/replay {"from"}: 202, and the events that
// were recorded from that time on are sent again, as far as the stream matches
// them now, under jtis of their own. So it does for a webhook, whose events bear
// the ids that they have.
func (h ReplayHandler) Replay(c echo.Context) error {
	id, err := Handler{Registry: h.Registry, Owner: h.Owner}.own(c)
	if err != nil {
		return err
	}
	s, err := h.Registry.Stream(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return Replay(c, h.Replays, s, request.Principal(c).Client)
}

// Replays notes orders.
type Replays interface {
	Note(ctx context.Context, s streams.Stream, from time.Time, by string) (replay.Noted, error)
}

// Replay reads an order for a stream, notes it and answers.
func Replay(c echo.Context, replays Replays, s streams.Stream, by string) error {
	if err := request.MediaType(c, request.MediaTypeJSON); err != nil {
		return err
	}
	body, err := request.Body(c, maxReplayBytes)
	if err != nil {
		return err
	}
	var ask struct {
		From *time.Time `json:"from"`
	}
	if err := json.Unmarshal(body, &ask, json.RejectUnknownMembers(true)); err != nil {
		var wrong *json.SemanticError
		if errors.As(err, &wrong) && wrong.JSONPointer != "" {
			return request.Invalid(wrong.JSONPointer.LastToken(), "is not known here, or no time as RFC 3339 has it")
		}
		return request.Invalid("", "the body is not the JSON object that is expected here")
	}
	if ask.From == nil {
		return request.Invalid("from", "is missing")
	}
	noted, err := replays.Note(c.Request().Context(), s, *ask.From, by)
	switch {
	case errors.Is(err, replay.ErrFuture):
		return request.Invalid("from", "is in the future")
	case errors.Is(err, replay.ErrDisabled):
		return &request.Error{Status: http.StatusConflict, Code: "conflict", Description: "it is disabled: enable it first"}
	case errors.Is(err, replay.ErrUnderWay):
		return &request.Error{
			Status: http.StatusConflict, Code: "conflict", RetryAfter: retryReplay,
			Description: "an earlier replay of it is still being carried out",
		}
	case err != nil:
		return err
	}
	return c.JSON(http.StatusAccepted, noted)
}
