package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Bounds on the assertions with which clients authenticate.
const (
	// MaxAssertionLifetime bounds how far exp may lie ahead: for so long an assertion
	// is remembered.
	MaxAssertionLifetime = time.Hour
	// MaxAssertions of one client may be good at a time.
	MaxAssertions = 1000

	maxAssertionBytes = 8 << 10
	maxAssertionID    = 256 // bytes of a jti
	// assertionSkew is how far a client's clock may differ from ours.
	assertionSkew = time.Minute

	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// KeySource finds the keys of a published key set, which is named by an issuer or, for
// clients, by its URL. Errors: [jose.ErrUnknownKey], [jose.ErrAlgorithm] and
// [jose.ErrWeakKey] say that there is no such key; any other that it cannot be known.
type KeySource interface {
	// Key returns the key of that id, SoleKey the only one for the algorithm: another
	// than refused, if there is one now.
	Key(ctx context.Context, set, kid string, alg jose.Algorithm) (*jose.PublicKey, error)
	SoleKey(ctx context.Context, set string, alg jose.Algorithm, refused *jose.PublicKey) (*jose.PublicKey, error)
}

// assertion are the claims of a client's assertion (RFC 7523 §3).
type assertion struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  jsontext.Value `json:"aud"`
	ID        string         `json:"jti"`
	Expires   float64        `json:"exp"`
	NotBefore float64        `json:"nbf"`
	IssuedAt  float64        `json:"iat"`
	// Events marks a SET, which authenticates nobody (SET-4-01).
	Events jsontext.Value `json:"events"`
}

// asserted authenticates the client of a request by its assertion (private_key_jwt).
// What is wrong with its claims is told to who has signed them alone.
func (a *Authenticator) asserted(ctx context.Context, form url.Values, header http.Header) (Registration, error) {
	switch {
	case len(header["Authorization"]) > 0 || form.Has("client_secret"):
		return Registration{}, badRequest(CodeInvalidRequest, "more than one way of client authentication")
	case form.Get("client_assertion_type") != assertionType:
		return Registration{}, badRequest(CodeInvalidRequest, "client_assertion_type must be "+assertionType)
	}
	m, claims, err := parseAssertion(form.Get("client_assertion"))
	if err != nil {
		return Registration{}, a.unauthenticated("")
	}
	if named := form.Get("client_id"); named != "" && named != claims.Subject {
		return Registration{}, badRequest(CodeInvalidRequest, "client_id differs from the authenticated client")
	}
	h, err := a.cfg.Store.backend.Holder(ctx, Credential{Client: claims.Subject}, 0)
	if err == nil || errors.Is(err, ErrNotFound) { // who is not known has no keys
		by := h.Client
		if by.Certificate != nil { // these keys are those of certificates
			by.JWKS, by.JWKSURI = nil, ""
		}
		err = a.signedByClient(ctx, &by, m)
	}
	switch {
	case noSuchKey(err), errors.Is(err, jose.ErrSignature):
		return Registration{}, a.unauthenticated(claims.Subject)
	case err != nil:
		return Registration{}, err
	}
	now := a.cfg.Now()
	if reason := a.judgeAssertion(&claims, now); reason != "" {
		return Registration{}, &endpointError{http.StatusUnauthorized, codeInvalidClient, reason}
	}
	id := sha256.Sum256([]byte(claims.ID))
	switch err := a.cfg.Store.UseAssertion(ctx, h.ID, id[:], claims.expires(), now); {
	case errors.Is(err, ErrUsed):
		return Registration{}, &endpointError{http.StatusUnauthorized, codeInvalidClient, "an assertion of this jti was used before"}
	case errors.Is(err, ErrTooMany):
		return Registration{}, &endpointError{http.StatusTooManyRequests, codeInvalidClient, "too many assertions of the client are still good: use tokens longer, or let assertions expire sooner"}
	case err != nil:
		return Registration{}, err
	}
	return h.Registration, nil
}

// parseAssertion reads an assertion and verifies nothing but that it is none of another
// kind.
func parseAssertion(text string) (*jose.Message, assertion, error) {
	if len(text) > maxAssertionBytes {
		return nil, assertion{}, jose.ErrTooLarge
	}
	m, err := jose.Parse([]byte(text))
	if err != nil {
		return nil, assertion{}, err
	}
	typ := strings.TrimPrefix(strings.ToLower(m.Header.Type), "application/")
	if !slices.Contains([]string{"", "jwt", "client-authentication+jwt"}, typ) {
		return nil, assertion{}, jose.ErrMalformed
	}
	var c assertion
	if jsonv2.Unmarshal(m.Payload, &c) != nil || c.Events != nil || c.Issuer != c.Subject || checkID("sub", c.Subject) != nil {
		return nil, assertion{}, jose.ErrMalformed
	}
	return m, c, nil
}

