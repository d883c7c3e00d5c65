package admin

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
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
}

// openToAll is what an operator is told of a source without a credential.
const openToAll = "anybody who knows the path can write events of this source; use it only where something else keeps others from the path"

// sources lists the vendors' sources. What they authenticate with is not shown.
func (h Handler) sources(c echo.Context) error {
	list, err := h.Applications.VendorSources(c.Request().Context())
	if err != nil {
		return err
	}
	out := make([]VendorSource, len(list))
	for i, v := range list {
		out[i] = VendorSource{
			Name: v.Name, Kind: v.Kind, Auth: v.Auth, User: v.User, Header: v.Header,
			Environment: v.Environment, Applications: v.Applications, EventTypes: v.EventTypes, SubjectIssuers: v.SubjectIssuers,
			Path: h.sourcePath(&v), Created: v.Created,
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
			Environment: ask.Environment,
		},
		Kind: ask.Kind, Auth: ask.Auth, User: ask.User, Header: ask.Header,
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
	if v.Auth == auth.VendorNone {
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
