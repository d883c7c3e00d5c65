package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/profile"
)

// Application is an application on the wire.
type Application struct {
	ID            string    `json:"id"`
	Name          string    `json:"name,omitempty"`
	Audience      []string  `json:"audience"`
	SubjectFormat string    `json:"subject_format,omitempty"`
	Profile       string    `json:"profile,omitempty"`
	Created       time.Time `json:"created,omitzero"`
}

// Client is a client on the wire. To add one, name its application, or the
// audience of one, which is made if there is none.
type Client struct {
	ID          string       `json:"id"`
	Application string       `json:"application,omitempty"`
	Audience    string       `json:"audience,omitempty"`
	Environment string       `json:"environment,omitempty"`
	Scope       string       `json:"scope"`
	Static      bool         `json:"static,omitempty"`
	Source      *auth.Source `json:"source,omitempty"`
	Created     time.Time    `json:"created,omitzero"`
}

func (h Handler) applications(c echo.Context) error {
	list, err := h.Applications.Applications(c.Request().Context())
	if err != nil {
		return err
	}
	out := make([]Application, len(list))
	for i, a := range list {
		out[i] = Application(a)
	}
	return c.JSON(http.StatusOK, out)
}

func (h Handler) addApplication(c echo.Context) error {
	var ask Application
	if err := read(c, &ask); err != nil {
		return err
	}
	ask.Created = time.Time{} // the store's to say
	if err := checkProfile(ask.Profile); err != nil {
		return err
	}
	made, err := h.Applications.AddApplication(c.Request().Context(), auth.Application(ask))
	if err != nil {
		return refusal(err)
	}
	return c.JSON(http.StatusCreated, Application(made))
}

// changeApplication changes the members that the body has.
func (h Handler) changeApplication(c echo.Context) error {
	var ask struct {
		Name          *string `json:"name"`
		SubjectFormat *string `json:"subject_format"`
		Profile       *string `json:"profile"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if ask.Profile != nil {
		if err := checkProfile(*ask.Profile); err != nil {
			return err
		}
	}
	changed, err := h.Applications.ChangeApplication(c.Request().Context(), c.Param("id"), auth.ApplicationChange(ask))
	if err != nil {
		return refusal(err)
	}
	return c.JSON(http.StatusOK, Application(changed))
}

// checkProfile refuses a profile that there is not.
func checkProfile(text string) error {
	if _, err := profile.Parse(text); err != nil {
		return request.Invalid("profile", strings.TrimPrefix(err.Error(), "profile: "))
	}
	return nil
}

// removeApplication also deletes the application's streams: nothing of it may
// go on leaving. If that fails half-way, the same request again finishes it.
func (h Handler) removeApplication(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("id")
	// The application first: then no new stream can come in between.
	removed := h.Applications.RemoveApplication(ctx, id)
	if removed != nil && !errors.Is(removed, auth.ErrNotFound) {
		return removed
	}
	h.Removed()
	owned, err := h.owned(ctx, id, true)
	if err != nil {
		return err
	}
	for _, s := range owned {
		if err := h.Streams.Delete(ctx, s.ID); err != nil && !errors.Is(err, streams.ErrNotFound) {
			return err
		}
	}
	if removed != nil && len(owned) == 0 {
		return removed
	}
	return c.NoContent(http.StatusNoContent)
}

// owned returns the streams of an application, those of its environments too,
// and its webhooks if they are asked for.
func (h Handler) owned(ctx context.Context, application string, webhooks bool) ([]streams.Stream, error) {
	owners, err := h.Streams.Owners(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(owners)
	var list []streams.Stream
	for _, owner := range owners {
		of, hooks := streams.ApplicationOf(owner)
		if of != application || hooks && !webhooks {
			continue
		}
		some, err := h.Streams.Streams(ctx, owner)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

func (h Handler) clients(c echo.Context) error {
	list, err := h.Applications.Clients(c.Request().Context(), c.QueryParam("application"))
	if err != nil {
		return err
	}
	out := make([]Client, len(list))
	for i, cl := range list {
		out[i] = Client{
			ID: cl.ID, Application: cl.Application, Environment: cl.Environment, Scope: auth.JoinScopes(cl.Scopes),
			Static: cl.Static, Source: cl.Source, Created: cl.Created,
		}
	}
	return c.JSON(http.StatusOK, out)
}

// applicationOf returns the application of an audience and makes it if there
// is none; its id is then derived from the audience, unless one of that id was
// removed.
func (h Handler) applicationOf(ctx context.Context, audience string) (auth.Application, error) {
	if audience == "" {
		return auth.Application{}, request.Invalid("audience", "is missing, and so is application")
	}
	app, err := h.Applications.ApplicationFor(ctx, audience)
	if !errors.Is(err, auth.ErrNotFound) {
		return app, err
	}
	sum := sha256.Sum256([]byte(audience))
	id := "app-" + hex.EncodeToString(sum[:8])
	removed, err := h.Applications.Removed(ctx, id)
	if err != nil {
		return auth.Application{}, err
	}
	if removed {
		id = "" // a random one
	}
	return h.Applications.AddApplication(ctx, auth.Application{ID: id, Name: audience, Audience: []string{audience}})
}

// addClient answers 201 with the client's secrets, shown this once.
func (h Handler) addClient(c echo.Context) error {
	var ask Client
	if err := read(c, &ask); err != nil {
		return err
	}
	scopes, err := auth.ParseScopes(ask.Scope)
	if err != nil {
		return refusal(err)
	}
	ctx := c.Request().Context()
	if ask.Application == "" {
		app, err := h.applicationOf(ctx, ask.Audience)
		if err != nil {
			return refusal(err)
		}
		ask.Application = app.ID
	}
	made, err := h.Applications.AddClient(ctx, auth.Client{
		ID: ask.ID, Application: ask.Application, Environment: ask.Environment, Scopes: scopes, Static: ask.Static, Source: ask.Source,
	})
	if err != nil {
		return refusal(err)
	}
	return c.JSON(http.StatusCreated, made)
}

func (h Handler) removeClient(c echo.Context) error {
	if err := h.Applications.RemoveClient(c.Request().Context(), c.Param("id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// refusal turns what the store says of a registration into an answer.
func refusal(err error) error {
	var wrong *auth.InvalidError
	switch {
	case errors.As(err, &wrong):
		return request.Invalid(wrong.Member, wrong.Description)
	case errors.Is(err, auth.ErrRemoved):
		return &request.Error{Status: http.StatusConflict, Code: "exists", Description: auth.ErrRemoved.Error()}
	case errors.Is(err, auth.ErrExists):
		return &request.Error{Status: http.StatusConflict, Code: "exists", Description: "the id, the name or an audience is taken already"}
	}
	return err
}
