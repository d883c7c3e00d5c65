// Package call is how hooks call HTTP servers of the operator's choice: guarded
// (set/delivery/guard), bounded, without redirects, and with one judgement of what an
// answer means for the attempt.
package call

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
)

// Bounds of calls.
const (
	// DefaultTimeout bounds one call unless Config.Timeout says otherwise.
	DefaultTimeout = 10 * time.Second
	// MaxAnswerBytes is how much of an answer is read.
	MaxAnswerBytes = 1 << 20
	// MaxHeaders bounds Config.Headers.
	MaxHeaders = 32

	userAgent = "tocsin"
)

// Config says whom a hook may call and how. Its zero value allows https to public
// addresses alone, with the system's certificate authorities.
type Config struct {
	// Allow are ranges of addresses (CIDR) that may be called although they are
	// private: those of internal servers.
	Allow []string
	// CA is the PEM text of the authorities of servers; empty: the system's.
	CA string
	// InsecureLoopback allows loopback addresses, also by plain http.
	InsecureLoopback bool
	// Timeout bounds one call; zero: DefaultTimeout. A hook's deadline does, too.
	Timeout time.Duration
	// Headers are sent with each call, such as Authorization. They may be secrets.
	Headers map[string]string
}

// Client calls servers. Safe for concurrent use.
type Client struct {
	http    *http.Client
	policy  guard.Policy
	headers http.Header
}

// New checks cfg and returns its client. The error names each bad field.
func New(cfg Config) (*Client, error) {
	c := &Client{
		policy:  guard.Policy{InsecureLoopback: cfg.InsecureLoopback, Timeout: cfg.Timeout},
		headers: http.Header{"User-Agent": {userAgent}},
	}
	var wrong []error
	for _, text := range cfg.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("allow: %q is no range such as 10.0.0.0/8", text))
		}
		c.policy.Allow = append(c.policy.Allow, prefix)
	}
	if cfg.CA != "" {
		c.policy.RootCAs = x509.NewCertPool()
		if !c.policy.RootCAs.AppendCertsFromPEM([]byte(cfg.CA)) {
			wrong = append(wrong, errors.New("ca: there is no certificate in it"))
		}
	}
	if cfg.Timeout < 0 {
		wrong = append(wrong, errors.New("timeout: it is not negative"))
	}
	if cfg.Timeout == 0 {
		c.policy.Timeout = DefaultTimeout
	}
	if len(cfg.Headers) > MaxHeaders {
		wrong = append(wrong, fmt.Errorf("headers: there are more than %d", MaxHeaders))
	}
	for name, value := range cfg.Headers {
		if !isToken(name) || !isValue(value) {
			wrong = append(wrong, fmt.Errorf("headers: %q cannot be sent", name))
		}
		c.headers.Set(name, value)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	c.http = guard.NewClient(c.policy)
	return c, nil
}

// URL parses an address of the configuration and reports whether it may be called. The
// error does not repeat it.
func (c *Client) URL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("it is missing")
	}
	u, err := guard.CheckURL(raw, c.policy)
	if err != nil {
		return nil, guard.Cause(err)
	}
	return u, nil
}

// HTTP returns the guarded client, for libraries that make calls by themselves.
func (c *Client) HTTP() *http.Client { return c.http }

// Answer is what a server said.
type Answer struct {
	Status     int
	Body       []byte // at most MaxAnswerBytes
	Cut        bool   // the body was longer
	retryAfter time.Duration
}

// Do makes a call. what names it in errors, which hold neither addresses nor what was
// sent. An error is of the network or ctx and to be tried again.
func (c *Client) Do(req *http.Request, what string) (Answer, error) {
	for name, list := range c.headers {
		if req.Header.Get(name) == "" {
			req.Header[name] = list
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", what, guard.Cause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswerBytes+1))
	if err != nil {
		return Answer{}, fmt.Errorf("%s: the answer cannot be read: %w", what, err)
	}
	return Answer{
		Status: resp.StatusCode, Body: body[:min(len(body), MaxAnswerBytes)], Cut: len(body) > MaxAnswerBytes,
		retryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}, nil
}

// Request returns a request with a body of a media type, or without for "".
func Request(ctx context.Context, method string, u *url.URL, mediaType string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	tracing.Inject(ctx, req.Header) // whoever is called may go on with the event's trace
	return req, nil
}

// StatusError says that a server answered with a status that is no success.
type StatusError struct {
	What   string // the call
	Status int
}

// Error names the call and the status.
func (e *StatusError) Error() string {
	if e.Status >= 300 && e.Status < 400 {
		return fmt.Sprintf("%s: answered %d, and redirects are not followed", e.What, e.Status)
	}
	return fmt.Sprintf("%s: answered %d", e.What, e.Status)
}

// Verdict returns nil if the status is one of ok, else a *StatusError: to be tried
// again if it is 401, 403, 404 (they are mended at the server), 408, 409, 421, 423, 425,
// 429 or 5xx, no sooner than its Retry-After; permanent if it is any other.
func (a Answer) Verdict(what string, ok ...int) error {
	if slices.Contains(ok, a.Status) {
		return nil
	}
	err := &StatusError{what, a.Status}
	if a.Status >= 500 || slices.Contains(passing(), a.Status) {
		return receiver.Later(err, a.retryAfter)
	}
	return receiver.Permanent(err)
}

func passing() []int {
	return []int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusMisdirectedRequest, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests,
	}
}

// JSON reads the body into v. A body that is too long or no JSON is tried again: the
// server is not what it should be. The error repeats nothing of it.
func (a Answer) JSON(what string, v any) error {
	if a.Cut {
		return fmt.Errorf("%s: the answer has more than %d bytes", what, MaxAnswerBytes)
	}
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("%s: the answer is not the JSON that was expected", what)
	}
	return nil
}

// retryAfter reads a Retry-After header; zero if it is absent or past.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(value); err == nil {
		return min(max(0, time.Duration(min(n, int(receiver.MaxLater.Seconds())))*time.Second), receiver.MaxLater)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), receiver.MaxLater)
}

func isToken(name string) bool {
	return name != "" && textproto.TrimString(name) == name && !slices.ContainsFunc([]byte(name), func(c byte) bool {
		return c <= ' ' || c >= 0x7f || c == ':' || c == '(' || c == ')' || c == '<' || c == '>' || c == '@' || c == ',' ||
			c == ';' || c == '\\' || c == '"' || c == '/' || c == '[' || c == ']' || c == '?' || c == '=' || c == '{' || c == '}'
	})
}

func isValue(value string) bool {
	return !slices.ContainsFunc([]byte(value), func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
