package auth

import (
	"context"
	"log/slog"
	"time"
)

// Webhook is what is kept of an application's webhook beside its stream: the
// settings that a stream has no place for, secrets among them. They are
// transmitter/internal/webhook's; here they are text.
type Webhook struct {
	// ID is the id of its stream.
	ID string
	// Application owns it; with the application it goes.
	Application string
	// Revision is another one after each change.
	Revision string
	// Settings are a JSON object.
	Settings []byte
	Created  time.Time
}

// LogValue tells whose it is, and no setting.
func (w Webhook) LogValue() slog.Value {
	return slog.GroupValue(slog.String("stream_id", w.ID), slog.String("application", w.Application))
}

// AddWebhook adds w. Errors: [ErrNotFound] if there is no such application;
// [ErrExists] if the id is taken.
func (s *Store) AddWebhook(ctx context.Context, w Webhook) error {
	return s.backend.Write(ctx, func(tx *Tx) error {
		owned, err := there(tx.Applications, w.Application)
		if err != nil {
			return err
		}
		if !owned {
			return ErrNotFound
		}
		taken, err := there(tx.Webhooks, w.ID)
		if err != nil {
			return err
		}
		if taken {
			return ErrExists
		}
		return tx.Webhooks.Put(w)
	})
}

// ChangeWebhook replaces revision and settings of one that still is of revision from.
// Errors: [ErrNotFound], [ErrChanged].
func (s *Store) ChangeWebhook(ctx context.Context, id, from, revision string, settings []byte) error {
	return s.backend.Write(ctx, func(tx *Tx) error {
		w, err := tx.Webhooks.Get(id)
		if err == nil && w.Revision != from {
			err = ErrChanged
		}
		if err != nil {
			return err
		}
		w.Revision, w.Settings = revision, settings
		return tx.Webhooks.Put(w)
	})
}

// RemoveWebhook removes it. One that is not there is none to remove.
func (s *Store) RemoveWebhook(ctx context.Context, id string) error {
	return ignore(s.backend.Write(ctx, func(tx *Tx) error { return tx.Webhooks.Delete(id) }), ErrNotFound)
}

// Webhook returns the webhook with id. Error: [ErrNotFound].
func (s *Store) Webhook(ctx context.Context, id string) (Webhook, error) {
	return get(ctx, s, inWebhooks, id)
}

// Webhooks returns the webhooks of an application ("": of all) in order of
// creation.
func (s *Store) Webhooks(ctx context.Context, application string) ([]Webhook, error) {
	by := ByApplication
	if application == "" {
		by = All
	}
	return list(ctx, s, inWebhooks, by, application)
}
