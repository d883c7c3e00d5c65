package call

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// Tokens fetches and keeps the access token of a client (RFC 6749 §4.4). Safe for
// concurrent use.
type Tokens struct {
	cfg    clientcredentials.Config
	client *http.Client
	turn   chan struct{} // held by who looks at token
	token  *oauth2.Token
}

// NewTokens returns the tokens of a client at a token endpoint, which was checked by
// Client.URL.
func (c *Client) NewTokens(endpoint, id, secret string, scopes ...string) *Tokens {
	return &Tokens{
		cfg:    clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: endpoint, Scopes: slices.Clone(scopes), AuthStyle: oauth2.AuthStyleInHeader},
		client: c.http, turn: make(chan struct{}, 1),
	}
}

// Header returns the value of an Authorization header. Errors repeat nothing of the
// endpoint's answer but its status, and are to be tried again.
func (t *Tokens) Header(ctx context.Context) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if !t.token.Valid() {
		token, err := t.cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
		if err != nil {
			return "", tokenFailure(err)
		}
		t.token = token
	}
	header := t.token.Type() + " " + t.token.AccessToken
	if !isValue(header) {
		return "", errors.New("access token: it cannot be sent")
	}
	return header, nil
}

// Forget drops a token that a server did not take.
func (t *Tokens) Forget() {
	select {
	case t.turn <- struct{}{}:
		t.token = nil
		<-t.turn
	default: // one is being fetched
	}
}

func tokenFailure(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		err := &StatusError{"access token", refused.Response.StatusCode}
		return receiver.Later(err, retryAfter(refused.Response.Header.Get("Retry-After"), time.Now()))
	}
	return fmt.Errorf("access token: %w", guard.Cause(err))
}

// DoAuthorized makes the call that request builds, with a token, and once more with a
// new one if the server answers 401.
func (c *Client) DoAuthorized(ctx context.Context, t *Tokens, what string, request func() (*http.Request, error)) (Answer, error) {
	for again := false; ; again = true {
		header, err := t.Header(ctx)
		if err != nil {
			return Answer{}, fmt.Errorf("%s: %w", what, err)
		}
		req, err := request()
		if err != nil {
			return Answer{}, err
		}
		req.Header.Set("Authorization", header)
		a, err := c.Do(req, what)
		if err != nil || a.Status != http.StatusUnauthorized || again {
			return a, err
		}
		t.Forget()
	}
}
