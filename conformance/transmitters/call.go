package transmitters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tocsin-ssf/tocsin/conformance"
)

// call is a request to the transmitter.
type call struct {
	method string
	url    string
	query  url.Values
	body   any         // written as JSON; nil: none
	raw    []byte      // sent as it is, instead of body
	header http.Header // a Content-Type without a value sends none
	token  *string     // instead of the receiver's; "": none
}

// do makes a request with the receiver's token.
func (s *suite) do(ctx context.Context, t *conformance.T, c call) (conformance.Answer, error) {
	ask, err := s.ask(ctx, c)
	if err != nil {
		return conformance.Answer{}, err
	}
	return t.Do(ctx, s.cfg.HTTP, ask)
}

func (s *suite) ask(ctx context.Context, c call) (conformance.Ask, error) {
	ask := conformance.Ask{Method: c.method, URL: c.url, Header: c.header.Clone(), Body: c.raw}
	if ask.Header == nil {
		ask.Header = http.Header{}
	}
	if c.query != nil {
		u, err := url.Parse(c.url)
		if err != nil {
			return ask, fmt.Errorf("the endpoint %q is not a URL", c.url)
		}
		query := u.Query()
		for name, values := range c.query {
			query[name] = values
		}
		u.RawQuery = query.Encode()
		ask.URL = u.String()
	}
	if c.body != nil {
		ask.Body = encode(c.body)
	}
	if _, said := ask.Header["Content-Type"]; ask.Body != nil && !said {
		ask.Header.Set("Content-Type", "application/json")
	}
	if ask.Header.Get("Accept") == "" {
		ask.Header.Set("Accept", "application/json")
	}
	if !s.secureText(c.url) {
		return ask, fmt.Errorf("%q is not https, and gets no token", c.url)
	}
	token := ""
	if c.token != nil {
		token = *c.token
	} else {
		var err error
		if token, err = s.token(ctx); err != nil {
			return ask, fmt.Errorf("no access token: %w", err)
		}
	}
	if token != "" {
		ask.Header.Set("Authorization", "Bearer "+token)
	}
	return ask, nil
}

// quietly makes a request that no check shows: cleaning up.
func (s *suite) quietly(ctx context.Context, c call) (conformance.Answer, error) {
	ask, err := s.ask(ctx, c)
	if err != nil {
		return conformance.Answer{}, err
	}
	return ask.Send(ctx, s.cfg.HTTP, &s.mask)
}

// errOneStream says that a stream is in the way.
var errOneStream = errors.New("the transmitter answers 409: it allows the receiver one stream, and has one that is not of this suite (see --delete-stale-streams)")
