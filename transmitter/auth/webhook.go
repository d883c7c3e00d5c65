package auth

import (
	"context"
	"log/slog"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
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
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		owned, err := exists(tx, "SELECT 1 FROM applications WHERE id = ?", w.Application)
		if err != nil {
			return err
		}
		if !owned {
			return ErrNotFound
		}
		taken, err := exists(tx, "SELECT 1 FROM webhooks WHERE id = ?", w.ID)
		if err != nil {
			return err
		}
		if taken {
			return ErrExists
		}
		_, err = tx.Exec("INSERT INTO webhooks (id, application, revision, settings, created_ms) VALUES (?, ?, ?, ?, ?)",
			w.ID, w.Application, w.Revision, string(w.Settings), w.Created.UnixMilli())
		return err
	})
}

// ChangeWebhook replaces revision and settings. Error: [ErrNotFound].
func (s *Store) ChangeWebhook(ctx context.Context, id, revision string, settings []byte) error {
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		done, err := tx.Exec("UPDATE webhooks SET revision = ?, settings = ? WHERE id = ?", revision, string(settings), id)
		if err == nil && done.Changes == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// RemoveWebhook removes it. One that is not there is none to remove.
func (s *Store) RemoveWebhook(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("DELETE FROM webhooks WHERE id = ?", id)
		return err
	})
}

const webhookColumns = "SELECT id, application, revision, settings, created_ms FROM webhooks"

// Webhook returns the webhook with id. Error: [ErrNotFound].
func (s *Store) Webhook(ctx context.Context, id string) (Webhook, error) {
	var w Webhook
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		var err error
		w, err = scanWebhook(v.QueryRow(webhookColumns+" WHERE id = ?", id))
		return err
	})
	if err != nil {
		return Webhook{}, notFound(err)
	}
	return w, nil
}

// Webhooks returns the webhooks of an application ("": of all) in order of
// creation.
func (s *Store) Webhooks(ctx context.Context, application string) ([]Webhook, error) {
	var all []Webhook
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		where, args := "", []any{}
		if application != "" {
			where, args = " WHERE application = ?", []any{application}
		}
		rows, err := v.Query(webhookColumns+where+" ORDER BY application, created_ms, id", args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			w, err := scanWebhook(rows)
			if err != nil {
				return err
			}
			all = append(all, w)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func scanWebhook(row interface{ Scan(dest ...any) error }) (Webhook, error) {
	var w Webhook
	var settings string
	var ms int64
	if err := row.Scan(&w.ID, &w.Application, &w.Revision, &settings, &ms); err != nil {
		return Webhook{}, err
	}
	w.Settings, w.Created = []byte(settings), fromMilli(ms)
	return w, nil
}
