// Package gtr asks an identity provider to end all sessions and tokens of a user by
// Global Token Revocation (draft-parecki-oauth-global-token-revocation), as Okta,
// Auth0 and Janssen take it.
package gtr

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/values"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	name = "gtr hook"

	// tokenType is the type of the signed token that authorizes a call.
	tokenType = "global-token-revocation+jwt"
	// tokenLife is how long it is good.
	tokenLife = 5 * time.Minute

	jtiBytes = 16
)

// The names of the body's member.
const (
	MemberSubID   = "sub_id"  // the draft's
	MemberSubject = "subject" // Auth0's
)

// Config is an endpoint and how it is authorized: by a signed token (Key), by client
// credentials (TokenURL), or by a header of HTTP.
type Config struct {
	// URL is the endpoint. Required.
	URL string
	// Member is that of the body; empty: MemberSubID.
	Member string
	// Formats are those of the identifiers that the endpoint understands, the best
	// first: "iss_sub", "email", "opaque"; none: whatever the event names, in its order.
	Formats []string

	// Key is a private JWK; the endpoint knows its public half.
	Key string
	// Signer is used in place of Key. Its type is global-token-revocation+jwt.
	Signer *jose.Signer `yaml:"-"`
	// Issuer is the signed token's iss; required with Key or Signer.
	Issuer string
	// Subject is its sub; empty: Issuer.
	Subject string
	// Audience is its aud; empty: URL.
	Audience string

	// TokenURL, ClientID, ClientSecret and Scopes get an access token (RFC 6749 §4.4).
	TokenURL, ClientID, ClientSecret string
	Scopes                           []string

	// Ignore are members of a scope that may be left out of account ("tenant",
	// "device"), though sessions of others than are meant may end.
	Ignore []string
	// HTTP says how the servers may be called.
	HTTP call.Config
}

// Hook calls the endpoint. It does End, and Deny, which ends sessions, too. All of the
// user's sessions end, whenever they began. Safe for concurrent use.
type Hook struct {
	cfg    Config
	api    call.API
	signer *jose.Signer
}

// New checks cfg and returns its hook.
func New(cfg Config) (*Hook, error) {
	if cfg.Member == "" {
		cfg.Member = MemberSubID
	}
	if cfg.Audience == "" {
		cfg.Audience = cfg.URL
	}
	if cfg.Subject == "" {
		cfg.Subject = cfg.Issuer
	}
	client, err := call.New(cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("%s: http: %w", name, err)
	}
	h := &Hook{cfg: cfg, api: call.API{Client: client, Name: name}, signer: cfg.Signer}
	var wrong []error
	if h.api.Base, err = client.URL(cfg.URL); err != nil {
		wrong = append(wrong, fmt.Errorf("url: %w", err))
	}
	if cfg.Member != MemberSubID && cfg.Member != MemberSubject {
		wrong = append(wrong, fmt.Errorf("member: it is %s or %s", MemberSubID, MemberSubject))
	}
	for _, format := range cfg.Formats {
		if !slices.Contains(subject.Formats(), format) {
			wrong = append(wrong, fmt.Errorf("formats: there is no %q", format))
		}
	}
	if err := errors.Join(append(wrong, h.authorize())...); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return h, nil
}

// authorize prepares what authorizes calls.
func (h *Hook) authorize() error {
	var wrong []error
	if h.cfg.Key != "" && h.signer == nil {
		key, err := jose.ParsePrivateKey([]byte(h.cfg.Key))
		if err == nil {
			h.signer, err = jose.NewSigner(key, tokenType)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("key: %w", err))
		}
	}
	signed := h.cfg.Key != "" || h.signer != nil
	if signed && h.cfg.Issuer == "" {
		wrong = append(wrong, errors.New("issuer: a signed token has one"))
	}
	if h.cfg.TokenURL == "" {
		return errors.Join(wrong...)
	}
	if signed {
		wrong = append(wrong, errors.New("token_url: it is not for signed tokens"))
	}
	if h.cfg.ClientID == "" || h.cfg.ClientSecret == "" {
		wrong = append(wrong, errors.New("client_id, client_secret: token_url needs both"))
	}
	if _, err := h.api.Client.URL(h.cfg.TokenURL); err != nil {
		wrong = append(wrong, fmt.Errorf("token_url: %w", err))
	}
	h.api.Tokens = h.api.Client.NewTokens(h.cfg.TokenURL, h.cfg.ClientID, h.cfg.ClientSecret, h.cfg.Scopes...)
	return errors.Join(wrong...)
}

// Act names the user by one identifier after the other until the endpoint knows one.
// 200, 202 and 204 are success; 404 says that it does not know the user.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	if a.Effect != hooks.End && a.Effect != hooks.Deny {
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	users, err := h.users(a)
	if err != nil {
		return hooks.Outcome{}, err
	}
	for _, user := range users {
		known, err := h.revoke(ctx, user)
		if err != nil {
			return hooks.Outcome{}, err
		}
		if known {
			return hooks.Outcome{Ended: hooks.Unknown}, nil
		}
	}
	return hooks.Outcome{Detail: "the user is not known there"}, nil
}

// users returns the identifiers to try, in the order of the formats.
func (h *Hook) users(a hooks.Action) ([]subject.Identifier, error) {
	if _, err := values.Rows(a, []string{"user.format"}, h.cfg.Ignore); err != nil {
		return nil, err
	}
	users := a.Scope.Users()
	if len(h.cfg.Formats) > 0 {
		var sorted []subject.Identifier
		for _, format := range h.cfg.Formats {
			for _, user := range users {
				if user.Format() == format {
					sorted = append(sorted, user)
				}
			}
		}
		users = sorted
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("the event has no identifier that the endpoint understands: %w", hooks.ErrNotApplicable)
	}
	return users, nil
}

func (h *Hook) revoke(ctx context.Context, user subject.Identifier) (known bool, err error) {
	const what = "revoke"
	api := h.api
	if h.signer != nil {
		token, err := h.token(time.Now())
		if err != nil {
			return false, fmt.Errorf("%s: the token cannot be signed", name)
		}
		api.Authorization = "Bearer " + token
	}
	answer, err := api.Ask(ctx, what, http.MethodPost, nil, nil, map[string]subject.Identifier{h.cfg.Member: user})
	if err != nil || answer.Status == http.StatusNotFound {
		return false, err
	}
	return true, api.Verdict(answer, what, http.StatusOK, http.StatusAccepted, http.StatusNoContent)
}

// token signs the token that authorizes one call.
func (h *Hook) token(now time.Time) (string, error) {
	id := make([]byte, jtiBytes)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	claims, err := json.Marshal(map[string]any{
		"iss": h.cfg.Issuer, "sub": h.cfg.Subject, "aud": h.cfg.Audience,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		"jti": base64.RawURLEncoding.EncodeToString(id),
	})
	if err != nil {
		return "", err
	}
	return h.signer.Sign(claims)
}
