package webhook

import (
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Format is how events stand in a request.
type Format string

// The formats.
const (
	// FormatEvent: one event, a JSON object.
	FormatEvent Format = "event"
	// FormatArray: a JSON array of events.
	FormatArray Format = "array"
	// FormatLines: newline-delimited JSON, one event a line.
	FormatLines Format = "ndjson"
)

// The ways in which a webhook authenticates us to its receiver.
const (
	AuthNone   = "none"
	AuthBasic  = "basic"
	AuthBearer = "bearer"
	AuthOAuth2 = "oauth2" // client credentials (RFC 6749 §4.4)
)

// Auth is how we authenticate. Only the members of its type are set.
type Auth struct {
	Type         string            `json:"type"`
	Username     string            `json:"username,omitempty"`
	Password     string            `json:"password,omitempty"`
	Token        string            `json:"token,omitempty"`
	TokenURL     string            `json:"token_url,omitempty"`
	ClientID     string            `json:"client_id,omitempty"`
	ClientSecret string            `json:"client_secret,omitempty"`
	Scopes       []string          `json:"scopes,omitempty"`
	Params       map[string]string `json:"params,omitempty"`
}

// Settings are what its owner decides about a webhook, as they are kept. They
// hold secrets.
type Settings struct {
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Types       []string `json:"types"` // of events; streams.AnyEvent alone for all
	// Applications are those at the source that events are about; none: all.
	Applications []string `json:"applications,omitempty"`
	// Environment is that of the events; empty: all.
	Environment string `json:"environment,omitempty"`
	Format      Format `json:"format"`
	// BatchEvents and BatchSeconds say when a batch leaves: with so many
	// events, or so long after its first came. 0 for FormatEvent.
	BatchEvents  int               `json:"batch_events,omitempty"`
	BatchSeconds int               `json:"batch_seconds,omitempty"`
	Headers      map[string]string `json:"headers,omitempty"`
	Auth         Auth              `json:"auth"`
	Secrets      []Secret          `json:"secrets"` // the newest first
}

// keys are what the webhook's stream delivers.
func (s *Settings) keys() []string {
	applications := s.Applications
	if len(applications) == 0 {
		applications = []string{""}
	}
	keys := make([]string, 0, len(s.Types)*len(applications))
	for _, application := range applications {
		for _, t := range s.Types {
			keys = append(keys, streams.EventKey(s.Environment, application, t))
		}
	}
	return keys
}

// rotate puts a new secret first. The others sign until the end of their grace.
// It reports false if more would sign than may.
func (s *Settings) rotate(to Secret, grace time.Duration, now time.Time) bool {
	kept := []Secret{to}
	for _, old := range s.Secrets {
		if end := now.Add(grace).UTC().Truncate(time.Second); old.Expires.IsZero() || end.Before(old.Expires) {
			old.Expires = end
		}
		if old.signs(now) {
			kept = append(kept, old)
		}
	}
	if len(kept) > maxSecrets {
		return false
	}
	s.Secrets = kept
	return true
}

// clone returns a copy that shares no memory that changes.
func (s Settings) clone() Settings {
	s.Types, s.Applications, s.Secrets = slices.Clone(s.Types), slices.Clone(s.Applications), slices.Clone(s.Secrets)
	return s
}

// LogValue tells where it leads and how, and no secret.
func (s Settings) LogValue() slog.Value {
	return slog.GroupValue(slog.String("host", origin(s.URL)), slog.String("format", string(s.Format)), slog.Any("auth", s.Auth))
}

// LogValue tells the type alone.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.Type) }
