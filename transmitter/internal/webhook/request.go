package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// Bounds on what is asked for.
const (
	MaxBodyBytes    = 256 << 10
	maxDescription  = 1 << 10
	maxTypes        = 200
	maxTypeBytes    = 256
	maxKeys         = 1000 // types times applications
	maxBatchEvents  = 1000
	maxBatchSeconds = 300
	maxHeaders      = 20
	maxNameBytes    = 64
	maxValueBytes   = 4 << 10
	maxScopes       = 32
	maxParams       = 16

	defaultBatchEvents  = 100
	defaultBatchSeconds = 5
)

// Request is what is asked of a webhook: a member that is nil was not sent,
// null stands for its default. Secrets are in it.
type Request struct {
	Application jsontext.Value `json:"application"` // an operator's request alone
	URL         jsontext.Value `json:"url"`
	Description jsontext.Value `json:"description"`
	Types       jsontext.Value `json:"types"`
	// Applications are those at the source.
	Applications jsontext.Value `json:"applications"`
	Environment  jsontext.Value `json:"environment"`
	Format       jsontext.Value `json:"format"`
	Batch        jsontext.Value `json:"batch"`
	Headers      jsontext.Value `json:"headers"`
	Auth         jsontext.Value `json:"auth"`
	Signing      jsontext.Value `json:"signing"`
	Status       jsontext.Value `json:"status"`
	Reason       jsontext.Value `json:"reason"`
}

// ParseRequest reads a request's body. Error: a *request.Error.
func ParseRequest(body []byte) (Request, error) {
	var r Request
	err := into("", body, &r)
	return r, err
}

// into reads one member strictly: a typo must not silently mean something
// else, and a member given twice means nothing.
func into(member string, raw []byte, to any) error {
	err := jsonv2.Unmarshal(raw, to, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return request.Invalid(path(member, syntactic.JSONPointer), "stands twice")
		}
		return request.Invalid(member, "is not JSON in UTF-8")
	}
	var semantic *jsonv2.SemanticError
	if errors.As(err, &semantic) {
		if errors.Is(err, jsonv2.ErrUnknownName) {
			return request.Invalid(path(member, semantic.JSONPointer), "is not a member of a webhook")
		}
		return request.Invalid(path(member, semantic.JSONPointer), "has the wrong type")
	}
	return request.Invalid(member, "is not the JSON object that is expected here")
}

// path returns a pointer below a member as a dotted path.
func path(member string, p jsontext.Pointer) string {
	parts := slices.Collect(p.Tokens())
	if member != "" {
		parts = append([]string{member}, parts...)
	}
	return cut(strings.Join(parts, "."), maxNameBytes)
}

func isNull(v jsontext.Value) bool { return string(v) == "null" }

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

// wantedSecret reads the member signing: the form, or a secret brought along.
// Without it, it is a symmetric one.
func wantedSecret(raw jsontext.Value, form string, now time.Time) (Secret, error) {
	var ask struct {
		Type   string `json:"type"`
		Secret string `json:"secret"`
	}
	if raw != nil && !isNull(raw) {
		if err := into("signing", raw, &ask); err != nil {
			return Secret{}, err
		}
	}
	if ask.Type != "" {
		form = ask.Type
	}
	if form != Symmetric && form != Asymmetric {
		return Secret{}, request.Invalid("signing.type", "is not symmetric or asymmetric")
	}
	if ask.Secret == "" {
		return newSecret(form, now), nil
	}
	s, wrong := parseSecret(ask.Secret, now)
	if wrong == "" && ask.Type != "" && s.form() != ask.Type {
		wrong = "is not of this type"
	}
	if wrong != "" {
		return Secret{}, request.Invalid("signing.secret", wrong)
	}
	return s, nil
}

// wantedStatus reads the members status and reason. present is false if there
// is none.
func wantedStatus(req Request) (report streams.StatusReport, present bool, err error) {
	if req.Reason != nil && !isNull(req.Reason) {
		if err := into("reason", req.Reason, &report.Reason); err != nil {
			return report, false, err
		}
	}
	if req.Status == nil || isNull(req.Status) {
		if report.Reason != "" {
			return report, false, request.Invalid("reason", "goes with a status")
		}
		return report, false, nil
	}
	if err := into("status", req.Status, &report.Status); err != nil {
		return report, false, err
	}
	if !report.Status.Valid() {
		return report, false, request.Invalid("status", "is not enabled, paused or disabled")
	}
	if len(report.Reason) > streams.MaxReasonBytes {
		return report, false, request.Invalid("reason", "is too long")
	}
	return report, true, nil
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
