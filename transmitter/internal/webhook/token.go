package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// tokenPause is how long a failure of the token endpoint stands for those who
// ask next: a window of requests shall not become a storm there.
const tokenPause = time.Second

// tokens fetches and keeps the access token of a webhook that authenticates by
// client credentials. Safe for concurrent use.
type tokens struct {
	cfg    clientcredentials.Config
	client *http.Client // guarded
	now    func() time.Time
	turn   chan struct{} // held by who looks at what is below

	token  *oauth2.Token
	failed error
	at     time.Time // of the failure
}

func newTokens(a Auth, client *http.Client, now func() time.Time) *tokens {
	params := url.Values{}
	for name, value := range a.Params {
		params.Set(name, value)
	}
	return &tokens{
		cfg: clientcredentials.Config{
			ClientID: a.ClientID, ClientSecret: a.ClientSecret, TokenURL: a.TokenURL,
			Scopes: a.Scopes, EndpointParams: params,
		},
		client: client, now: now, turn: make(chan struct{}, 1),
	}
}

// header returns the value of the Authorization header. Errors: a
// *push.PackError if there is no token to be had; ctx's.
func (t *tokens) header(ctx context.Context) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if t.token.Valid() {
		return t.token.Type() + " " + t.token.AccessToken, nil
	}
	if since := t.now().Sub(t.at); t.failed != nil && since >= 0 && since < tokenPause {
		return "", t.failed
	}
	token, err := t.cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err == nil && !headerValue(token.Type()+" "+token.AccessToken) {
		err = errors.New("the token cannot be sent")
	}
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		t.token, t.failed, t.at = nil, tokenFailure(err), t.now()
		return "", t.failed
	}
	t.token, t.failed = token, nil
	return t.token.Type() + " " + t.token.AccessToken, nil
}

// forget drops the token: the receiver does not take it. If one is being
// fetched there is none to drop.
func (t *tokens) forget() {
	select {
	case t.turn <- struct{}{}:
		t.token = nil
		<-t.turn
	default:
	}
}

// tokenFailure says what it means that there is no token. It repeats nothing
// of the endpoint's answer but its status and its error code.
func tokenFailure(err error) error {
	f := push.Finding{Judgement: push.BackOff, Code: "token", Text: "no access token: ", Tried: true}
	var refused *oauth2.RetrieveError
	switch {
	case guard.Blocked(err):
		f.Judgement, f.Text = push.PauseStream, "auth.token_url leads to an address that is not allowed"
	case errors.As(err, &refused) && refused.ErrorCode != "":
		f.Text += fmt.Sprintf("the token endpoint answered %d %s", refused.Response.StatusCode, cut(refused.ErrorCode, 64))
	case errors.As(err, &refused):
		f.Text += fmt.Sprintf("the token endpoint answered %d", refused.Response.StatusCode)
	default:
		f.Text += cut(guard.Cause(err).Error(), 512)
	}
	return &push.PackError{Finding: f}
}
