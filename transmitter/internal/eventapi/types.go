package eventapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// EventTypes answers GET /v1/event-types: the catalogue of types that events of
// the log have, with the events that each becomes. Others are recorded too.
func (h Handler) EventTypes(c echo.Context) error {
	values, err := parameters(c)
	if err != nil {
		return err
	}
	for name := range values {
		return unknown(name)
	}
	request.NoStore(c)
	return c.JSON(http.StatusOK, struct {
		Types []mapping.Type `json:"types"`
	}{h.Types()})
}
