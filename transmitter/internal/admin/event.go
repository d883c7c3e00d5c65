package admin

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// emit takes events in as POST /v1/events does, from the operator.
func (h Handler) emit(c echo.Context) error {
	request.WithPrincipal(c, &auth.Principal{Client: Source, Source: &auth.Source{Name: Source}})
	return ingest.Handler{Ingest: h.Ingest, Refusing: h.Refusing}.Post(c)
}

// Index is how far the search index has come in the log, in records.
type Index struct {
	Indexed uint64 `json:"indexed"`
	Records uint64 `json:"records"`
}

// index tells how far the index has come.
func (h Handler) index(c echo.Context) error {
	if h.Index == nil {
		return errNoIndex()
	}
	place := h.Index.Place()
	head, err := h.Log.Head(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, Index{min(place, head), head})
}

// rebuild begins to build the index anew: 202. Searches that cannot be answered
// meanwhile say so.
func (h Handler) rebuild(c echo.Context) error {
	if h.Index == nil {
		return errNoIndex()
	}
	if err := h.Index.Rebuild(c.Request().Context()); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func errNoIndex() error {
	return &request.Error{Status: http.StatusNotImplemented, Code: "not_offered", Description: "this transmitter has no search index"}
}
