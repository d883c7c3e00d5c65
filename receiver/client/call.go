package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Bounds on answers.
const (
	MaxStreams    = 1000      // streams of one list
	MaxListBytes  = 4 << 20   // a list of streams
	MaxExcerpt    = 1024      // bytes of an error's body that are kept
	MaxRetryAfter = time.Hour // however long a transmitter asks to wait

	firstPending = time.Second      // before a request answered 202 is repeated
	maxPending   = 30 * time.Second // between two of them
)

// call is one request of the API.
type call struct {
	operation string
	method    string
	endpoint  string
	streamID  string // in the query; empty: none
	body      any    // sent as JSON; nil: none
	into      any    // read from the body of the answer; nil: the body is ignored
	success   []int  // statuses
	limit     int64  // of the body
}

// do sends a call once.
func (c *Client) do(ctx context.Context, call call) error {
	_, err := c.send(ctx, call)
	return err
}

// decide sends a call and repeats it as it is while the answer is 202 (U34).
func (c *Client) decide(ctx context.Context, call call) error {
	deadline := time.Now().Add(max(c.cfg.Pending, 0))
	for pause := firstPending; ; pause = min(2*pause, maxPending) {
		status, err := c.send(ctx, call)
		pending, ok := err.(*Error) //nolint:errorlint // send returns it unwrapped
		if status != http.StatusAccepted || !ok {
			return err
		}
		next := max(pause, pending.RetryAfter)
		if time.Now().Add(next).After(deadline) {
			return fmt.Errorf("%w: %s", ErrPending, call.operation)
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// send makes the request, and once more with another token if that was refused (401).
func (c *Client) send(ctx context.Context, call call) (status int, err error) {
	token, err := c.token(ctx)
	if err != nil {
		return 0, fmt.Errorf("client: %s: %w", call.operation, err)
	}
	status, err = c.exchange(ctx, call, token)
	if status != http.StatusUnauthorized || c.cfg.Refused == nil {
		return status, err
	}
	c.cfg.Refused(token)
	other, tokenErr := c.token(ctx)
	if tokenErr != nil || other == token {
		return status, err
	}
	return c.exchange(ctx, call, other)
}

// token returns the access token, "" if none is sent.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.cfg.Token == nil {
		return "", nil
	}
	token, err := c.cfg.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("access token: %w", err)
	}
	return token, nil
}

func (c *Client) exchange(ctx context.Context, call call, token string) (status int, err error) {
	req, err := c.request(ctx, call, token)
	if err != nil {
		return 0, fmt.Errorf("client: %s: %w", call.operation, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("client: %s: %w", call.operation, guard.Cause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if !slices.Contains(call.success, resp.StatusCode) {
		if resp.StatusCode == http.StatusNotFound && c.cfg.Metadata == nil {
			c.cfg.Discovery.Expire(c.cfg.Issuer) // the endpoint may have moved (U36)
		}
		return resp.StatusCode, failure(call.operation, resp)
	}
	if call.into == nil {
		return resp.StatusCode, nil
	}
	limit := call.limit
	if limit == 0 {
		limit = streams.MaxBodyBytes
	}
	body, err := guard.ReadBody(resp.Body, limit)
	if err == nil {
		err = jsonv2.Unmarshal(body, call.into)
	}
	if err != nil {
		return resp.StatusCode, fmt.Errorf("client: %s: answer: %w", call.operation, err)
	}
	return resp.StatusCode, nil
}

func (c *Client) request(ctx context.Context, call call, token string) (*http.Request, error) {
	u, err := url.Parse(call.endpoint)
	if err != nil {
		return nil, err
	}
	if call.streamID != "" {
		query := u.Query()
		query.Set("stream_id", call.streamID)
		u.RawQuery = query.Encode()
	}
	var body []byte
	if call.body != nil {
		if body, err = json.Marshal(call.body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, call.method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if call.body != nil {
		req.Header.Set("Content-Type", "application/json") // SSF-8.1.1-09
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// failure reads an answer that is no success. What cannot be read of its body is left
// out, and so is the token of the request: a transmitter may repeat what it was sent, and
// errors are logged.
func failure(operation string, resp *http.Response) *Error {
	excerpt := make([]byte, MaxExcerpt)
	n := 0
	for n < len(excerpt) {
		m, err := resp.Body.Read(excerpt[n:])
		n += m
		if err != nil {
			break
		}
	}
	e := &Error{
		Operation: operation, Status: resp.StatusCode, Body: strings.ToValidUTF8(string(excerpt[:n]), ""),
		WWWAuthenticate: resp.Header.Values("WWW-Authenticate"), RetryAfter: retryAfter(resp.Header),
	}
	if resp.Request == nil {
		return e
	}
	_, token, _ := strings.Cut(resp.Request.Header.Get("Authorization"), " ")
	e.Body = without(e.Body, token)
	for i, field := range e.WWWAuthenticate {
		e.WWWAuthenticate[i] = without(field, token)
	}
	return e
}

// minPart is the shortest beginning of a token, at the end of a text that was cut, that is
// taken for one.
const minPart = 8

// without returns a text without a secret, and without the beginning of one at its end.
func without(text, secret string) string {
	if secret == "" {
		return text
	}
	text = strings.ReplaceAll(text, secret, "[token]")
	for n := min(len(secret)-1, len(text)); n >= minPart; n-- {
		if strings.HasSuffix(text, secret[:n]) {
			return text[:len(text)-n] + "[token]"
		}
	}
	return text
}

// retryAfter reads the field in both of its forms (RFC 9110 §10.2.3).
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, MaxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(time.Until(at), 0), MaxRetryAfter)
}
