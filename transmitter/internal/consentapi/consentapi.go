// Package consentapi serves decisions about consent and the settings of gates
// (/v1/consents), to applications about themselves and to operators about any.
package consentapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Limits of a request.
const (
	maxBodyBytes   = 64 << 10
	defaultPage    = 50  // decisions of a page
	maxPage        = 500 // decisions that a page may be asked for
	maxApplication = 256 // bytes of an application's id
)

// Applications is asked whether an application exists.
type Applications interface {
	Application(ctx context.Context, id string) (auth.Application, error)
}

// Handler serves consents. All fields are required.
type Handler struct {
	Gate         *consent.Gate
	Applications Applications
}

// asked is the body of a decision.
type asked struct {
	Application string         `json:"application"`
	Subject     jsontext.Value `json:"subject"`
	Decision    consent.Word   `json:"decision"`
	Time        *time.Time     `json:"time"`
	Reason      string         `json:"reason"`
	SourceID    string         `json:"source_id"`
}

// read reads the request's JSON object into v; unknown members are refused.
func read(c echo.Context, v any) error {
	if err := request.MediaType(c, request.MediaTypeJSON); err != nil {
		return err
	}
	body, err := request.Body(c, maxBodyBytes)
	if err != nil {
		return err
	}
	if err := jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true)); err != nil {
		var wrong *jsonv2.SemanticError
		if errors.As(err, &wrong) && wrong.JSONPointer != "" {
			return request.Invalid(wrong.JSONPointer.LastToken(), "is not known here, or not of its type")
		}
		return request.Invalid("", "the body is not the JSON object that is expected here")
	}
	return nil
}

// Decide answers POST /v1/consents: 201 with the decision, or 200 if its
// source_id was used before for the same.
func (h Handler) Decide(c echo.Context) error {
	var ask asked
	if err := read(c, &ask); err != nil {
		return err
	}
	p := request.Principal(c)
	if err := h.whole(p); err != nil {
		return err
	}
	application, err := h.application(c, ask.Application)
	if err != nil {
		return err
	}
	ids, err := identifiers(ask.Subject)
	if err != nil {
		return err
	}
	d := consent.Decision{
		Application: application, Subjects: ids, Decision: ask.Decision, Reason: ask.Reason, SourceID: ask.SourceID, By: p.Client,
	}
	if ask.Time != nil {
		d.Time = ask.Time.UTC()
	}
	kept, old, err := h.Gate.Decide(c.Request().Context(), d)
	if err != nil {
		return refusal(err)
	}
	if old {
		return c.JSON(http.StatusOK, kept)
	}
	return c.JSON(http.StatusCreated, kept)
}

// Page is a page of decisions, newest first.
type Page struct {
	Application string `json:"application"`
	// State is how the subject that was asked for stands: granted, denied,
	// revoked or none; Since is when its newest decision was recorded.
	State     string             `json:"state,omitempty"`
	Since     *time.Time         `json:"since,omitempty"`
	Decisions []consent.Decision `json:"decisions"`
	Next      string             `json:"next,omitempty"`
}

// List answers GET /v1/consents?subject=&application=&limit=&after=: the
// decisions, newest first, of one subject with its state, or all.
func (h Handler) List(c echo.Context) error {
	if err := h.whole(request.Principal(c)); err != nil {
		return err
	}
	if err := only(c, "subject", "application", "limit", "after"); err != nil {
		return err
	}
	application, err := h.application(c, c.QueryParam("application"))
	if err != nil {
		return err
	}
	limit := defaultPage
	if raw := c.QueryParam("limit"); raw != "" {
		if limit, err = strconv.Atoi(raw); err != nil || limit < 1 || limit > maxPage {
			return request.Invalid("limit", "is not a number from 1 to 500")
		}
	}
	page := Page{Application: application}
	var ids []subject.Identifier
	if raw := c.QueryParam("subject"); raw != "" {
		if ids, err = identifiers(jsontext.Value(raw)); err != nil {
			return err
		}
		if err := h.state(c.Request().Context(), &page, ids); err != nil {
			return refusal(err)
		}
	}
	list, more, err := h.Gate.Decisions(c.Request().Context(), application, ids, c.QueryParam("after"), limit)
	if err != nil {
		return refusal(err)
	}
	page.Decisions = append([]consent.Decision{}, list...)
	if more {
		page.Next = list[len(list)-1].ID
	}
	return c.JSON(http.StatusOK, page)
}

// state tells how a subject stands.
func (h Handler) state(ctx context.Context, page *Page, ids []subject.Identifier) error {
	last, _, err := h.Gate.Decisions(ctx, page.Application, ids, "", 1)
	if err != nil {
		return err
	}
	page.State = "none"
	if len(last) == 1 {
		at := last[0].Recorded
		page.State, page.Since = last[0].Decision.State(), &at
	}
	return nil
}

