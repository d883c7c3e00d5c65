package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/source"
)

// VendorSource is a vendor's source on the wire. In its lists absent or null
// means all, empty means none.
type VendorSource struct {
	Name           string    `json:"name"`
	Kind           string    `json:"kind"`
	Auth           string    `json:"auth"`
	User           string    `json:"user,omitempty"`
	Header         string    `json:"header,omitempty"`
	Environment    string    `json:"environment,omitempty"`
	Applications   []string  `json:"applications"`
	EventTypes     []string  `json:"event_types"`
	SubjectIssuers []string  `json:"subject_issuers"`
	Path           string    `json:"path,omitempty"`
	Created        time.Time `json:"created,omitzero"`
	// Signed says that what the vendor sends must bear its signature, by
	// SignatureSecret, which is never shown.
	Signed          bool   `json:"signed,omitempty"`
	SignatureSecret string `json:"signature_secret,omitempty"`
	// Consents are the applications whose gate the source's records of consent
	// drive, by their names at the source.
	Consents map[string]string `json:"consents,omitempty"`
	// API is how the vendor's own API is called, Polled how that went.
	API    *VendorAPI   `json:"api,omitempty"`
	Polled *VendorPlace `json:"polled,omitempty"`
}

// VendorAPI is auth.VendorAPI on the wire. The secret is never shown.
type VendorAPI struct {
	URL            string    `json:"url"`
	ClientID       string    `json:"client_id,omitempty"`
	Secret         string    `json:"secret,omitempty"`
	PollSeconds    int       `json:"poll_seconds,omitempty"`    // 0: it is not polled
	OverlapSeconds int       `json:"overlap_seconds,omitempty"` // 0: the default
	Since          time.Time `json:"since,omitzero"`            // zero: when it is added
}

// VendorPlace is auth.VendorPlace on the wire.
type VendorPlace struct {
	Since time.Time `json:"since"`
	// Within says that pages of the present window are still to be read.
	Within      bool      `json:"within,omitempty"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Failures    int       `json:"failures"`
	LastFailure time.Time `json:"last_failure,omitzero"`
	LastError   string    `json:"last_error,omitempty"`
}

// maxEventID bounds the vendor's id of an event to be looked up.
const maxEventID = 256

// openToAll is what an operator is told of a source without a credential.
const openToAll = "anybody who knows the path can write events of this source; use it only where something else keeps others from the path"

// sources lists the vendors' sources and how polling them goes. No secret is
// shown.
func (h Handler) sources(c echo.Context) error {
	ctx := c.Request().Context()
	list, err := h.Applications.VendorSources(ctx)
	if err != nil {
		return err
	}
	called, err := h.Applications.CalledSources(ctx)
	if err != nil {
		return err
	}
	places := make(map[string]auth.VendorPlace, len(called))
	for i := range called {
		places[called[i].Name] = called[i].Place
	}
	out := make([]VendorSource, len(list))
	for i, v := range list {
		out[i] = VendorSource{
			Name: v.Name, Kind: v.Kind, Auth: v.Auth, User: v.User, Header: v.Header,
			Environment: v.Environment, Applications: v.Applications, EventTypes: v.EventTypes, SubjectIssuers: v.SubjectIssuers,
			Path: h.sourcePath(&v), Created: v.Created, Signed: v.Signed, Consents: v.Consents,
		}
		if api := v.API; api != nil {
			out[i].API = &VendorAPI{
				URL: api.URL, ClientID: api.ClientID, Since: api.Since,
				PollSeconds: int(api.Every / time.Second), OverlapSeconds: int(api.Overlap / time.Second),
			}
		}
		if place, ok := places[v.Name]; ok && v.API != nil && v.API.Every > 0 {
			out[i].Polled = &VendorPlace{
				Since: place.Since, Within: place.Cursor != "", LastSuccess: place.Success,
				Failures: place.Failures, LastFailure: place.Failed, LastError: place.Error,
			}
		}
	}
	return c.JSON(http.StatusOK, out)
}

// sourcePath is where the vendor sends to, empty for one that is only polled.
func (h Handler) sourcePath(v *auth.VendorSource) string {
	if v.Auth == auth.VendorOff {
		return ""
	}
	return h.SourcePath + "/" + v.Name
}

// addSource answers 201 with what the vendor is to send, shown this once.
func (h Handler) addSource(c echo.Context) error {
	var ask VendorSource
	if err := read(c, &ask); err != nil {
		return err
	}
	if ask.Name == Source {
		return request.Invalid("name", "is that of operators")
	}
	v := auth.VendorSource{
		Source: auth.Source{
			Name: ask.Name, EventTypes: ask.EventTypes, SubjectIssuers: ask.SubjectIssuers, Applications: ask.Applications,
			Environment: ask.Environment, Consents: ask.Consents,
		},
		Kind: ask.Kind, Auth: ask.Auth, User: ask.User, Header: ask.Header, SignatureSecret: ask.SignatureSecret,
	}
	if api := ask.API; api != nil {
		if err := h.CheckVendor(api.URL); err != nil {
			return request.Invalid("api.url", err.Error())
		}
		if most := int(auth.MaxPollEvery / time.Second); api.PollSeconds < 0 || api.PollSeconds > most {
			return request.Invalid("api.poll_seconds", "must be a second to a day")
		} else if api.OverlapSeconds < 0 || api.OverlapSeconds > most {
			return request.Invalid("api.overlap_seconds", "must not exceed a day")
		}
		v.API = &auth.VendorAPI{
			URL: api.URL, ClientID: api.ClientID, Secret: api.Secret, Since: api.Since,
			Every: time.Duration(api.PollSeconds) * time.Second, Overlap: time.Duration(api.OverlapSeconds) * time.Second,
		}
	}
	given, err := h.Applications.AddVendorSource(c.Request().Context(), v)
	if err != nil {
		return refusal(err)
	}
	out := struct {
		Name string `json:"name"`
		Path string `json:"path,omitempty"`
		auth.VendorCredential
		Warning string `json:"warning,omitempty"`
	}{Name: v.Name, Path: h.sourcePath(&v), VendorCredential: given}
	if v.Auth == auth.VendorNone && v.SignatureSecret == "" {
		out.Warning = openToAll
	}
	return c.JSON(http.StatusCreated, out)
}

func (h Handler) removeSource(c echo.Context) error {
	if err := h.Applications.RemoveVendorSource(c.Request().Context(), c.Param("name")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// fetch answers POST /admin/sources/{name}/fetch {"id"}: the vendor is asked for
// the event with its id, which is kept; 202 with the counts of what became of it.
func (h Handler) fetch(c echo.Context) error {
	var ask struct {
		ID string `json:"id"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	if ask.ID == "" || len(ask.ID) > maxEventID {
		return request.Invalid("id", "is missing or longer than 256 bytes")
	}
	counts, err := h.Fetch(c.Request().Context(), c.Param("name"), ask.ID)
	var vendor *source.Error
	switch {
	case errors.As(err, &vendor) && vendor.Status == http.StatusNotFound:
		return &request.Error{Status: http.StatusNotFound, Code: "not_found", Member: "id", Description: "the vendor has no event with this id"}
	case err != nil:
		return vendorFailed(err)
	}
	return c.JSON(http.StatusAccepted, counts)
}

