package webhook

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Handler serves the webhooks: an application's own to its clients, or with
// Operator those of all.
type Handler struct {
	Service *Service
	// Operator is for the admin API, whose callers may act for anybody.
	Operator bool
}

// param is the path's parameter with the webhook's id. It is the stream's, so
// that the handlers of dead letters serve webhooks, too.
const param = "stream_id"

// caller returns on whose behalf a request is made.
func (h Handler) caller(c echo.Context) Caller {
	request.NoStore(c)
	if h.Operator {
		return Caller{}
	}
	p := request.Principal(c)
	return Caller{Application: p.Application, Environment: p.Environment}
}

func read(c echo.Context) (Request, error) {
	if err := request.MediaType(c, request.MediaTypeJSON, request.MediaTypeMergePatch); err != nil {
		return Request{}, err
	}
	body, err := request.Body(c, MaxBodyBytes)
	if err != nil {
		return Request{}, err
	}
	return ParseRequest(body)
}

// Create answers POST: 201 with the webhook and, this once, its secret.
func (h Handler) Create(c echo.Context) error {
	who := h.caller(c)
	req, err := read(c)
	if err != nil {
		return err
	}
	if h.Operator {
		if err := into("application", orNull(req.Application), &who.Application); err != nil {
			return err
		}
		if who.Application == "" {
			return request.Invalid("application", "is missing")
		}
	} else if req.Application != nil {
		return request.Invalid("application", "is the caller's own; leave it out")
	}
	view, err := h.Service.Create(c.Request().Context(), who, req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, view)
}

func orNull(v jsontext.Value) jsontext.Value {
	if v == nil {
		return jsontext.Value("null")
	}
	return v
}

// List answers GET: {"webhooks": […]}, in order of creation. An operator may
// name an application, and ask for a page by ?limit= and ?after=, the "next" of the page
// before; ?q= is a part of the id, the description or the host.
func (h Handler) List(c echo.Context) error {
	who := h.caller(c)
	if h.Operator {
		who.Application = c.QueryParam("application")
	}
	if h.Operator && request.WantsPage(c) {
		query, err := request.ParsePage(c)
		if err != nil {
			return err
		}
		list, next, err := h.Service.Page(c.Request().Context(), who, query)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, Page{list, next})
	}
	list, err := h.Service.Webhooks(c.Request().Context(), who)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"webhooks": list})
}

// Page is a page of webhooks on the wire.
type Page struct {
	Webhooks []View `json:"webhooks"`
	Next     string `json:"next,omitempty"` // the after of the next page; "": this was the last
}

// Read answers GET …/{id}.
func (h Handler) Read(c echo.Context) error {
	view, err := h.Service.Webhook(c.Request().Context(), h.caller(c), c.Param(param))
	return answer(c, view, err)
}

// Update answers PATCH …/{id}: the members that the body has are changed.
func (h Handler) Update(c echo.Context) error { return h.change(c, false) }

// Replace answers PUT …/{id}: what the body lacks goes back to its default.
func (h Handler) Replace(c echo.Context) error { return h.change(c, true) }

func (h Handler) change(c echo.Context, whole bool) error {
	who := h.caller(c)
	req, err := read(c)
	if err != nil {
		return err
	}
	if req.Application != nil {
		return request.Invalid("application", "cannot be changed; leave it out")
	}
	view, err := h.Service.Update(c.Request().Context(), who, c.Param(param), req, whole)
	return answer(c, view, err)
}

// Own lets a request for what hangs on a webhook through to next if the caller
// may see the webhook.
func (h Handler) Own(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, _, err := h.Service.find(c.Request().Context(), h.caller(c), c.Param(param)); err != nil {
			return err
		}
		return next(c)
	}
}

// Delete answers DELETE …/{id}: 204.
func (h Handler) Delete(c echo.Context) error {
	if err := h.Service.Delete(c.Request().Context(), h.caller(c), c.Param(param)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// Rotate answers POST …/{id}/rotate: the webhook with its new secret.
func (h Handler) Rotate(c echo.Context) error {
	who := h.caller(c)
	if err := request.MediaType(c, request.MediaTypeJSON); err != nil {
		return err
	}
	body, err := request.Body(c, MaxBodyBytes)
	if err != nil {
		return err
	}
	view, err := h.Service.Rotate(c.Request().Context(), who, c.Param(param), body)
	return answer(c, view, err)
}

// Test answers POST …/{id}/test: 200 with what came of a ping, whatever that is.
func (h Handler) Test(c echo.Context) error {
	outcome, err := h.Service.Test(c.Request().Context(), h.caller(c), c.Param(param))
	return answer(c, outcome, err)
}

func answer(c echo.Context, v any, err error) error {
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

// Mount adds the admin API's paths below g.
func (h Handler) Mount(g *echo.Group) {
	const one = "/webhooks/:" + param
	g.GET("/webhooks", h.List)
	g.POST("/webhooks", h.Create)
	g.GET(one, h.Read)
	g.PATCH(one, h.Update)
	g.PUT(one, h.Replace)
	g.DELETE(one, h.Delete)
	g.POST(one+"/rotate", h.Rotate)
	g.POST(one+"/test", h.Test)
}
