package admin

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// emit takes events in as POST /v1/events does, from the operator.
func (h Handler) emit(c echo.Context) error {
	request.WithPrincipal(c, &auth.Principal{Client: Source, Source: &auth.Source{Name: Source}})
	return ingest.Handler{Ingest: h.Ingest, Refusing: h.Refusing}.Post(c)
}

// event reads any event.
func (h Handler) event(c echo.Context) error {
	rec, err := h.Log.Get(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	if rec.Kind != eventlog.KindEvent || rec.Erased {
		return eventlog.ErrNotFound
	}
	return c.JSON(http.StatusOK, eventapi.EventOf(rec))
}
