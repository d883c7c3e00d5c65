package admin

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/consentapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// GatePage is a page of the gates of applications.
type GatePage struct {
	Gates []consentapi.Gate `json:"gates"`
	Next  string            `json:"next,omitempty"` // the after of the next page; "": this was the last
}

// gates answers with a page of applications' gates, by ?q=, a part of the id, the name or
// an audience, ?limit= and ?after=, in order of the creation of their applications.
func (h Handler) gates(c echo.Context) error {
	query, err := request.ParsePage(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	list, err := h.Applications.Applications(ctx)
	if err != nil {
		return err
	}
	some, next := request.PageOf(query, list, applicationPlace, applicationTexts)
	page := GatePage{Gates: make([]consentapi.Gate, len(some)), Next: next}
	for i, a := range some {
		settings, err := h.Consent.Gate.Settings(ctx, a.ID)
		if err != nil {
			return err
		}
		page.Gates[i] = consentapi.Gate{Application: a.ID, Settings: settings}
	}
	return c.JSON(http.StatusOK, page)
}
