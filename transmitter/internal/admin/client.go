package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

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
	// JWKS are the public keys that it authenticates with, JWKSURI where it
	// publishes them; with either it gets no secret.
	JWKS    jsontext.Value `json:"jwks,omitempty"`
	JWKSURI string         `json:"jwks_uri,omitempty"`
	// Certificate says by which certificates it authenticates instead; with
	// BoundTokens its tokens are bound to one, however it does.
	Certificate *auth.Certificate `json:"certificate,omitempty"`
	BoundTokens bool              `json:"bound_tokens,omitempty"`
	// External: its tokens are of another issuer; it has no secret.
	External bool      `json:"external,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	// Rotated is when its credentials were replaced last; OldUntil until when those
	// before are good, too.
	Rotated  time.Time `json:"rotated,omitzero"`
	OldUntil time.Time `json:"old_until,omitzero"`
}

// ClientPage is a page of clients.
type ClientPage struct {
	Clients []Client `json:"clients"`
	Next    string   `json:"next,omitempty"` // the after of the next page; "": this was the last
}

// clients answers with the clients of ?application=, or of all, in order of creation or,
// with any of ?q=, a part of the id, ?limit= and ?after=, with a page of them.
func (h Handler) clients(c echo.Context) error {
	list, err := h.Applications.Clients(c.Request().Context(), c.QueryParam("application"))
	if err != nil {
		return err
	}
	out := make([]Client, len(list))
	for i, cl := range list {
		out[i] = Client{
			ID: cl.ID, Application: cl.Application, Environment: cl.Environment, Scope: auth.JoinScopes(cl.Scopes),
			Static: cl.Static, Source: cl.Source, JWKS: cl.JWKS, JWKSURI: cl.JWKSURI, Certificate: cl.Certificate, BoundTokens: cl.BoundTokens, External: cl.External, Created: cl.Created,
			Rotated: cl.Rotated, OldUntil: cl.OldUntil,
		}
	}
	if !request.WantsPage(c) {
		return c.JSON(http.StatusOK, out)
	}
	query, err := request.ParsePage(c)
	if err != nil {
		return err
	}
	var page ClientPage
	page.Clients, page.Next = request.PageOf(query, out,
		func(c *Client) request.Place { return request.PlaceOf("", c.Created, c.ID) }, func(c *Client) []string { return []string{c.ID} })
	return c.JSON(http.StatusOK, page)
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
	if ask.JWKSURI != "" {
		if err := h.CheckKeysURL(ask.JWKSURI); err != nil {
			return request.Invalid("jwks_uri", err.Error())
		}
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
		JWKS: ask.JWKS, JWKSURI: ask.JWKSURI, Certificate: ask.Certificate, BoundTokens: ask.BoundTokens, External: ask.External,
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

// rotateClient answers POST /admin/clients/{id}/rotate {"keep_seconds", "jwks",
// "jwks_uri", "certificate", "end_tokens"} with 201 and the new secrets, shown this once. Those before
// are good for so long.
func (h Handler) rotateClient(c echo.Context) error {
	var ask struct {
		KeepSeconds int               `json:"keep_seconds"`
		JWKS        jsontext.Value    `json:"jwks"`
		JWKSURI     string            `json:"jwks_uri"`
		Certificate *auth.Certificate `json:"certificate"`
		EndTokens   bool              `json:"end_tokens"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if ask.KeepSeconds < 0 || ask.KeepSeconds > int(auth.MaxKeepOld/time.Second) {
		return request.Invalid("keep_seconds", "must not exceed 30 days")
	}
	if ask.JWKSURI != "" {
		if err := h.CheckKeysURL(ask.JWKSURI); err != nil {
			return request.Invalid("jwks_uri", err.Error())
		}
	}
	how := auth.Rotation{JWKS: ask.JWKS, JWKSURI: ask.JWKSURI, Certificate: ask.Certificate, EndTokens: ask.EndTokens}
	if ask.KeepSeconds > 0 {
		how.OldUntil = h.Now().Add(time.Duration(ask.KeepSeconds) * time.Second)
	}
	given, err := h.Applications.RotateClient(c.Request().Context(), c.Param("id"), how)
	if err != nil {
		return refusal(err)
	}
	return c.JSON(http.StatusCreated, struct {
		auth.Credentials
		OldUntil time.Time `json:"old_until,omitzero"`
	}{given, how.OldUntil})
}
