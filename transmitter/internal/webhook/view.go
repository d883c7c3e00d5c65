package webhook

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
)

// View is a webhook as it is read. No secret is in it, but for the signing
// secret in the answer that made it.
type View struct {
	ID          string   `json:"id"`
	Application string   `json:"application"`
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Types       []string `json:"types"`
	// Applications are those at the source; none: all.
	Applications []string   `json:"applications,omitempty"`
	Environment  string     `json:"environment,omitempty"`
	Format       Format     `json:"format"`
	Batch        *BatchView `json:"batch,omitempty"`
	// Headers are the names of the custom headers; a value may be a secret.
	Headers []string    `json:"headers,omitempty"`
	Auth    AuthView    `json:"auth"`
	Signing SigningView `json:"signing"`
	// Secret is the signing secret, once.
	Secret string `json:"secret,omitempty"`

	Status      streams.Status `json:"status"`
	Reason      string         `json:"reason,omitempty"`
	Created     time.Time      `json:"created_at"`
	Queued      int            `json:"queued"`
	DeadLetters int            `json:"dead_letters"`
	Oldest      time.Time      `json:"oldest,omitzero"`
	Failures    int            `json:"failures"`
	NextDue     time.Time      `json:"next_due,omitzero"`
	LastError   string         `json:"last_error,omitempty"`
}

// LogValue tells the id alone: a signing secret may be in it.
func (v View) LogValue() slog.Value { return slog.StringValue(v.ID) }

// BatchView is when a batch leaves.
type BatchView struct {
	Events  int `json:"events"`
	Seconds int `json:"seconds"`
}

// AuthView is how a webhook authenticates, without secrets.
type AuthView struct {
	Type     string   `json:"type"`
	Username string   `json:"username,omitempty"`
	TokenURL string   `json:"token_url,omitempty"`
	ClientID string   `json:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Params   []string `json:"params,omitempty"` // names
}

// SigningView is what signs.
type SigningView struct {
	Type string `json:"type"`
	// PublicKey is whpk_ and base64, of the newest secret if that is asymmetric.
	PublicKey string       `json:"public_key,omitempty"`
	Secrets   []SecretView `json:"secrets"`
}

// SecretView tells of a secret that signs.
type SecretView struct {
	Type      string    `json:"type"`
	PublicKey string    `json:"public_key,omitempty"`
	Created   time.Time `json:"created_at"`
	Expires   time.Time `json:"expires_at,omitzero"`
}

// shown is what the one answer shows of a new secret: an asymmetric one is
// nobody's but ours, its public key is shown at any time.
func shown(s Secret) string {
	if s.form() == Asymmetric {
		return ""
	}
	return s.Text
}

func (s *Service) view(ctx context.Context, row auth.Webhook, settings Settings) (View, error) {
	at, err := streams.Standings(ctx, s.cfg.Streams, []string{row.ID})
	if err != nil {
		return View{}, err
	}
	if at[0] == nil {
		return View{}, streams.ErrNotFound
	}
	return s.viewOf(row, settings, at[0]), nil
}

func (s *Service) viewOf(row auth.Webhook, settings Settings, at *streams.Standing) View {
	st, depth, health := &at.Stream, at.Depth, at.Health
	v := View{
		ID: row.ID, Application: row.Application, URL: settings.URL, Description: settings.Description,
		Types: settings.Types, Applications: settings.Applications, Environment: settings.Environment, Format: settings.Format, Headers: slices.Sorted(maps.Keys(settings.Headers)),
		Auth: AuthView{
			Type: settings.Auth.Type, Username: settings.Auth.Username, TokenURL: settings.Auth.TokenURL,
			ClientID: settings.Auth.ClientID, Scopes: settings.Auth.Scopes, Params: slices.Sorted(maps.Keys(settings.Auth.Params)),
		},
		Signing: SigningView{Type: settings.Secrets[0].form(), PublicKey: settings.Secrets[0].public()},
		Status:  st.Status, Reason: st.Reason, Created: row.Created,
		Queued: depth.Items, DeadLetters: depth.Dead, Oldest: depth.Oldest,
		Failures: health.Failures, NextDue: health.NextDue, LastError: health.LastError,
	}
	if settings.Format != FormatEvent {
		v.Batch = &BatchView{Events: settings.BatchEvents, Seconds: settings.BatchSeconds}
	}
	now := s.cfg.Now()
	for _, secret := range settings.Secrets {
		if secret.signs(now) {
			v.Signing.Secrets = append(v.Signing.Secrets, SecretView{
				Type: secret.form(), PublicKey: secret.public(), Created: secret.Created, Expires: secret.Expires,
			})
		}
	}
	return v
}

// parseRotation reads the body of a rotation: {"grace_seconds", "signing"}, members
// that may be left out, and so may the body.
func parseRotation(body []byte) (grace time.Duration, signing jsontext.Value, err error) {
	grace = DefaultGrace
	if len(body) == 0 {
		return grace, nil, nil
	}
	var ask struct {
		Grace   *int64         `json:"grace_seconds"`
		Signing jsontext.Value `json:"signing"`
	}
	if err := into("", body, &ask); err != nil {
		return 0, nil, err
	}
	if ask.Grace != nil {
		if *ask.Grace < 0 || *ask.Grace > int64(MaxGrace/time.Second) {
			return 0, nil, request.Invalid("grace_seconds", "is not a number from 0 to 2592000")
		}
		grace = time.Duration(*ask.Grace) * time.Second
	}
	return grace, ask.Signing, nil
}
