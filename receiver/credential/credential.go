// Package credential gets the access tokens with which a receiver speaks to a
// transmitter: one that is given or stands in a file, one of an OAuth 2.0 token
// endpoint (client credentials, RFC 6749 §4.4), or one that a command prints. A client may
// be known by its TLS certificate, and tokens be bound to it (RFC 8705).
//
// [New] makes a [Source], whose Token and Refused are what receiver/client and the
// poll loop want. Tokens, secrets and what a token endpoint or command answers are in
// no error and no log line.
package credential

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// Bounds and defaults.
const (
	// DefaultLifetime is how long a command's token is kept that does not say.
	DefaultLifetime = 5 * time.Minute
	// DefaultTimeout bounds one run of a command or one call of a token endpoint.
	DefaultTimeout = 30 * time.Second
	// MaxTokenBytes bounds a token, a secret, and what a command prints.
	MaxTokenBytes = 64 << 10

	early = 30 * time.Second // before it expires a token is no longer used
)

// Config says where tokens come from: exactly one of Token, TokenFile, ClientID and
// Command is set.
type Config struct {
	// Token is the access token itself.
	Token string
	// TokenFile holds it, white space around it ignored. The file is read for each
	// request, so that whoever renews the token only replaces it.
	TokenFile string

	// ClientID is for client credentials, with ClientSecret or ClientSecretFile, or with
	// ClientKeyFile, a private JWK with which the client authenticates (private_key_jwt,
	// RFC 7523). The files are read for each token.
	ClientID, ClientSecret, ClientSecretFile, ClientKeyFile string
	// Certificate returns the certificate with which HTTP connects; nil: it has none. Tokens
	// that are got are held to be bound to it: there is another when it changes (RFC 8705
	// §3). A client without secret and key is known by it alone (§2).
	Certificate func() (*tls.Certificate, error)
	// TokenURL is the token endpoint. Empty: that in the metadata (RFC 8414) of
	// AuthorizationServer, which is required then; often it is the transmitter's issuer.
	// With a Certificate it is the one among its mtls_endpoint_aliases, if there is one.
	TokenURL, AuthorizationServer string
	// Scopes are asked for; none: the server's default.
	Scopes []string
	// Resource returns the URL that tokens are for. Where metadata of it (RFC 9728) tells
	// scopes, those of Scopes that are among them are asked for, or all of them if none
	// is (CAEP interoperability profile §2.7.2). Nil: Scopes, as they are.
	Resource func(ctx context.Context) (url string, err error)
	// Parameters are further form parameters of the request, such as audience or
	// resource.
	Parameters map[string]string
	// HTTP calls the authorization server; nil: a guarded client for public https
	// addresses.
	HTTP *http.Client

	// Command prints a token when it is run: the program and its arguments, no shell.
	// Its output is the token, or a JSON object with access_token and perhaps
	// expires_in in seconds (RFC 6749 §5.1).
	Command []string
	// Lifetime is how long a command's token is kept that does not say; zero:
	// DefaultLifetime.
	Lifetime time.Duration
	// Timeout bounds a run of the command, or a call of the token endpoint; zero:
	// DefaultTimeout.
	Timeout time.Duration
}

// Source gives access tokens. Safe for concurrent use.
type Source struct {
	fetch func(context.Context) (*oauth2.Token, error)
	turn  chan struct{} // held by who reads or changes token
	token *oauth2.Token

	certificate func() (*tls.Certificate, error) // Config.Certificate
	bound       thumbprint                       // of the certificate with which token was got
}

