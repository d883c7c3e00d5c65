// Package inlet serves POST /v1/sources/{name}: what a vendor's system sends of
// itself, as it sends it. It tells the vendor apart, takes the body to pieces,
// and answers 2xx once every record is durable in the log or can never be
// (contracts.md §2).
package inlet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// retryRefused is what a sender is asked to wait while we shut down.
const retryRefused = 5 * time.Second

// Sources tells who a vendor is (auth.Store).
type Sources interface {
	AdmitVendor(ctx context.Context, name string, header http.Header) (auth.VendorSource, error)
	// SignedByVendor is asked for a source that is signed.
	SignedByVendor(ctx context.Context, name string, header http.Header, body []byte) (bool, error)
}

// Handler serves the endpoints of vendors' sources. All fields but Rate are required.
type Handler struct {
	Sources Sources
	// Take keeps the records of a source durably. Its error is a failure of the
	// log: none may have been kept.
	Take func(ctx context.Context, source *auth.VendorSource, records []json.RawMessage) (ingest.Counts, error)
	// Rate counts a request of a source; nil: any number is let in. Its error is
	// answered as it is.
	Rate func(source string) error
	// Refusing reports whether the process takes no more work.
	Refusing func() bool
}

// Post takes in what a vendor sends: 202 with the counts of what became of it.
//
// Refusals of the body as a whole are *request.Error: 400 (no JSON, or nothing
// in it can be kept), 401 (unknown source, wrong credential or signature, alike),
// 413, 415 (a compressed body), 503 (shutting down). Any other error is a failure of
// the log: the vendor is to send all of it again.
func (h Handler) Post(c echo.Context) error {
	request.NoStore(c)
	ctx := c.Request().Context()
	source, err := h.Sources.AdmitVendor(ctx, c.Param("name"), c.Request().Header)
	if errors.Is(err, auth.ErrNotFound) {
		return unauthorized(c)
	}
	if err != nil {
		return err
	}
	if h.Rate != nil {
		if err := h.Rate(source.Name); err != nil {
			return err
		}
	}
	if h.Refusing() {
		return &request.Error{
			Status: http.StatusServiceUnavailable, Code: "shutting_down",
			Description: "the transmitter is shutting down", RetryAfter: retryRefused,
		}
	}
	// No Content-Type is asked for: what the vendors send is not documented,
	// and the body tells itself.
	if encoding := c.Request().Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return &request.Error{
			Status: http.StatusUnsupportedMediaType, Code: request.CodeUnsupportedMediaType,
			Description: "a compressed body is not taken",
		}
	}
	body, err := request.Body(c, ingest.MaxBodyBytes)
	if err != nil {
		return err
	}
	if source.Signed {
		signed, err := h.Sources.SignedByVendor(ctx, source.Name, c.Request().Header, body)
		if err != nil && !errors.Is(err, auth.ErrNotFound) {
			return err
		}
		if !signed { // nor if the source went meanwhile
			return unauthorized(c)
		}
	}
	records, err := split(source.Kind, body)
	if err != nil {
		return err
	}
	counts, err := h.Take(ctx, &source, records)
	if err != nil {
		return err
	}
	if counts.Err != nil && counts.Refused == len(records) {
		return request.Invalid(counts.Err.Member, counts.Err.Description)
	}
	return c.JSON(http.StatusAccepted, counts)
}

// unauthorized is the answer to whatever is not a source with its credential,
// so that nobody learns which sources there are. It asks for what most of them
// take (RFC 9110 §11.6.1).
func unauthorized(c echo.Context) error {
	c.Response().Header().Set("WWW-Authenticate", `Bearer, Basic realm="source"`)
	return &request.Error{
		Status: http.StatusUnauthorized, Code: "unauthorized",
		Description: "there is no source of this name that takes this credential",
	}
}
