package ingest

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// mediaTypeLines is the media type of newline-delimited JSON.
const mediaTypeLines = "application/x-ndjson"

// retryRefused is what a sender is asked to wait while we shut down.
const retryRefused = 5 * time.Second

// Handler serves POST /v1/events.
type Handler struct {
	Ingest *Ingest
	// Refusing reports whether the process takes no more work.
	Refusing func() bool
}

// Post takes one event, an array, or NDJSON: 202 with an id each, once they are
// durable. In an array or NDJSON failures are told per item; 400, or 403 or 409
// if that is what all share, only if all fail.
//
// Refusals of the body as a whole are *request.Error: 400, 403 (no source), 413,
// 415, 503 (shutting down). Any other error is a failure of the log: nothing was
// kept.
func (h Handler) Post(c echo.Context) error {
	principal := request.Principal(c)
	if principal == nil || principal.Source == nil {
		return &request.Error{Status: http.StatusForbidden, Code: CodeDenied, Description: "this client is not a source of events"}
	}
	if h.Refusing() {
		return &request.Error{
			Status: http.StatusServiceUnavailable, Code: "shutting_down",
			Description: "the transmitter is shutting down", RetryAfter: retryRefused,
		}
	}
	if err := request.MediaType(c, request.MediaTypeJSON, mediaTypeLines, "application/ndjson", "application/jsonl"); err != nil {
		return err
	}
	body, err := request.Body(c, MaxBodyBytes)
	if err != nil {
		return err
	}
	items, shape, err := Parse(body, isLines(c.Request().Header.Get("Content-Type")))
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return request.Invalid("", "there is no event in the body")
	}
	ctx := c.Request().Context()
	if h.Ingest.tracer.On() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, tracing.Parent(c.Request().Header))
	}
	results, err := h.Ingest.Accept(ctx, principal.Source, items)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return reply(c, shape, results)
}

func isLines(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType) // a malformed parameter still gives the media type
	return media != "" && media != request.MediaTypeJSON
}

func reply(c echo.Context, shape Shape, results []Result) error {
	switch shape {
	case One:
		if results[0].Err != nil {
			return c.JSON(status(results), results[0])
		}
		return c.JSONBlob(http.StatusAccepted, append(append([]byte(`{"id":"`), results[0].ID...), `"}`...))
	case Lines:
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return c.Blob(status(results), mediaTypeLines, out.Bytes())
	}
	return c.JSON(status(results), struct {
		Results []Result `json:"results"`
	}{results})
}

// status is 202 if one item was taken, else the reason that all share, else 400.
func status(results []Result) int {
	code := ""
	for _, r := range results {
		if r.Err == nil {
			return http.StatusAccepted
		}
		if code != "" && code != r.Err.Code {
			return http.StatusBadRequest
		}
		code = r.Err.Code
	}
	switch code {
	case CodeConflict:
		return http.StatusConflict
	case CodeDenied:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}
