package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// introspectedLife is how long a token is taken after the issuer said that it is
	// good, refusedLife how long one is refused after it said that it is not.
	introspectedLife = 30 * time.Second
	refusedLife      = 10 * time.Second
	// introspectionTime bounds one question, whoever waits for its answer.
	introspectionTime = 10 * time.Second
	// maxIntrospection bounds what the issuer says of a token.
	maxIntrospection = 64 << 10
)

// Introspection asks an issuer about tokens (RFC 7662), as a client of it.
type Introspection struct {
	// URL returns the endpoint; required.
	URL func(ctx context.Context) (string, error)
	// ClientID and ClientSecret are those that the issuer knows us by; required.
	ClientID, ClientSecret string
	// HTTP makes the requests; required.
	HTTP *http.Client

	// known is what the issuer said of tokens, the principal apart; one without a credential
	// was refused.
	known   cache
	flights singleflight.Group
}

func (i *Introspection) check() (errs []error) {
	if i.ClientID == "" || i.ClientSecret == "" {
		errs = append(errs, errors.New("ClientID and ClientSecret are required"))
	}
	if i.URL == nil || i.HTTP == nil {
		errs = append(errs, errors.New("URL and HTTP are required"))
	}
	return errs
}

// errPanicked: the words of a panic may hold a token.
var errPanicked = errors.New("auth: asking the token issuer: panicked")

// introspected is verify for a token that the issuer is asked about: once, for all who show it
// meanwhile. Who leaves takes nothing from the others; of a failure nothing is kept, so that
// whoever comes behind it asks again.
func (e *External) introspected(ctx context.Context, token string, now time.Time) (*verified, error) {
	key := cacheKey(sha256.Sum256([]byte(token)))
	if v, err := e.knownOf(key, now); v != nil || err != nil {
		return v, err
	}
	answer := e.Introspection.flights.DoChan(string(key[:]), func() (v any, err error) {
		defer func() {
			if recover() != nil {
				err = errPanicked // on a goroutine of its own: it would end the process
			}
		}()
		if v, err := e.knownOf(key, now); v != nil || err != nil {
			return v, err // since the look before
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), introspectionTime)
		defer cancel()
		return e.introspect(ctx, key, token, now)
	})
	select {
	case got := <-answer:
		v, _ := got.Val.(*verified)
		return v, got.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// knownOf returns what the issuer has said of a token lately; nil: nothing.
func (e *External) knownOf(key cacheKey, now time.Time) (*verified, error) {
	v := e.Introspection.known.get(key)
	if v == nil || !v.goodAt(now) {
		return nil, nil
	}
	if !v.external {
		return nil, invalidToken("the issuer does not know the access token")
	}
	return v, nil
}

// introspect asks the issuer, and remembers what it says.
func (e *External) introspect(ctx context.Context, key cacheKey, token string, now time.Time) (*verified, error) {
	refuse := func(reason string) (*verified, error) {
		e.Introspection.known.put(key, &verified{expires: now.Add(refusedLife)})
		return nil, invalidToken(reason)
	}
	body, err := e.Introspection.ask(ctx, token)
	if err != nil {
		return nil, fmt.Errorf("auth: asking the token issuer: %w", err)
	}
	c, err := readExternal(body)
	if err != nil {
		return nil, errors.New("auth: asking the token issuer: its answer is no object of RFC 7662")
	}
	if !c.Active {
		return refuse("the issuer does not know the access token")
	}
	if c.Issuer != "" && c.Issuer != e.Issuer {
		return refuse("iss is another")
	}
	if reason := e.judgeUse(c, now); reason != "" {
		return refuse(reason)
	}
	v, err := e.verified(c, now.Add(introspectedLife))
	if err == nil {
		e.Introspection.known.put(key, v)
	}
	return v, err
}

// ask returns what the issuer says of a token. Its errors show nothing of it.
func (i *Introspection) ask(ctx context.Context, token string) ([]byte, error) {
	endpoint, err := i.URL(ctx)
	if err != nil {
		return nil, err
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("its introspection_endpoint is no URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret))
	resp, err := i.HTTP.Do(r)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxIntrospection+1))
	if err == nil && len(body) > maxIntrospection {
		err = errors.New("its answer is too large")
	}
	return body, err
}