// Settings answers GET /v1/consents/gate?application=: the gate's settings.
func (h Handler) Settings(c echo.Context) error {
	if err := only(c, "application"); err != nil {
		return err
	}
	application, err := h.application(c, c.QueryParam("application"))
	if err != nil {
		return err
	}
	s, err := h.Gate.Settings(c.Request().Context(), application)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, Gate{application, s})
}

// Gate are the settings of an application's gate on the wire.
type Gate struct {
	Application string `json:"application"`
	consent.Settings
}

// Set answers PUT /v1/consents/gate: the settings as a whole; what is left out
// is as it is of a new gate.
func (h Handler) Set(c echo.Context) error {
	var ask Gate
	if err := read(c, &ask); err != nil {
		return err
	}
	p := request.Principal(c)
	if err := h.whole(p); err != nil {
		return err
	}
	application, err := h.application(c, ask.Application)
	if err != nil {
		return err
	}
	s, err := h.Gate.Set(c.Request().Context(), application, ask.Settings, p.Client)
	if err != nil {
		return refusal(err)
	}
	return c.JSON(http.StatusOK, Gate{application, s})
}

// whole refuses a client that is bound to an environment: a decision, like a
// gate, is about all of an application's events, which it may not see, and
// decisions name users of every environment.
func (h Handler) whole(p *auth.Principal) error {
	if p == nil || p.Environment == "" {
		return nil
	}
	return &request.Error{
		Status: http.StatusForbidden, Code: "access_denied",
		Description: "a client of one environment decides nothing for the whole application, and reads nothing of what was decided",
	}
}

// application returns the application that is asked about: the caller's own,
// or for operators the one that is named.
func (h Handler) application(c echo.Context, named string) (string, error) {
	p := request.Principal(c)
	switch {
	case named == "" && p.Application == "":
		return "", request.Invalid("application", "is missing")
	case named == "" || named == p.Application:
		return p.Application, nil
	case !p.Allows(auth.ScopeAdmin):
		return "", request.Invalid("application", "names another than the client's own, which operators alone may do")
	case len(named) > maxApplication:
		return "", request.Invalid("application", "is too long")
	}
	_, err := h.Applications.Application(c.Request().Context(), named)
	if errors.Is(err, auth.ErrNotFound) {
		return "", request.Invalid("application", "is the id of no application")
	}
	return named, err
}

// Bounds of a count: it looks at so many records, and takes no longer.
const (
	maxCounted = 500_000
	countTime  = 2 * time.Second
)

// Held is how many events a gate holds, on the wire.
type Held struct {
	Application string `json:"application"`
	consent.Count
}

// Held answers GET …/held?application=, for operators: how many events the
// gate holds and has dropped. What they are is not told.
func (h Handler) Held(c echo.Context) error {
	if err := only(c, "application"); err != nil {
		return err
	}
	application, err := h.application(c, c.QueryParam("application"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), countTime)
	defer cancel()
	n, err := h.Gate.Held(ctx, application, maxCounted)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, Held{application, n})
}

// only refuses query parameters that are not known, or come twice.
func only(c echo.Context, known ...string) error {
	for name, values := range c.QueryParams() {
		ok := false
		for _, k := range known {
			ok = ok || k == name
		}
		if !ok {
			return request.Invalid(name, "is not a parameter of this request")
		}
		if len(values) > 1 {
			return request.Invalid(name, "is given more than once")
		}
	}
	return nil
}

// identifiers reads one identifier, or an array of those of one subject.
func identifiers(raw jsontext.Value) ([]subject.Identifier, error) {
	if len(raw) == 0 {
		return nil, request.Invalid("subject", "is missing")
	}
	list := []jsontext.Value{raw}
	if raw.Kind() == '[' {
		list = nil
		if err := jsonv2.Unmarshal(raw, &list); err != nil {
			return nil, request.Invalid("subject", "is not JSON")
		}
	}
	if len(list) > consent.MaxIdentifiers {
		return nil, request.Invalid("subject", "has too many identifiers")
	}
	ids := make([]subject.Identifier, 0, len(list))
	for _, one := range list {
		id, err := subject.ParseStrict(one)
		var wrong *subject.Error
		if errors.As(err, &wrong) {
			member := "subject"
			if wrong.Member != "" {
				member += "." + wrong.Member
			}
			return nil, request.Invalid(member, wrong.Reason)
		}
		if err != nil {
			return nil, request.Invalid("subject", "is not a subject identifier")
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, request.Invalid("subject", "has no identifier")
	}
	return ids, nil
}

// refusal turns what the gate says into an answer.
func refusal(err error) error {
	var wrong *consent.InvalidError
	var conflict *consent.ConflictError
	switch {
	case errors.As(err, &wrong):
		return request.Invalid(wrong.Member, wrong.Description)
	case errors.As(err, &conflict):
		return &request.Error{
			Status: http.StatusConflict, Code: "conflict", Member: "source_id",
			Description: "was used before for another decision, " + conflict.FirstID,
		}
	case errors.Is(err, consent.ErrPlace):
		return request.Invalid("after", "is not the id of a decision in this list")
	}
	return err
}
