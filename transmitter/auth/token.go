package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// TokenType is the typ of access tokens (RFC 9068 §2.1). Nothing else that is
// signed with the transmitter's keys bears it (SET-4-01).
const TokenType = "at+jwt"

// claims are those of our access tokens (RFC 9068 §2.2).
type claims struct {
	Issuer   string         `json:"iss"`
	Subject  string         `json:"sub"`
	Audience jsontext.Value `json:"aud"`
	ClientID string         `json:"client_id"`
	Scope    string         `json:"scope"`
	ID       string         `json:"jti"`
	IssuedAt int64          `json:"iat"`
	Expires  int64          `json:"exp"`
	// Registration ends the token with its client, even if a later client
	// has the same id.
	Registration string `json:"reg"`
	// Confirmation is what the token is bound to (RFC 8705 §3.1).
	Confirmation jsontext.Value `json:"cnf,omitempty"`
	// Events marks a SET, which is never an access token (SET-4-01).
	Events jsontext.Value `json:"events,omitempty"`
}

func (c *claims) expires() time.Time { return time.Unix(c.Expires, 0) }

func (c *claims) scopes() []Scope {
	scopes, err := ParseScopes(c.Scope)
	if err != nil {
		return nil
	}
	return scopes
}

// issued is an access token just made.
type issued struct {
	token  string
	scopes []Scope
}

// issue signs an access token for a client, bound to a certificate unless that is nil.
func (a *Authenticator) issue(r Registration, scopes []Scope, bound thumbprint) (issued, error) {
	now := a.cfg.Now()
	audience, err := json.Marshal(a.cfg.Issuer)
	if err != nil {
		return issued{}, fmt.Errorf("auth: token: %w", err)
	}
	payload, err := json.Marshal(&claims{
		Issuer: a.cfg.Issuer, Subject: r.ID, Audience: audience, ClientID: r.ID,
		Scope: JoinScopes(scopes), ID: newIdentifier(), Registration: r.Number,
		IssuedAt: now.Unix(), Expires: now.Add(a.cfg.TokenLifetime).Unix(), Confirmation: bound.confirmation(),
	})
	if err != nil {
		return issued{}, fmt.Errorf("auth: token: %w", err)
	}
	signer := a.cfg.Signer()
	token, err := signer.Sign(payload)
	if err != nil {
		return issued{}, fmt.Errorf("auth: token: %w", err)
	}
	if len(token) > MaxTokenBytes {
		return issued{}, errors.New("auth: token: beyond what we accept ourselves")
	}
	a.cfg.Signed(signer.KeyID())
	return issued{token: token, scopes: scopes}, nil
}

// claims is parse with the newest keys, if the token's key is not among keys. It
// returns those that it was verified with.
func (a *Authenticator) claims(ctx context.Context, token string, keys *jose.KeySet) (claims, *jose.KeySet, error) {
	c, err := a.parse(token, keys)
	if unknown := (unknownKeyError{}); !errors.As(err, &unknown) || a.cfg.Refresh == nil {
		return c, keys, err
	}
	if err := a.cfg.Refresh(ctx); err != nil {
		return claims{}, keys, err // it may be a good token
	}
	keys = a.cfg.Keys()
	c, err = a.parse(token, keys)
	return c, keys, err
}

// unknownKeyError: the token is signed with none of the keys.
type unknownKeyError struct{ refusal *Error }

func (e unknownKeyError) Error() string { return e.refusal.Error() }
func (e unknownKeyError) Unwrap() error { return e.refusal }

// parse verifies that token is an access token that we signed for ourselves,
// whether or not it is still good. Errors: an [*Error].
func (a *Authenticator) parse(token string, keys *jose.KeySet) (claims, error) {
	m, err := jose.Parse([]byte(token))
	if err != nil {
		return claims{}, invalidToken("not an access token of ours")
	}
	if typ := m.Header.Type; !strings.EqualFold(typ, TokenType) && !strings.EqualFold(typ, "application/"+TokenType) {
		return claims{}, invalidToken("typ is not " + TokenType)
	}
	if err := signedBy(m, keys); err != nil {
		return claims{}, err
	}
	var c claims
	if err := jsonv2.Unmarshal(m.Payload, &c); err != nil {
		return claims{}, invalidToken("the claims are not those of an access token")
	}
	if reason := a.judge(&c); reason != "" {
		return claims{}, invalidToken(reason)
	}
	return c, nil
}

// signedBy reports whether a key of keys signed m. Errors: an [*Error], in an
// unknownKeyError if it is none of theirs.
func signedBy(m *jose.Message, keys *jose.KeySet) error {
	refused := invalidToken("the signature is not ours")
	alg, err := jose.ParseAlgorithm(m.Header.Algorithm)
	if err != nil {
		return refused
	}
	key, err := keys.Find(m.Header.KeyID, alg)
	switch {
	case errors.Is(err, jose.ErrUnknownKey):
		return unknownKeyError{refused}
	case err != nil || jose.Verify(m, key) != nil:
		return refused
	}
	return nil
}

// judge returns why c are not the claims of one of our access tokens, or "".
func (a *Authenticator) judge(c *claims) string {
	switch {
	case c.Events != nil:
		return "a SET is no access token"
	case c.Issuer != a.cfg.Issuer:
		return "iss is another"
	case !c.isFor(a.cfg.Issuer):
		return "aud is another"
	case c.ClientID == "" || c.Subject != c.ClientID || c.ID == "" || c.Registration == "":
		return "a claim is missing"
	case c.IssuedAt <= 0 || c.Expires <= c.IssuedAt,
		c.Expires-c.IssuedAt > int64(MaxTokenLifetime/time.Second):
		return "iat and exp are too far apart"
	}
	return ""
}

// isFor reports whether aud, one value or a list (RFC 7519 §4.1.3), has issuer.
func (c *claims) isFor(issuer string) bool {
	return slices.Contains(audienceValues(c.Audience), issuer)
}
