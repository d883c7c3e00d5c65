package manage

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// CreateStream makes a stream: 201 with its configuration (SSF §8.1.1.1).
func (h *Handlers) CreateStream(c echo.Context) error {
	owner, req, err := read(c, streams.ParseRequest)
	if err != nil {
		return err
	}
	s, err := h.Catalog.Create(c.Request().Context(), owner, req)
	if err != nil {
		return err
	}
	return writeConfiguration(c, http.StatusCreated, s)
}

// ReadStream answers 200 with the configuration of the stream that the query
// names, or with an array of all of the caller's (SSF §8.1.1.2).
func (h *Handlers) ReadStream(c echo.Context) error {
	owner, err := begin(c)
	if err != nil {
		return err
	}
	id, named, err := streamID(c)
	if err != nil {
		return err
	}
	if named {
		s, err := h.Catalog.Stream(c.Request().Context(), owner, id)
		if err != nil {
			return err
		}
		return writeConfiguration(c, http.StatusOK, s)
	}
	list, err := h.Catalog.Streams(c.Request().Context(), owner)
	if err != nil {
		return err
	}
	out := make([]streams.Configuration, len(list))
	for i, s := range list {
		out[i] = s.Configuration()
	}
	return writeJSON(c, http.StatusOK, out)
}

// UpdateStream changes the members that the body has: 200 with the whole
// configuration (PATCH, SSF §8.1.1.3).
func (h *Handlers) UpdateStream(c echo.Context) error {
	return change(c, h.Catalog.Update, request.MediaTypeMergePatch)
}

// ReplaceStream sets the receiver's members to those of the body and deletes
// the others: 200 with the whole configuration (PUT, SSF §8.1.1.4).
func (h *Handlers) ReplaceStream(c echo.Context) error {
	return change(c, h.Catalog.Replace)
}

type changer func(context.Context, streams.Owner, streams.Request) (streams.Stream, error)

func change(c echo.Context, apply changer, mediaTypes ...string) error {
	owner, req, err := read(c, streams.ParseRequest, mediaTypes...)
	if err != nil {
		return err
	}
	s, err := apply(c.Request().Context(), owner, req)
	if err != nil {
		return err
	}
	return writeConfiguration(c, http.StatusOK, s)
}

// DeleteStream erases the stream that the query names: 204 (SSF §8.1.1.5).
func (h *Handlers) DeleteStream(c echo.Context) error {
	owner, err := begin(c)
	if err != nil {
		return err
	}
	id, err := requiredStreamID(c)
	if err != nil {
		return err
	}
	if err := h.Catalog.Delete(c.Request().Context(), owner, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func writeConfiguration(c echo.Context, status int, s streams.Stream) error {
	return writeJSON(c, status, s.Configuration())
}
