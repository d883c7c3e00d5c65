package admin

import (
	"context"
	"encoding/json"
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
	ID            string   `json:"id"`
	Name          string   `json:"name,omitempty"`
	Audience      []string `json:"audience"`
	SubjectFormat string   `json:"subject_format,omitempty"`
	Profile       string   `json:"profile,omitempty"`
	// Encryption is that of the streams it makes.
	Encryption *Encryption `json:"encryption,omitempty"`
	Created    time.Time   `json:"created,omitzero"`
}

// showApplication is an application on the wire.
func showApplication(a auth.Application) (Application, error) {
	encryption, err := encryptionOf(a.Encryption)
	return Application{a.ID, a.Name, a.Audience, a.SubjectFormat, a.Profile, encryption, a.Created}, err
}

// ApplicationPage is a page of all applications.
type ApplicationPage struct {
	Applications []Application `json:"applications"`
	Next         string        `json:"next,omitempty"` // the after of the next page; "": this was the last
}

// applications answers with all applications in order of creation or, with any of ?q=, a
// part of the id, the name or an audience, ?limit= and ?after=, with a page of them.
func (h Handler) applications(c echo.Context) error {
	list, err := h.Applications.Applications(c.Request().Context())
	if err != nil {
		return err
	}
	var page ApplicationPage
	paged := request.WantsPage(c)
	if paged {
		query, err := request.ParsePage(c)
		if err != nil {
			return err
		}
		list, page.Next = request.PageOf(query, list, applicationPlace, applicationTexts)
	}
	page.Applications = make([]Application, len(list))
	for i, a := range list {
		if page.Applications[i], err = showApplication(a); err != nil {
			return err
		}
	}
	if !paged {
		return c.JSON(http.StatusOK, page.Applications)
	}
	return c.JSON(http.StatusOK, page)
}

// applicationTexts are what a search for applications looks at.
func applicationTexts(a *auth.Application) []string {
	return append([]string{a.ID, a.Name}, a.Audience...)
}

func applicationPlace(a *auth.Application) request.Place {
	return request.PlaceOf("", a.Created, a.ID)
}

func (h Handler) addApplication(c echo.Context) error {
	var ask struct {
		ID            string          `json:"id"`
		Name          string          `json:"name"`
		Audience      []string        `json:"audience"`
		SubjectFormat string          `json:"subject_format"`
		Profile       string          `json:"profile"`
		Encryption    *encryptionAsk  `json:"encryption"`
		Created       json.RawMessage `json:"created"` // the store's to say
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	a := auth.Application{ID: ask.ID, Name: ask.Name, Audience: ask.Audience, SubjectFormat: ask.SubjectFormat, Profile: ask.Profile}
	if ask.Encryption != nil {
		var err error
		if a.Encryption, err = ask.Encryption.kept(); err != nil {
			return err
		}
	}
	if err := checkProfile(ask.Profile); err != nil {
		return err
	}
	made, err := h.Applications.AddApplication(c.Request().Context(), a)
	if err != nil {
		return refusal(err)
	}
	shown, err := showApplication(made)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, shown)
}

// changeApplication changes the members that the body has.
func (h Handler) changeApplication(c echo.Context) error {
	var ask struct {
		Name          *string        `json:"name"`
		SubjectFormat *string        `json:"subject_format"`
		Profile       *string        `json:"profile"`
		Encryption    *encryptionAsk `json:"encryption"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if ask.Profile != nil {
		if err := checkProfile(*ask.Profile); err != nil {
			return err
		}
	}
	change := auth.ApplicationChange{Name: ask.Name, SubjectFormat: ask.SubjectFormat, Profile: ask.Profile}
	if ask.Encryption != nil {
		kept, err := ask.Encryption.kept()
		if err != nil {
			return err
		}
		change.Encryption = &kept
	}
	changed, err := h.Applications.ChangeApplication(c.Request().Context(), c.Param("id"), change)
	if err != nil {
		return refusal(err)
	}
	shown, err := showApplication(changed)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, shown)
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