// sourceTypes answers GET /admin/sources/{name}/types: {"types": […]}, what the
// vendor tells now of the types of its events.
func (h Handler) sourceTypes(c echo.Context) error {
	types, err := h.VendorTypes(c.Request().Context(), c.Param("name"))
	if errors.Is(err, source.ErrNoTypes) {
		return request.Invalid("name", "is of a vendor that tells no types; OneLogin does")
	}
	if err != nil {
		return vendorFailed(err)
	}
	return c.JSON(http.StatusOK, map[string]any{"types": types})
}

// vendorFailed turns why a vendor's API was not called, or what it answered, into
// an answer.
func vendorFailed(err error) error {
	if errors.Is(err, auth.ErrNotFound) {
		return &request.Error{
			Status: http.StatusNotFound, Code: "not_found", Member: "name",
			Description: "there is no source of this name whose vendor's API is called: a source has one if it is added with api (--api-secret)",
		}
	}
	var vendor *source.Error
	if errors.As(err, &vendor) {
		return &request.Error{Status: http.StatusBadGateway, Code: "vendor_failed", Description: vendor.Error(), RetryAfter: vendor.RetryAfter}
	}
	return err
}

// rotateSource answers POST /admin/sources/{name}/rotate: with {"keep_seconds"}
// 201 with a new secret, the old one being good for so long; with
// {"api_secret"} 204, and the vendor's API is called with that; with
// {"signature_secret"} 204, and what the vendor sends must be signed by that.
func (h Handler) rotateSource(c echo.Context) error {
	var ask struct {
		KeepSeconds int    `json:"keep_seconds"`
		APISecret   string `json:"api_secret"`
		Signature   string `json:"signature_secret"`
	}
	if err := read(c, &ask); err != nil {
		return err
	}
	ctx, name := c.Request().Context(), c.Param("name")
	if ask.APISecret != "" {
		if err := h.Applications.SetVendorSecret(ctx, name, ask.APISecret); err != nil {
			return refusal(err)
		}
		return c.NoContent(http.StatusNoContent)
	}
	if ask.Signature != "" {
		if err := h.Applications.SetSignatureSecret(ctx, name, ask.Signature); err != nil {
			return refusal(err)
		}
		return c.NoContent(http.StatusNoContent)
	}
	if ask.KeepSeconds < 0 || ask.KeepSeconds > int(auth.MaxKeepOld/time.Second) {
		return request.Invalid("keep_seconds", "must not exceed 30 days")
	}
	given, err := h.Applications.RotateVendorSource(ctx, name, time.Now().Add(time.Duration(ask.KeepSeconds)*time.Second))
	if err != nil {
		return refusal(err)
	}
	return c.JSON(http.StatusCreated, struct {
		Name string `json:"name"`
		auth.VendorCredential
	}{name, given})
}
