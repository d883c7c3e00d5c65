package auth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Error codes of the token endpoint (RFC 6749 §5.2).
const (
	codeInvalidClient        = "invalid_client"
	codeInvalidGrant         = "invalid_grant"
	codeInvalidScope         = "invalid_scope"
	codeUnsupportedGrantType = "unsupported_grant_type"
	codeUnavailable          = "temporarily_unavailable" // a failure of ours (RFC 6749 §4.1.2.1)
)

// retryAfter is what a client that failed too often, or that met a failure of
// ours, is told to wait, in seconds.
const retryAfter = 1

// endpointError is the answer to a wrong request at an OAuth endpoint.
type endpointError struct {
	status      int
	code        string
	description string
}

func (e *endpointError) Error() string { return "auth: " + e.code + ": " + e.description }

func badRequest(code, description string) *endpointError {
	return &endpointError{http.StatusBadRequest, code, description}
}

func badClient() *endpointError {
	return &endpointError{http.StatusUnauthorized, codeInvalidClient, "client authentication failed"}
}

// TokenHandler returns the token endpoint (RFC 6749 §3.2) with the grant
// client_credentials (§4.4). A client authenticates by client_secret_basic,
// client_secret_post (§2.3.1), private_key_jwt (RFC 7523), or tls_client_auth and
// self_signed_tls_client_auth (RFC 8705 §2). Without a scope it gets all it may have.
func (a *Authenticator) TokenHandler() http.Handler {
	return a.endpoint(func(req *http.Request, form url.Values) (any, error) {
		if form.Get("grant_type") == "" {
			return nil, badRequest(CodeInvalidRequest, "grant_type is missing")
		}
		r, err := a.client(req, form)
		if err != nil {
			return nil, err
		}
		if form.Get("grant_type") != "client_credentials" {
			return nil, badRequest(codeUnsupportedGrantType, "grant_type must be client_credentials")
		}
		scopes, err := a.granted(r, form.Get("scope"))
		if err != nil {
			return nil, err
		}
		bound, err := a.binding(&r, a.cfg.Certificates(req))
		if err != nil {
			return nil, err
		}
		t, err := a.issue(r, scopes, bound)
		if err != nil {
			return nil, err
		}
		return tokenResponse{
			AccessToken: t.token, TokenType: "Bearer",
			ExpiresIn: int(a.cfg.TokenLifetime.Seconds()), Scope: JoinScopes(t.scopes),
		}, nil
	})
}

// tokenResponse is RFC 6749 §5.1.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

// granted returns the scopes asked for, or all if none was, if r covers them.
func (a *Authenticator) granted(r Registration, text string) ([]Scope, error) {
	want, err := ParseScopes(text)
	if err != nil {
		return nil, badRequest(codeInvalidScope, "scope is malformed")
	}
	if len(want) == 0 {
		return r.Scopes, nil
	}
	for _, s := range want {
		if !covers(a.cfg.Rules, r.Scopes, s) {
			return nil, badRequest(codeInvalidScope, "scope goes beyond what the client may have")
		}
	}
	return want, nil
}

// RevokeHandler returns the revocation endpoint (RFC 7009) for access tokens. A
// client authenticates as at the token endpoint. A token that is not good any
// more is answered like one that was revoked just now (§2.2).
func (a *Authenticator) RevokeHandler() http.Handler {
	return a.endpoint(func(req *http.Request, form url.Values) (any, error) {
		r, err := a.client(req, form)
		if err != nil {
			return nil, err
		}
		token := form.Get("token")
		if token == "" {
			return nil, badRequest(CodeInvalidRequest, "token is missing")
		}
		return nil, a.revoke(req.Context(), r, token)
	})
}

// revoke ends a token of r. Another client's is refused (RFC 7009 §2.1).
func (a *Authenticator) revoke(ctx context.Context, r Registration, token string) error {
	foreign := badRequest(codeInvalidGrant, "the token was issued to another client")
	if isStatic(token) {
		owner, err := a.cfg.Store.backend.Holder(ctx, Credential{Static: digest(token)}, 0)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err != nil:
			return err
		case owner.Number != r.Number:
			return foreign
		}
		return a.cfg.Store.revokeStatic(ctx, owner.ID, digest(token))
	}
	c, _, err := a.claims(ctx, token, a.cfg.Keys())
	now := a.cfg.Now()
	switch {
	case err != nil, !now.Before(c.expires()):
		return nil
	case c.Registration != r.Number:
		return foreign
	}
	return a.cfg.Store.Revoke(ctx, c.ID, c.expires(), now)
}

