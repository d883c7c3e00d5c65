package manage

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Verify asks for a verification event on a stream: 204 (SSF §8.1.4.2). The
// event follows through the stream's queue.
func (h *Handlers) Verify(c echo.Context) error {
	owner, req, err := read(c, streams.ParseVerificationRequest)
	if err != nil {
		return err
	}
	if err := h.Catalog.Verify(c.Request().Context(), owner, req); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
