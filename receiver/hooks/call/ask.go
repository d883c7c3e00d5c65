package call

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// maxSegmentBytes bounds a segment of a path that an event names.
const maxSegmentBytes = 512

// ErrSegment says that an identifier of an event cannot stand in an address.
var ErrSegment = errors.New("an identifier cannot stand in an address")

// Path returns base with segments appended, each escaped. A segment that is empty, that
// leads upwards, or that is very long is a permanent ErrSegment: events name them.
func Path(base *url.URL, segments ...string) (*url.URL, error) {
	u := *base
	path, raw := strings.TrimSuffix(base.Path, "/"), strings.TrimSuffix(base.EscapedPath(), "/")
	for _, s := range segments {
		if s == "" || s == "." || s == ".." || len(s) > maxSegmentBytes {
			return nil, receiver.Permanent(ErrSegment)
		}
		path += "/" + s
		raw += "/" + url.PathEscape(s)
	}
	u.Path, u.RawPath = path, raw
	return &u, nil
}

// API is one server's API as a hook uses it.
type API struct {
	Client *Client
	Base   *url.URL
	// Tokens, if not nil, authorize each call.
	Tokens *Tokens
	// Authorization, if not empty, is the header's value instead.
	Authorization string
	// Name is the hook's, for errors.
	Name string
}

// Ask calls METHOD base/segments?query with a JSON body, unless that is nil. what names
// the call in errors.
func (api API) Ask(ctx context.Context, what, method string, segments []string, query url.Values, body any) (Answer, error) {
	what = api.Name + ": " + what
	u, err := Path(api.Base, segments...)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", what, err)
	}
	u.RawQuery = query.Encode()
	text, mediaType := []byte(nil), ""
	if body != nil {
		mediaType = "application/json"
		if text, err = json.Marshal(body); err != nil {
			return Answer{}, receiver.Permanent(fmt.Errorf("%s: the body cannot be written", what))
		}
	}
	request := func() (*http.Request, error) {
		var r io.Reader
		if body != nil {
			r = bytes.NewReader(text)
		}
		req, err := Request(ctx, method, u, mediaType, r)
		if err == nil {
			req.Header.Set("Accept", "application/json")
			if api.Authorization != "" {
				req.Header.Set("Authorization", api.Authorization)
			}
		}
		return req, err
	}
	if api.Tokens != nil {
		return api.Client.DoAuthorized(ctx, api.Tokens, what, request)
	}
	req, err := request()
	if err != nil {
		return Answer{}, err
	}
	return api.Client.Do(req, what)
}

// Verdict is that of the answer to the call that what names.
func (api API) Verdict(a Answer, what string, ok ...int) error {
	return a.Verdict(api.Name+": "+what, ok...)
}

// JSON reads the answer to the call that what names.
func (api API) JSON(a Answer, what string, v any) error { return a.JSON(api.Name+": "+what, v) }
