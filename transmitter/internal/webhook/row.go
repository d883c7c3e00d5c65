package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// find returns a webhook that the caller may see.
func (s *Service) find(ctx context.Context, who Caller, id string) (auth.Webhook, Settings, error) {
	row, err := s.cfg.Store.Webhook(ctx, id)
	if errors.Is(err, auth.ErrNotFound) {
		return auth.Webhook{}, Settings{}, streams.ErrNotFound
	}
	if err != nil {
		return auth.Webhook{}, Settings{}, err
	}
	settings, err := decode(row)
	if err == nil && !who.sees(row, settings) {
		return auth.Webhook{}, Settings{}, streams.ErrNotFound
	}
	return row, settings, err
}

// encode writes settings into a row, under a new revision.
func encode(row *auth.Webhook, settings Settings) error {
	raw, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("webhook: writing the settings: %w", err)
	}
	row.Settings, row.Revision = raw, newID()
	return nil
}

func decode(row auth.Webhook) (Settings, error) {
	var settings Settings
	if err := json.Unmarshal(row.Settings, &settings); err != nil {
		return Settings{}, fmt.Errorf("webhook: reading the settings of %s: %w", row.ID, err)
	}
	if len(settings.Secrets) == 0 {
		return Settings{}, fmt.Errorf("webhook: reading the settings of %s: no secret", row.ID)
	}
	return settings, nil
}

// newID returns 128 random bits in base64url, but none that a command line
// would take for a flag.
func newID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}
