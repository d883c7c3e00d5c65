package source

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const (
	// maxPageBytes bounds an answer with records.
	maxPageBytes = 8 << 20
	// callTime bounds one call, whatever the client's own bound is.
	callTime = 30 * time.Second
)

// errAnswer: an answer of 200 that is not what is documented.
var errAnswer = errors.New("source: the answer is not JSON of the documented form")

// api is one vendor's API.
type api struct {
	base   string // without a slash at its end
	http   *http.Client
	errors func(body []byte, e *Error) // reads the vendor's envelope
}

func newAPI(of *auth.VendorAPI, client *http.Client, parse func([]byte, *Error)) api {
	return api{base: strings.TrimSuffix(of.URL, "/"), http: client, errors: parse}
}

// get calls a path with a query and returns the body of a 200.
func (a api) get(ctx context.Context, path string, query url.Values, authorization string) ([]byte, error) {
	target := a.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return a.call(ctx, http.MethodGet, target, authorization, nil)
}

// call makes one request and returns the body of a 200. Errors: *Error for any
// other status; guard's TooLargeError for a body beyond maxPageBytes.
func (a api) call(ctx context.Context, method, target, authorization string, body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, errors.New("source: the address cannot be called")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", authorization)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, guard.Cause(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		// What cannot be read of an error is left out of it.
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
		return nil, newError(resp.StatusCode, resp.Header, text, time.Now(), a.errors)
	}
	return guard.ReadBody(resp.Body, maxPageBytes)
}
