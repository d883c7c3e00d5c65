// Package manage serves the management API of event streams (SSF §8.1) over
// HTTP. Its handlers read a request, call the [streams.Catalog], where all
// rules live, and write the answer; refusals go to the transmitter's error
// table. The caller of every handler has been authenticated.
package manage

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/profile"
)

// Handlers are the operations of the management API. Each returns a
// *request.Error, a *streams.RuleError, one of the errors of package streams
// or a failure of the store; and forbids caching (SSF-8.1.1-08).
type Handlers struct {
	Catalog *streams.Catalog
}

// begin notes on the answer what holds for all of them, and tells who asks.
func begin(c echo.Context) (streams.Owner, error) {
	request.NoStore(c)
	p := request.Principal(c)
	if p == nil {
		return streams.Owner{}, &request.Error{Status: http.StatusUnauthorized, Code: "unauthorized", Description: "a bearer token is needed"}
	}
	form, err := profile.Parse(p.Profile)
	if err != nil { // it was checked before it was kept: another version's
		return streams.Owner{}, err
	}
	return streams.Owner{
		ID: request.Owner(c), Audience: p.Audience, Profile: p.Profile, Encryption: p.Encryption, FormerDelivery: form.FormerDelivery,
	}, nil
}

// read begins a request with a JSON body and parses it.
func read[T any](c echo.Context, parse func([]byte) (T, error), mediaTypes ...string) (owner streams.Owner, parsed T, err error) {
	if owner, err = begin(c); err != nil {
		return owner, parsed, err
	}
	if err = request.MediaType(c, append(mediaTypes, request.MediaTypeJSON)...); err != nil {
		return owner, parsed, err
	}
	body, err := request.Body(c, streams.MaxBodyBytes)
	if err != nil {
		return owner, parsed, err
	}
	parsed, err = parse(body)
	return owner, parsed, err
}

// streamID returns the query's stream_id; present is false if it has none.
func streamID(c echo.Context) (id string, present bool, err error) {
	query, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return "", false, request.Invalid("", "the query is malformed")
	}
	values := query["stream_id"]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, request.Invalid("stream_id", "given more than once")
}

// requiredStreamID refuses a query without stream_id, so that a client's
// mistake is not taken for "already gone" (U14).
func requiredStreamID(c echo.Context) (string, error) {
	id, _, err := streamID(c)
	if err == nil && id == "" {
		err = request.Invalid("stream_id", "missing in the query")
	}
	return id, err
}
