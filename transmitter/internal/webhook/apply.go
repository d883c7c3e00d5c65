package webhook

import (
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// defaults are the settings of a webhook that asks for nothing.
func defaults() Settings {
	return Settings{Types: []string{streams.AnyEvent}, Format: FormatEvent, Auth: Auth{Type: AuthNone}}
}

// apply returns the settings after a request: with whole, what it lacks goes
// back to its default, apart from the signing secrets; else it stays.
// Error: a *request.Error that names the member; nothing else is wrong then.
func (s *Service) apply(who Caller, old Settings, req Request, whole bool) (Settings, error) {
	now := old.clone()
	if whole {
		now = defaults()
		now.Secrets = old.Secrets
	}
	steps := []struct {
		member string
		raw    jsontext.Value
		read   func(raw jsontext.Value) error
	}{
		{"url", req.URL, func(raw jsontext.Value) error { return into("url", raw, &now.URL) }},
		{"description", req.Description, func(raw jsontext.Value) error { return into("description", raw, &now.Description) }},
		{"types", req.Types, func(raw jsontext.Value) error { return into("types", raw, &now.Types) }},
		{"applications", req.Applications, func(raw jsontext.Value) error { return into("applications", raw, &now.Applications) }},
		{"environment", req.Environment, func(raw jsontext.Value) error { return into("environment", raw, &now.Environment) }},
		{"format", req.Format, func(raw jsontext.Value) error { return into("format", raw, &now.Format) }},
		{"batch", req.Batch, now.readBatch},
		{"headers", req.Headers, func(raw jsontext.Value) error { return now.readHeaders(raw) }},
		{"auth", req.Auth, func(raw jsontext.Value) error { return now.readAuth(raw, old.Auth) }},
	}
	for _, step := range steps {
		if step.raw == nil {
			continue
		}
		if isNull(step.raw) {
			now.reset(step.member)
			continue
		}
		if err := step.read(step.raw); err != nil {
			return Settings{}, err
		}
	}
	if who.Environment != "" {
		if req.Environment != nil && !isNull(req.Environment) && now.Environment != who.Environment {
			return Settings{}, request.Invalid("environment", "is not the one that the client is bound to")
		}
		now.Environment = who.Environment
	}
	if err := s.check(&now); err != nil {
		return Settings{}, err
	}
	if req.Batch != nil && !isNull(req.Batch) && now.Format == FormatEvent {
		return Settings{}, request.Invalid("batch", "is for the formats array and ndjson")
	}
	if err := now.tookAlong(old, req, whole); err != nil {
		return Settings{}, err
	}
	return now, nil
}

// tookAlong refuses to hand secrets that were given for one host to another:
// they must be sent again with its URL.
func (s *Settings) tookAlong(old Settings, req Request, whole bool) error {
	if old.URL == "" || origin(old.URL) == origin(s.URL) {
		return nil
	}
	if s.Auth.Type != AuthNone && s.Auth.Type == old.Auth.Type && s.Auth.Password == old.Auth.Password &&
		s.Auth.Token == old.Auth.Token && s.Auth.ClientSecret == old.Auth.ClientSecret && !hasSecret(req.Auth) {
		return request.Invalid("auth", "must come with its secret if url names another host: it is not taken along")
	}
	if req.Headers == nil && len(s.Headers) > 0 && !whole {
		return request.Invalid("headers", "must be sent again if url names another host: they are not taken along")
	}
	for name := range s.Headers {
		if !whole && !sendsHeader(req.Headers, name) {
			return request.Invalid("headers."+name, "must be sent again if url names another host: it is not taken along")
		}
	}
	return nil
}

// hasSecret reports whether a request's auth has a secret in it.
func hasSecret(raw jsontext.Value) bool {
	var a Auth
	return raw != nil && into("auth", raw, &a) == nil && (a.Password != "" || a.Token != "" || a.ClientSecret != "")
}

// sendsHeader reports whether a request's headers have the name with a value.
func sendsHeader(raw jsontext.Value, name string) bool {
	var sent map[string]*string
	if raw == nil || into("headers", raw, &sent) != nil {
		return false
	}
	for other, value := range sent {
		if value != nil && textproto.CanonicalMIMEHeaderKey(other) == name {
			return true
		}
	}
	return false
}

// origin returns scheme and host of a URL that was checked.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// reset sets a member to its default.
func (s *Settings) reset(member string) {
	d := defaults()
	switch member {
	case "url":
		s.URL = ""
	case "description":
		s.Description = ""
	case "types":
		s.Types = d.Types
	case "applications":
		s.Applications = nil
	case "environment":
		s.Environment = ""
	case "format":
		s.Format = d.Format
	case "batch":
		s.BatchEvents, s.BatchSeconds = 0, 0
	case "headers":
		s.Headers = nil
	case "auth":
		s.Auth = d.Auth
	}
}

func (s *Settings) readBatch(raw jsontext.Value) error {
	var b struct {
		Events  *int `json:"events"`
		Seconds *int `json:"seconds"`
	}
	if err := into("batch", raw, &b); err != nil {
		return err
	}
	if b.Events != nil {
		if *b.Events < 1 || *b.Events > maxBatchEvents {
			return request.Invalid("batch.events", fmt.Sprintf("is not a number from 1 to %d", maxBatchEvents))
		}
		s.BatchEvents = *b.Events
	}
	if b.Seconds != nil {
		if *b.Seconds < 1 || *b.Seconds > maxBatchSeconds {
			return request.Invalid("batch.seconds", fmt.Sprintf("is not a number from 1 to %d", maxBatchSeconds))
		}
		s.BatchSeconds = *b.Seconds
	}
	return nil
}

// readHeaders merges (RFC 7396): null takes a header out.
func (s *Settings) readHeaders(raw jsontext.Value) error {
	var sent map[string]*string
	if err := into("headers", raw, &sent); err != nil {
		return err
	}
	merged := make(map[string]string, len(s.Headers)+len(sent))
	maps.Copy(merged, s.Headers)
	seen := make(map[string]bool, len(sent))
	for name, value := range sent {
		member := "headers." + cut(name, maxNameBytes)
		if !token(name) || len(name) > maxNameBytes {
			return request.Invalid(member, "is not the name of a header field")
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if seen[canonical] {
			return request.Invalid(member, "stands twice")
		}
		seen[canonical] = true
		if value == nil {
			delete(merged, canonical)
			continue
		}
		if ours(canonical) {
			return request.Invalid(member, "is a header that the transmitter sets")
		}
		if *value == "" || len(*value) > maxValueBytes || !headerValue(*value) {
			return request.Invalid(member, "has a value that no header field can have")
		}
		merged[canonical] = *value
	}
	s.Headers = merged
	return nil
}

// ours reports whether a header, by its canonical name, is not for others to set.
func ours(name string) bool {
	switch name {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Connection", "Keep-Alive",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect":
		return true
	}
	return strings.HasPrefix(name, "Webhook-") || strings.HasPrefix(name, "Proxy-")
}

// readAuth reads how to authenticate. A secret that is left out is the one
// that there is, if all else says that it is for the same.
func (s *Settings) readAuth(raw jsontext.Value, old Auth) error {
	var a Auth
	if err := into("auth", raw, &a); err != nil {
		return err
	}
	same := a
	same.Password, same.Token, same.ClientSecret = old.Password, old.Token, old.ClientSecret
	kept := a.Type == old.Type && a.Username == old.Username && a.TokenURL == old.TokenURL && a.ClientID == old.ClientID
	if kept && a.Password == "" && a.Token == "" && a.ClientSecret == "" {
		a = same
	}
	s.Auth = a
	return nil
}
