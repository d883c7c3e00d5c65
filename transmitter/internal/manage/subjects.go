package manage

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
)

// AddSubject adds a subject to a stream: 200 without a body, the same for
// subjects that are known and unknown (SSF §8.1.3.2, SSF-9.1-01, U19).
func (h *Handlers) AddSubject(c echo.Context) error {
	owner, change, err := read(c, streams.ParseSubjectChange)
	if err != nil {
		return err
	}
	if err := h.Catalog.AddSubject(c.Request().Context(), owner, change); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// RemoveSubject removes a subject from a stream: 204 (SSF §8.1.3.3).
func (h *Handlers) RemoveSubject(c echo.Context) error {
	owner, change, err := read(c, streams.ParseSubjectChange)
	if err != nil {
		return err
	}
	if err := h.Catalog.RemoveSubject(c.Request().Context(), owner, change); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