// New checks cfg as a whole and returns a source that has not got a token yet; the
// error names every wrong field.
func New(cfg Config) (*Source, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.HTTP == nil {
		cfg.HTTP = guard.NewClient(guard.Policy{})
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = DefaultLifetime
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	s := &Source{turn: make(chan struct{}, 1), certificate: cfg.Certificate}
	switch {
	case cfg.ClientID != "":
		s.fetch = newClientCredentials(cfg)
	case len(cfg.Command) > 0:
		s.fetch = command(cfg).token
	default:
		s.fetch = cfg.static
	}
	return s, nil
}

func (cfg Config) check() error {
	var wrong []error
	fail := func(text string) { wrong = append(wrong, errors.New("credential: "+text)) }
	given := 0
	for _, set := range []bool{cfg.Token != "", cfg.TokenFile != "", cfg.ClientID != "", len(cfg.Command) > 0} {
		if set {
			given++
		}
	}
	if given != 1 {
		fail("give one of Config.Token, Config.TokenFile, Config.ClientID and Config.Command")
	}
	if cfg.ClientID != "" {
		ways := 0
		for _, way := range []string{cfg.ClientSecret, cfg.ClientSecretFile, cfg.ClientKeyFile} {
			if way != "" {
				ways++
			}
		}
		if ways > 1 || ways == 0 && cfg.Certificate == nil {
			fail("Config.ClientID needs one of Config.ClientSecret, Config.ClientSecretFile and Config.ClientKeyFile, or a Config.Certificate")
		}
		if (cfg.TokenURL == "") == (cfg.AuthorizationServer == "") {
			fail("Config.ClientID needs one of Config.TokenURL and Config.AuthorizationServer")
		}
	}
	if cfg.Certificate != nil && cfg.HTTP == nil {
		fail("Config.Certificate needs Config.HTTP, the client that shows it")
	}
	if strings.ContainsFunc(cfg.Token, unprintable) {
		fail("Config.Token has a character that no token has")
	}
	if len(cfg.Command) > 0 && cfg.Command[0] == "" {
		fail("Config.Command names no program")
	}
	if slices.Contains(cfg.Scopes, "") {
		fail("Config.Scopes has an empty value")
	}
	if cfg.Lifetime < 0 || cfg.Timeout < 0 {
		fail("Config.Lifetime and Config.Timeout must not be negative")
	}
	return errors.Join(wrong...)
}

// Token returns an access token, without a scheme. One is got when there is none or it
// is about to expire, or when it is bound to another certificate; callers wait for each other. After an error the next call tries
// again, so callers that repeat back off.
func (s *Source) Token(ctx context.Context) (string, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	bound, err := thumbprintOf(s.certificate)
	if err != nil {
		return "", err
	}
	if s.token != nil && s.bound == bound && (s.token.Expiry.IsZero() || time.Until(s.token.Expiry) > 0) {
		return s.token.AccessToken, nil
	}
	token, err := s.fetch(ctx)
	if err != nil {
		return "", err
	}
	if err := checkToken(token.AccessToken); err != nil {
		return "", err
	}
	s.token, s.bound = token, bound
	if !token.Expiry.IsZero() {
		// A short life is used at least by half.
		s.token.Expiry = token.Expiry.Add(-min(early, time.Until(token.Expiry)/2))
	}
	return s.token.AccessToken, nil
}

// Refused says that token was answered 401: the next Token gets another, if there is
// one to be got.
func (s *Source) Refused(token string) {
	s.turn <- struct{}{} // held for as long as a fetch at most, which is bounded
	defer func() { <-s.turn }()
	if s.token != nil && s.token.AccessToken == token {
		s.token = nil
	}
}

// static reads a token that is given. It expires at once: a file is read each time.
func (cfg Config) static(context.Context) (*oauth2.Token, error) {
	if cfg.Token != "" {
		return &oauth2.Token{AccessToken: cfg.Token}, nil
	}
	text, err := readSecret(cfg.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("credential: Config.TokenFile: %w", err)
	}
	return &oauth2.Token{AccessToken: text, Expiry: time.Now()}, nil
}

// readSecret returns what a file holds, white space around it removed. Its errors name
// the file and no content.
func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	raw, err := guard.ReadBody(file, MaxTokenBytes)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

func checkToken(token string) error {
	if token == "" {
		return errors.New("credential: the token is empty")
	}
	if strings.ContainsFunc(token, unprintable) {
		return errors.New("credential: the token has a character that no token has")
	}
	return nil
}

// unprintable reports characters that may not stand in a header's token (RFC 6750 §2.1).
func unprintable(r rune) bool { return r <= ' ' || r > '~' }