// endpoint reads the form of a POST, and writes what serve returns.
func (a *Authenticator) endpoint(serve func(*http.Request, url.Values) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		form, err := readForm(w, r)
		var answer any
		if err == nil {
			answer, err = serve(r, form)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if answer == nil {
			w.WriteHeader(http.StatusOK)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

// fail answers err; what is not the client's fault goes to the log alone.
func (a *Authenticator) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *endpointError
	if !errors.As(err, &e) {
		e = &endpointError{http.StatusServiceUnavailable, codeUnavailable, ""}
		if r.Context().Err() == nil {
			a.cfg.Logger.ErrorContext(r.Context(), "oauth endpoint failed", slog.Any("err", err))
		}
	}
	switch e.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="client"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	writeJSON(w, e.status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.code, e.description})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}

// readForm returns the parameters of the body; those of the query do not count,
// and secrets there are refused (RFC 6749 §2.3.1).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, &endpointError{http.StatusMethodNotAllowed, CodeInvalidRequest, "the method must be POST"}
	}
	for _, secret := range []string{"client_secret", "client_assertion", "token", "access_token"} {
		if queryHas(r.URL, secret) {
			return nil, badRequest(CodeInvalidRequest, "a secret must not be sent in the URL")
		}
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, badRequest(CodeInvalidRequest, "the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxFormBytes))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &endpointError{http.StatusRequestEntityTooLarge, CodeInvalidRequest, "the body is too large"}
	}
	if err != nil {
		return nil, badRequest(CodeInvalidRequest, "the body could not be read")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest(CodeInvalidRequest, "the body is no form")
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, badRequest(CodeInvalidRequest, "a parameter is sent twice")
		}
	}
	return form, nil
}

// client authenticates the client of a request at an OAuth endpoint.
func (a *Authenticator) client(r *http.Request, form url.Values) (Registration, error) {
	ctx, header := r.Context(), r.Header
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return a.asserted(ctx, form, header)
	}
	if id := form.Get("client_id"); id != "" && !form.Has("client_secret") && len(header["Authorization"]) == 0 {
		return a.byCertificate(ctx, id, a.cfg.Certificates(r))
	}
	id, secret, err := clientCredentials(form, header)
	if err != nil {
		return Registration{}, err
	}
	h, err := a.cfg.Store.backend.Holder(ctx, Credential{Client: id}, 0)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Registration{}, err
	}
	// An unknown client costs the same comparisons: the secrets are empty then.
	current, old := matches(secret, h.Secret), matches(secret, h.OldSecret)
	if current || old && a.cfg.Now().Before(h.OldUntil) {
		return h.Registration, nil
	}
	return Registration{}, a.unauthenticated(id)
}

// unauthenticated counts a failed authentication and returns the answer.
func (a *Authenticator) unauthenticated(id string) *endpointError {
	e := badClient()
	if a.failures.tooMany(id) {
		e.status, e.description = http.StatusTooManyRequests, "too many failed authentications"
	}
	return e
}

// clientCredentials returns what the client authenticates with: the
// Authorization header, or two parameters (RFC 6749 §2.3.1), never both.
func clientCredentials(form url.Values, header http.Header) (id, secret string, err error) {
	values := header["Authorization"]
	if len(values) == 0 {
		if form.Get("client_id") == "" || form.Get("client_secret") == "" {
			return "", "", badClient()
		}
		return form.Get("client_id"), form.Get("client_secret"), nil
	}
	if len(values) > 1 || form.Has("client_secret") {
		return "", "", badRequest(CodeInvalidRequest, "more than one way of client authentication")
	}
	id, secret, ok := (&http.Request{Header: header}).BasicAuth()
	if !ok || !strings.Contains(values[0], " ") {
		return "", "", badClient()
	}
	// Both are form-urlencoded within the Basic credentials.
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if idErr != nil || secretErr != nil {
		return "", "", badClient()
	}
	if named := form.Get("client_id"); named != "" && named != id {
		return "", "", badRequest(CodeInvalidRequest, "client_id differs from the authenticated client")
	}
	return id, secret, nil
}
