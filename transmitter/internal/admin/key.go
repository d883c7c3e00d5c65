package admin

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

func (h Handler) keys(c echo.Context) error { return c.JSON(http.StatusOK, h.Keys.List()) }

// rotate makes a new key that signs from now on; the old ones stay in the JWKS.
func (h Handler) rotate(c echo.Context) error {
	kid, err := h.Keys.Rotate(c.Request().Context())
	if err != nil {
		return keyRefusal(err)
	}
	return c.JSON(http.StatusCreated, map[string]string{"kid": kid})
}

func (h Handler) retire(c echo.Context) error {
	var ask struct {
		Force bool `json:"force"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if err := h.Keys.Retire(c.Request().Context(), c.Param("kid"), ask.Force); err != nil {
		return keyRefusal(err)
	}
	return c.NoContent(http.StatusNoContent)
}

func keyRefusal(err error) error {
	switch {
	case errors.Is(err, keys.ErrNotFound):
		return &request.Error{Status: http.StatusNotFound, Code: "not_found", Description: "there is no key with this id"}
	case errors.Is(err, keys.ErrCurrent), errors.Is(err, keys.ErrTooSoon), errors.Is(err, keys.ErrFull):
		return &request.Error{Status: http.StatusConflict, Code: "conflict", Description: err.Error()}
	}
	return err
}
