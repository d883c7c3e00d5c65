package transmitter

import (
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// note says for the log line of a request which route it took and whose it is.
func note(c echo.Context) {
	client := ""
	if p := request.Principal(c); p != nil {
		client = p.Client
	}
	edge.From(c.Request().Context()).Note(c.Path(), client)
}