// signedByClient reports whether a key of the client signed m; it takes as long if there
// is none that could have. Errors: those of [KeySource], and [jose.ErrSignature].
func (a *Authenticator) signedByClient(ctx context.Context, c *Client, m *jose.Message) error {
	alg, err := jose.ParseAlgorithm(m.Header.Algorithm)
	if err != nil {
		return err
	}
	err = a.signedByKey(ctx, c, m, alg)
	if noSuchKey(err) {
		a.vainly(m, alg, c.hasKeys())
	}
	return err
}

func (a *Authenticator) signedByKey(ctx context.Context, c *Client, m *jose.Message, alg jose.Algorithm) error {
	if c.JWKSURI == "" {
		key, err := c.key(m.Header.KeyID, alg)
		if err != nil {
			return err
		}
		return jose.Verify(m, key)
	}
	if a.cfg.ClientKeys == nil {
		return jose.ErrUnknownKey
	}
	err := signedByPublished(ctx, a.cfg.ClientKeys, c.JWKSURI, m, alg)
	if err == nil || noSuchKey(err) || errors.Is(err, jose.ErrSignature) {
		return err
	}
	return a.keysAway(ctx, c, err)
}

// keysAway says that it cannot be known which keys a client has now.
func (a *Authenticator) keysAway(ctx context.Context, c *Client, err error) error {
	a.cfg.Logger.WarnContext(ctx, "the keys of a client cannot be fetched", "client_id", c.ID, "err", err)
	return &endpointError{http.StatusServiceUnavailable, codeUnavailable, "the client's jwks_uri cannot be fetched"}
}

// signedByPublished reports whether a key of a published set signed m, which has a
// signature of alg; without kid it must be the only one. Errors: those of [KeySource],
// and [jose.ErrSignature].
func signedByPublished(ctx context.Context, keys KeySource, set string, m *jose.Message, alg jose.Algorithm) error {
	if m.Header.KeyID != "" {
		key, err := keys.Key(ctx, set, m.Header.KeyID, alg)
		if err != nil {
			return err
		}
		return jose.Verify(m, key)
	}
	key, err := keys.SoleKey(ctx, set, alg, nil)
	if err != nil {
		return err
	}
	if err := jose.Verify(m, key); !errors.Is(err, jose.ErrSignature) {
		return err
	}
	if key, err = keys.SoleKey(ctx, set, alg, key); err != nil { // it may have another one now
		return err
	}
	return jose.Verify(m, key)
}

// noSuchKey reports whether err says that there is no key for a signature.
func noSuchKey(err error) bool {
	return errors.Is(err, jose.ErrUnknownKey) || errors.Is(err, jose.ErrAlgorithm) || errors.Is(err, jose.ErrWeakKey)
}

// judgeAssertion returns why the claims of an assertion are not good now, or "".
func (a *Authenticator) judgeAssertion(c *assertion, now time.Time) string {
	at, skew := float64(now.UnixMilli())/1000, assertionSkew.Seconds()
	switch {
	case !a.isForUs(c.Audience):
		return "aud must be the issuer, or the URL of the endpoint, and nothing else"
	case c.ID == "" || len(c.ID) > maxAssertionID:
		return fmt.Sprintf("jti must have 1 to %d bytes", maxAssertionID)
	case c.Expires <= at-skew:
		return "exp is past or missing"
	case c.Expires > at+skew+MaxAssertionLifetime.Seconds():
		return "exp must not be more than " + MaxAssertionLifetime.String() + " ahead"
	case c.NotBefore > at+skew || c.IssuedAt > at+skew:
		return "nbf or iat is in the future"
	}
	return ""
}

// expires is when the assertion is not taken any more.
func (c *assertion) expires() time.Time {
	return time.Unix(int64(math.Ceil(c.Expires)), 0).Add(assertionSkew)
}

// isForUs reports whether every value of aud names us: one that names others as well
// could be used by them (RFC 7523 §3).
func (a *Authenticator) isForUs(aud jsontext.Value) bool {
	values := audienceValues(aud)
	return len(values) > 0 && !slices.ContainsFunc(values, func(value string) bool {
		return value != a.cfg.Issuer && !slices.Contains(a.cfg.Endpoints, value)
	})
}

// audienceValues returns the values of an aud claim, one or a list (RFC 7519 §4.1.3).
func audienceValues(aud jsontext.Value) []string {
	var one string
	if jsonv2.Unmarshal(aud, &one) == nil {
		return []string{one}
	}
	var list []string
	if jsonv2.Unmarshal(aud, &list) != nil {
		return nil
	}
	return list
}
