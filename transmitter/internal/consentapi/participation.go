package consentapi

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Participation is how an account takes part in RISC, on the wire (RISC §2.8).
type Participation struct {
	Application string             `json:"application"`
	State       risc.Participation `json:"state"`
	Since       *time.Time         `json:"since,omitempty"`
}

// Participation answers GET /v1/participation?subject=&application=: whether the
// account has opted in or out, by the events about it.
func (h Handler) Participation(c echo.Context) error {
	if err := h.whole(request.Principal(c)); err != nil {
		return err
	}
	if err := only(c, "subject", "application"); err != nil {
		return err
	}
	application, err := h.application(c, c.QueryParam("application"))
	if err != nil {
		return err
	}
	raw := c.QueryParam("subject")
	if raw == "" {
		return request.Invalid("subject", "is missing")
	}
	ids, err := identifiers(jsontext.Value(raw))
	if err != nil {
		return err
	}
	p, err := h.participation(c, application, ids)
	if err != nil {
		return err
	}
	out := Participation{Application: application, State: p.State}
	if !p.Since.IsZero() {
		out.Since = &p.Since
	}
	return c.JSON(http.StatusOK, out)
}

// participation returns what operators know, or what an application may hear of.
func (h Handler) participation(c echo.Context, application string, ids []subject.Identifier) (consent.Participation, error) {
	ctx := c.Request().Context()
	if p := request.Principal(c); p == nil || p.Allows(auth.ScopeAdmin) {
		return h.Gate.Participation(ctx, application, ids, 0)
	}
	return h.Gate.Heard(ctx, application, ids)
}
