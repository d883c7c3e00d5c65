// Package client is a receiver's client for the stream management API of any
// transmitter (SSF §8.1): configuration, status, subjects and verification.
//
// Endpoints come from the transmitter's metadata and are never guessed: an operation
// that the metadata does not offer is a [NotOfferedError] without a request (SSF §7.1).
// Every stream that comes back is checked to be of the issuer asked (SSF §8.1.1.1).
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Defaults of [Config].
const (
	// DefaultPending is how long a request that was answered 202 is repeated.
	DefaultPending = time.Minute
	// DefaultTimeout bounds one exchange of the client that is made where Config.HTTP
	// is nil: some transmitters try a push endpoint before they answer.
	DefaultTimeout = 90 * time.Second
)

// Config says whose API is called and how.
type Config struct {
	// Issuer is the transmitter's issuer URL, from trusted configuration. Required.
	Issuer string
	// Audience are the values that the aud of a stream may have; nil: not checked.
	Audience []string
	// Token returns the access token, without a scheme, for each request; nil: none
	// is sent.
	Token func(ctx context.Context) (string, error)
	// Refused is told of a token that was answered 401. The request is made once more
	// if Token then returns another one. Nil: it is not.
	Refused func(token string)
	// HTTP makes the requests; it follows no redirects here. Nil: a guarded client
	// for public https addresses.
	HTTP *http.Client
	// Discovery fetches the metadata; nil: one made of HTTP. Metadata, if set, is
	// used instead, for transmitters that publish none; its issuer must be Issuer.
	Discovery *wellknown.Client
	Metadata  *wellknown.Configuration
	// LegacyDeliveryURI understands the delivery methods' URIs of the RISC drafts in
	// answers, as today's, and sends them to a transmitter that supports no others:
	// the tolerance legacy_delivery_uri. Otherwise a stream that has one is a
	// [MismatchError].
	LegacyDeliveryURI bool
	// Pending is how long a change that was answered 202, accepted but undecided, is
	// asked for again; zero: DefaultPending; negative: not at all.
	Pending time.Duration
}

// Client calls the management API of one transmitter. Safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// New checks cfg as a whole and returns a client; it makes no request.
func New(cfg Config) (*Client, error) {
	var wrong []error
	if cfg.Issuer == "" {
		wrong = append(wrong, errors.New("client: Config.Issuer is missing"))
	}
	if cfg.Metadata != nil {
		if err := cfg.Metadata.Validate(cfg.Issuer); err != nil {
			wrong = append(wrong, fmt.Errorf("client: Config.Metadata: %w", err))
		}
	}
	if slices.Contains(cfg.Audience, "") {
		wrong = append(wrong, errors.New("client: Config.Audience has an empty value"))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = guard.NewClient(guard.Policy{Timeout: DefaultTimeout})
	}
	if cfg.Discovery == nil {
		cfg.Discovery = wellknown.NewClient(wellknown.Config{HTTP: cfg.HTTP})
	}
	if cfg.Pending == 0 {
		cfg.Pending = DefaultPending
	}
	h := *cfg.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{cfg: cfg, http: &h}, nil
}

// Metadata returns the transmitter's metadata, checked to be of the issuer (SSF §7.2.4).
func (c *Client) Metadata(ctx context.Context) (wellknown.Configuration, error) {
	if c.cfg.Metadata != nil {
		return *c.cfg.Metadata, nil
	}
	return c.cfg.Discovery.Configuration(ctx, c.cfg.Issuer)
}

// endpoint returns the URL that the metadata has for an operation.
func (c *Client) endpoint(ctx context.Context, member string, of func(wellknown.Configuration) string) (string, error) {
	metadata, err := c.Metadata(ctx)
	if err != nil {
		return "", fmt.Errorf("client: metadata of the transmitter: %w", err)
	}
	if url := of(metadata); url != "" {
		return url, nil
	}
	return "", &NotOfferedError{Member: member}
}

func (c *Client) configurationEndpoint(ctx context.Context) (string, error) {
	return c.endpoint(ctx, "configuration_endpoint", func(m wellknown.Configuration) string { return m.ConfigurationEndpoint })
}

func (c *Client) statusEndpoint(ctx context.Context) (string, error) {
	return c.endpoint(ctx, "status_endpoint", func(m wellknown.Configuration) string { return m.StatusEndpoint })
}

// check reports whether a stream that the transmitter sent may be used: its iss is
// the issuer, its aud ours (SSF §8.1.1.1).
func (c *Client) check(s *streams.Configuration) error {
	c.today(s)
	switch {
	case delivery.CurrentMethod(s.Delivery.Method) != s.Delivery.Method:
		return &MismatchError{StreamID: s.StreamID, Member: "delivery.method"} // a former one, not tolerated
	case s.StreamID == "":
		return &MismatchError{Member: "stream_id"}
	case s.Issuer != c.cfg.Issuer:
		return &MismatchError{StreamID: s.StreamID, Member: "iss"}
	case c.cfg.Audience == nil:
		return nil
	}
	foreign := func(aud string) bool { return !slices.Contains(c.cfg.Audience, aud) }
	if len(s.Audience) == 0 || slices.ContainsFunc(s.Audience, foreign) {
		return &MismatchError{StreamID: s.StreamID, Member: "aud"}
	}
	return nil
}
