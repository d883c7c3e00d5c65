// Package siwa reads the server-to-server notifications of Sign in with Apple as
// security events. They are no SETs: a body {"payload": JWS}, whose claim `events` is a
// text that holds one event,
//
//	{"type":"account-delete","sub":"…","event_time":1508184845,"email":"…","is_private_email":"true"}
//
// A [Dialect] is a receiver.Dialect: what it verifies goes the road of every SET, through
// the inbox before the answer (200) to the hooks of the receiver's Mux.
//
//	dialect, err := siwa.New(siwa.Config{Audience: []string{"com.example.app"}})
//	…
//	r, err := receiver.New(receiver.Config{Issuer: siwa.Issuer, Dialect: dialect, Inbox: in, Mux: mux})
//	http.Handle("/apple", r.Handler())
//
// The subject is iss_sub of Apple's issuer and the event's sub. The event is
//
//   - account-delete, account-deleted: RISC account-purged
//   - consent-revoked: RISC opt-out-effective
//   - email-disabled, email-enabled: RISC identifier-changed
//   - any other type: one under [TypeURI]
//
// and its payload has event_timestamp (event_time, as it came), siwa_type (the type) and
// what else the event says, is_private_email as a boolean.
package siwa

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

const (
	// Issuer is the iss of every notification.
	Issuer = "https://appleid.apple.com"
	// KeysURL is where Apple publishes its keys.
	KeysURL = "https://appleid.apple.com/auth/keys"

	mediaType = "application/json"
)

// Config says which notifications are accepted.
type Config struct {
	// Audience are the identifiers of the apps; one of them must be in aud. Required.
	Audience []string
	// Keys finds Apple's keys; nil: those at KeysURL.
	Keys set.KeySource
	// HTTP fetches them where Keys is nil; nil: a guarded client for public https
	// addresses.
	HTTP *http.Client
	// Issuer is the iss expected; empty: [Issuer].
	Issuer string
	// Now is the clock; nil: time.Now. Skew is how far iat may lie in the future and exp
	// in the past; zero: set.DefaultSkew; negative: not at all.
	Now  func() time.Time
	Skew time.Duration
}

// Dialect is the receiver.Dialect of these notifications. Safe for concurrent use.
type Dialect struct {
	cfg    Config
	parser jose.Parser
}

var _ receiver.Dialect = (*Dialect)(nil)

// New checks cfg as a whole; the error names every wrong field.
func New(cfg Config) (*Dialect, error) {
	var wrong []error
	if len(cfg.Audience) == 0 || slices.Contains(cfg.Audience, "") {
		wrong = append(wrong, errors.New("siwa: Config.Audience is missing or has an empty value"))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	cfg.Audience = slices.Clone(cfg.Audience)
	if cfg.Issuer == "" {
		cfg.Issuer = Issuer
	}
	if cfg.Keys == nil {
		cfg.Keys = wellknown.NewClient(wellknown.Config{HTTP: cfg.HTTP}).KeysAt(map[string]string{cfg.Issuer: KeysURL})
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Skew == 0 {
		cfg.Skew = set.DefaultSkew
	}
	cfg.Skew = max(cfg.Skew, 0)
	return &Dialect{cfg: cfg}, nil
}

// Push is a JSON object with the JWS, answered with 200.
func (*Dialect) Push() receiver.PushForm {
	return receiver.PushForm{MediaType: mediaType, Status: http.StatusOK, Signed: signed}
}

// Verify returns what a notification says if it is Apple's and for one of our apps:
// RS256 with a key of Apple's that it names, iss and aud as configured, exp ahead where
// it is there. Errors are as of [set.Verifier.Verify].
func (d *Dialect) Verify(ctx context.Context, compact []byte) (*set.Token, error) {
	message, err := d.parse(compact)
	if err != nil {
		return nil, err
	}
	if t := message.Header.Type; t != "" && !strings.EqualFold(t, "JWT") {
		return nil, invalid("typ must be absent or JWT")
	}
	if message.Header.Algorithm != string(jose.RS256) {
		return nil, &set.Error{Code: delivery.CodeInvalidKey, Description: "the signature algorithm is not allowed", Err: jose.ErrAlgorithm}
	}
	n, err := parseNotification(message.Payload)
	if err != nil {
		return nil, err
	}
	if err := d.check(n); err != nil {
		return nil, err
	}
	if err := d.checkSignature(ctx, message); err != nil {
		return nil, err
	}
	return n.token(message)
}

// Read is [Dialect.Verify] without verifying.
func (d *Dialect) Read(compact []byte) (*set.Token, error) {
	message, err := d.parse(compact)
	if err != nil {
		return nil, err
	}
	n, err := parseNotification(message.Payload)
	if err != nil {
		return nil, err
	}
	return n.token(message)
}

func (d *Dialect) parse(compact []byte) (*jose.Message, error) {
	message, err := d.parser.Parse(compact)
	if err != nil {
		return nil, &set.Error{Code: delivery.CodeInvalidRequest, Description: "the payload is not a compact JWS", Err: err}
	}
	return message, nil
}

func (d *Dialect) check(n *notification) error {
	now := d.cfg.Now()
	ours := func(aud string) bool { return slices.Contains(d.cfg.Audience, aud) }
	switch {
	case n.issuer != d.cfg.Issuer:
		return &set.Error{Code: delivery.CodeInvalidIssuer, Description: "iss is not Apple's"}
	case !slices.ContainsFunc(n.audience, ours):
		return &set.Error{Code: delivery.CodeInvalidAudience, Description: "aud names none of our apps"}
	case !n.expires.IsZero() && !now.Before(n.expires.Add(d.cfg.Skew)):
		return invalid("the notification has expired")
	case n.issued.After(now.Add(d.cfg.Skew)):
		return invalid("iat lies in the future")
	}
	return nil
}

func (d *Dialect) checkSignature(ctx context.Context, message *jose.Message) error {
	if message.Header.KeyID == "" {
		return &set.Error{Code: delivery.CodeInvalidKey, Description: "the header has no kid", Err: jose.ErrUnknownKey}
	}
	key, err := d.cfg.Keys.Key(ctx, d.cfg.Issuer, message.Header.KeyID, jose.RS256)
	switch {
	case errors.Is(err, jose.ErrUnknownKey), errors.Is(err, jose.ErrAlgorithm), errors.Is(err, jose.ErrWeakKey):
		return &set.Error{Code: delivery.CodeInvalidKey, Description: "Apple has no such key", Err: err}
	case err != nil:
		return fmt.Errorf("siwa: Apple's keys: %w", err)
	}
	err = jose.Verify(message, key)
	switch {
	case errors.Is(err, jose.ErrSignature):
		return &set.Error{Code: delivery.CodeAuthenticationFailed, Description: "the signature does not verify", Err: err}
	case err != nil:
		return &set.Error{Code: delivery.CodeInvalidKey, Description: "the key does not serve this notification", Err: err}
	}
	return nil
}

func invalid(description string) *set.Error {
	return &set.Error{Code: delivery.CodeInvalidRequest, Description: description}
}
