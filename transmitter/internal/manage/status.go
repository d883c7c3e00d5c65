package manage

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// ReadStatus answers 200 with the status of the stream that the query names
// (SSF §8.1.2.1).
func (h *Handlers) ReadStatus(c echo.Context) error {
	owner, err := begin(c)
	if err != nil {
		return err
	}
	id, err := requiredStreamID(c)
	if err != nil {
		return err
	}
	report, err := h.Catalog.Status(c.Request().Context(), owner, id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, report)
}

// UpdateStatus sets the status: 200 with the new one (SSF §8.1.2.2). A
// stream_id in the query is ignored, the body's counts (OIDF-04).
func (h *Handlers) UpdateStatus(c echo.Context) error {
	owner, to, err := read(c, streams.ParseStatusReport)
	if err != nil {
		return err
	}
	report, err := h.Catalog.SetStatus(c.Request().Context(), owner, to)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, report)
}

// writeJSON writes v as application/json without parameters.
func writeJSON(c echo.Context, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Blob(status, request.MediaTypeJSON, body)
}
