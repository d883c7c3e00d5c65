package auth

import (
	"net/http"
	"strings"
)

// The error codes of RFC 6750 §3.1.
const (
	CodeInvalidRequest    = "invalid_request"
	CodeInvalidToken      = "invalid_token"
	CodeInsufficientScope = "insufficient_scope"
)

// Error refuses a request (RFC 6750 §3). Its texts are fixed: nothing of the
// request is in them.
type Error struct {
	// Status is 400, 401 or 403.
	Status int
	// Code is an RFC 6750 error code; empty if no credential was sent.
	Code string
	// Description is for a developer; empty if Code is.
	Description string
	// Scope is what would have been sufficient (403), else empty.
	Scope string
	// ResourceMetadata is the URL of the RFC 9728 document; empty: not sent.
	ResourceMetadata string
}

// Error describes the refusal for a log.
func (e *Error) Error() string {
	if e.Code == "" {
		return "auth: no bearer token"
	}
	return "auth: " + e.Code + ": " + e.Description
}

// WWWAuthenticate returns the value of the WWW-Authenticate header that goes
// with the answer (RFC 6750 §3, RFC 9728 §5.1).
func (e *Error) WWWAuthenticate() string {
	var params []string
	for _, p := range []struct{ name, value string }{
		{"error", e.Code},
		{"error_description", e.Description},
		{"scope", e.Scope},
		{"resource_metadata", e.ResourceMetadata},
	} {
		if p.value != "" {
			params = append(params, p.name+`="`+quotable(p.value)+`"`)
		}
	}
	if len(params) == 0 {
		return "Bearer"
	}
	return "Bearer " + strings.Join(params, ", ")
}

// quotable drops what may not stand in a quoted string of a header.
func quotable(value string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, value)
}

func noCredential() *Error { return &Error{Status: http.StatusUnauthorized} }

func invalidToken(description string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: CodeInvalidToken, Description: description}
}

func insufficient(scope Scope) *Error {
	return &Error{
		Status: http.StatusForbidden, Code: CodeInsufficientScope,
		Description: "the access token is not good for this", Scope: string(scope),
	}
}
