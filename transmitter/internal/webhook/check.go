package webhook

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// check judges settings as a whole and fills in what follows from them.
func (s *Service) check(now *Settings) error {
	if now.URL == "" {
		return request.Invalid("url", "is missing")
	}
	if err := s.cfg.CheckURL(now.URL); err != nil {
		return request.Invalid("url", err.Error())
	}
	if len(now.Description) > maxDescription || !plain(now.Description) {
		return request.Invalid("description", fmt.Sprintf("is longer than %d bytes or has control characters", maxDescription))
	}
	if err := now.checkTypes(); err != nil {
		return err
	}
	if err := now.checkBatch(); err != nil {
		return err
	}
	if len(now.Headers) > maxHeaders {
		return request.Invalid("headers", fmt.Sprintf("has more than %d fields", maxHeaders))
	}
	if _, own := now.Headers["Authorization"]; own && now.Auth.Type != AuthNone {
		return request.Invalid("headers.Authorization", "is what auth sets; leave one of them out")
	}
	return s.checkAuth(&now.Auth)
}

func (s *Settings) checkTypes() error {
	if len(s.Types) == 0 || len(s.Types) > maxTypes {
		return request.Invalid("types", fmt.Sprintf("has no value or more than %d; leave it out for all", maxTypes))
	}
	for _, t := range s.Types {
		if t == "" || len(t) > maxTypeBytes || !plain(t) {
			return request.Invalid("types", fmt.Sprintf("has a value that is no type of events: 1 to %d bytes without control characters", maxTypeBytes))
		}
	}
	slices.Sort(s.Types)
	s.Types = slices.Compact(s.Types)
	if slices.Contains(s.Types, streams.AnyEvent) {
		s.Types = []string{streams.AnyEvent}
	}
	for _, a := range s.Applications {
		if a == "" || len(a) > maxTypeBytes || !plain(a) {
			return request.Invalid("applications", fmt.Sprintf("has a value that is no application: 1 to %d bytes without control characters", maxTypeBytes))
		}
	}
	slices.Sort(s.Applications)
	s.Applications = slices.Compact(s.Applications)
	if len(s.Types)*max(len(s.Applications), 1) > maxKeys {
		return request.Invalid("applications", fmt.Sprintf("times types makes more than %d pairs", maxKeys))
	}
	if len(s.Environment) > maxTypeBytes || !plain(s.Environment) {
		return request.Invalid("environment", "is not the name of an environment")
	}
	return nil
}

func (s *Settings) checkBatch() error {
	switch s.Format {
	case FormatEvent:
		s.BatchEvents, s.BatchSeconds = 0, 0
	case FormatArray, FormatLines:
		if s.BatchEvents == 0 {
			s.BatchEvents = defaultBatchEvents
		}
		if s.BatchSeconds == 0 {
			s.BatchSeconds = defaultBatchSeconds
		}
	default:
		return request.Invalid("format", "is not event, array or ndjson")
	}
	return nil
}

// checkAuth judges how to authenticate, member by member: those that its type
// needs must be there, others must not.
func (s *Service) checkAuth(a *Auth) error {
	needs := map[string][]string{
		AuthNone:   nil,
		AuthBasic:  {"username", "password"},
		AuthBearer: {"token"},
		AuthOAuth2: {"token_url", "client_id", "client_secret"},
	}
	need, known := needs[a.Type]
	if !known {
		return request.Invalid("auth.type", "is not none, basic, bearer or oauth2")
	}
	for _, m := range []struct{ name, value string }{
		{"username", a.Username},
		{"password", a.Password},
		{"token", a.Token},
		{"token_url", a.TokenURL},
		{"client_id", a.ClientID},
		{"client_secret", a.ClientSecret},
	} {
		switch needed := slices.Contains(need, m.name); {
		case needed && m.value == "":
			return request.Invalid("auth."+m.name, "is missing")
		case !needed && m.value != "":
			return request.Invalid("auth."+m.name, "is not for this type")
		case len(m.value) > maxValueBytes || !plain(m.value):
			return request.Invalid("auth."+m.name, fmt.Sprintf("is longer than %d bytes or has control characters", maxValueBytes))
		}
	}
	if strings.Contains(a.Username, ":") {
		return request.Invalid("auth.username", "has a colon, which Basic cannot tell from the password")
	}
	if !headerValue(a.Token) {
		return request.Invalid("auth.token", "has a character that no header field can have")
	}
	if a.Type != AuthOAuth2 {
		if len(a.Scopes) > 0 || len(a.Params) > 0 {
			return request.Invalid("auth.scopes", "and params are for the type oauth2")
		}
		return nil
	}
	return s.checkOAuth2(a)
}

func (s *Service) checkOAuth2(a *Auth) error {
	if err := s.cfg.CheckURL(a.TokenURL); err != nil {
		return request.Invalid("auth.token_url", err.Error())
	}
	if len(a.Scopes) > maxScopes {
		return request.Invalid("auth.scopes", fmt.Sprintf("has more than %d values", maxScopes))
	}
	for _, scope := range a.Scopes {
		if scope == "" || len(scope) > maxTypeBytes || !headerValue(scope) || strings.ContainsAny(scope, ` "\`) {
			return request.Invalid("auth.scopes", "has a value that is no scope (RFC 6749 §3.3)")
		}
	}
	if len(a.Params) > maxParams {
		return request.Invalid("auth.params", fmt.Sprintf("has more than %d members", maxParams))
	}
	for name, value := range a.Params {
		switch {
		case name == "" || len(name) > maxNameBytes || !plain(name):
			return request.Invalid("auth.params", "has a name that no parameter can have")
		case slices.Contains([]string{"grant_type", "client_id", "client_secret", "scope"}, name):
			return request.Invalid("auth.params", "has a parameter that the transmitter sets")
		case len(value) > maxValueBytes || !plain(value):
			return request.Invalid("auth.params", "has a value that is too long or has control characters")
		}
	}
	return nil
}

// plain reports whether a text is UTF-8 without control characters.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// headerValue reports whether v can be sent as a field value unchanged.
func headerValue(v string) bool {
	for i := range len(v) {
		if v[i] < 0x20 || v[i] > 0x7e {
			return false
		}
	}
	return strings.TrimSpace(v) == v
}

// token reports whether s is a token (RFC 9110 §5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// cut bounds a text that came from outside.
func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
