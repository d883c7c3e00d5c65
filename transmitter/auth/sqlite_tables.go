package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

func sqliteTx(c *sqliteConn) *Tx {
	return &Tx{
		Applications: sqliteApplications{c}, Clients: sqliteClients{c},
		Vendors: sqliteVendors{c}, Webhooks: sqliteWebhooks{c},
		Removed: func(id string) (bool, error) {
			return exists(c, "SELECT 1 FROM removed_applications WHERE id = ?", id)
		},
	}
}

// delete runs a statement that deletes one row.
func (c *sqliteConn) delete(sql, key string) error {
	done, err := c.exec(sql, key)
	if err == nil && done.Changes == 0 {
		err = ErrNotFound
	}
	return err
}

// put updates the row of a key, or else inserts it; both take the key last.
func (c *sqliteConn) put(update, insert string, args ...any) (replaced bool, err error) {
	done, err := c.exec(update, args...)
	if err != nil || done.Changes > 0 {
		return err == nil, err
	}
	_, err = c.exec(insert, args...)
	return false, err
}

type sqliteApplications struct{ *sqliteConn }

const applicationColumns = "SELECT id, name, subject_format, profile, encryption, created_ms FROM applications"

func (t sqliteApplications) Get(id string) (Application, error) {
	a, err := scanOne(t, scanApplication, applicationColumns+" WHERE id = ?", id)
	if err == nil {
		a.Audience, err = audience(t, a.ID)
	}
	return a, err
}

func (t sqliteApplications) List(by Index, value string) ([]Application, error) {
	query, args := applicationColumns+" ORDER BY created_ms, id", []any{}
	if by == ByAudience {
		query, args = applicationColumns+" WHERE id = (SELECT application FROM audiences WHERE value = ?)", []any{value}
	}
	list, err := scanAll(t, scanApplication, query, args...)
	if err != nil || by != ByAudience {
		return list, errors.Join(err, audiences(t, list))
	}
	for i := range list {
		if err == nil {
			list[i].Audience, err = audience(t, list[i].ID)
		}
	}
	return list, err
}

// audiences reads those of all applications at once.
func audiences(v reader, list []Application) error {
	at := make(map[string]int, len(list))
	for i := range list {
		at[list[i].ID] = i
	}
	_, err := scanAll(v, func(row row) (none struct{}, err error) {
		var application, value string
		if err = row.Scan(&application, &value); err == nil {
			if i, there := at[application]; there {
				list[i].Audience = append(list[i].Audience, value)
			}
		}
		return none, err
	}, "SELECT application, value FROM audiences ORDER BY application, place")
	return err
}

func (t sqliteApplications) Put(a Application) error {
	replaced, err := t.put("UPDATE applications SET name = ?, subject_format = ?, profile = ?, encryption = ?, created_ms = ? WHERE id = ?",
		"INSERT INTO applications (name, subject_format, profile, encryption, created_ms, id) VALUES (?, ?, ?, ?, ?, ?)",
		a.Name, a.SubjectFormat, a.Profile, a.Encryption, a.Created.UnixMilli(), a.ID)
	if err != nil {
		return err
	}
	if replaced {
		t.changed = true
		if _, err := t.exec("DELETE FROM audiences WHERE application = ?", a.ID); err != nil {
			return err
		}
	}
	for place, value := range a.Audience {
		if _, err := t.exec("INSERT INTO audiences (value, application, place) VALUES (?, ?, ?)", value, a.ID, place); err != nil {
			return err
		}
	}
	return nil
}

func (t sqliteApplications) Delete(id string) error {
	t.changed = true
	if err := t.delete("DELETE FROM applications WHERE id = ?", id); err != nil {
		return err
	}
	_, err := t.exec("INSERT INTO removed_applications (id, removed_ms) VALUES (?, ?)", id, time.Now().UnixMilli())
	return err
}

func scanApplication(row row) (a Application, err error) {
	var ms int64
	err = row.Scan(&a.ID, &a.Name, &a.SubjectFormat, &a.Profile, &a.Encryption, &ms)
	a.Created = fromMilli(ms)
	return a, err
}

func audience(v reader, application string) ([]string, error) {
	return scanAll(v, func(row row) (value string, err error) { return value, row.Scan(&value) },
		"SELECT value FROM audiences WHERE application = ? ORDER BY place", application)
}

type sqliteClients struct{ *sqliteConn }

const registrationColumns = `SELECT id, application, registration, scopes, source, secret_hash, static,
	static_hash, created_ms, environment, jwks, jwks_uri, old_hash, old_static_hash, old_until_ms, rotated_ms,
	certificate, bound_tokens FROM clients`

func (t sqliteClients) Get(id string) (Registration, error) {
	return scanOne(t, scanRegistration, registrationColumns+" WHERE id = ?", id)
}

func (t sqliteClients) List(by Index, value string) ([]Registration, error) {
	const inOrder = " ORDER BY created_ms, id"
	switch by {
	case ByApplication:
		return scanAll(t, scanRegistration, registrationColumns+" WHERE application = ?"+inOrder, value)
	case ByFeed:
		return scanAll(t, scanRegistration, registrationColumns+
			" WHERE CASE WHEN source IS NULL THEN id ELSE json_extract(source, '$.name') END = ?"+inOrder, value)
	}
	return scanAll(t, scanRegistration, registrationColumns+inOrder)
}

func (t sqliteClients) Put(r Registration) error {
	source, sourceErr := jsonOrNull(r.Source)
	certificate, err := jsonOrNull(r.Certificate)
	if err = errors.Join(sourceErr, err); err != nil {
		return err
	}
	replaced, err := t.put(`UPDATE clients SET application = ?, registration = ?, scopes = ?, source = ?, secret_hash = ?,
		static = ?, static_hash = ?, created_ms = ?, environment = ?, jwks = ?, jwks_uri = ?,
		old_hash = ?, old_static_hash = ?, old_until_ms = ?, rotated_ms = ?, certificate = ?, bound_tokens = ? WHERE id = ?`,
		`INSERT INTO clients (application, registration, scopes, source, secret_hash, static, static_hash, created_ms, environment,
		jwks, jwks_uri, old_hash, old_static_hash, old_until_ms, rotated_ms,
		certificate, bound_tokens, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Application, r.Number, JoinScopes(r.Scopes), source, append([]byte{}, r.Secret...), // never NULL
		r.Static, orNull(r.StaticToken), r.Created.UnixMilli(), r.Environment, textOrNull(r.JWKS), r.JWKSURI,
		orNull(r.OldSecret), orNull(r.OldStaticToken), milliOrZero(r.OldUntil), milliOrZero(r.Rotated),
		certificate, r.BoundTokens, r.ID)
	t.changed = t.changed || replaced
	return err
}

func (t sqliteClients) Delete(id string) error {
	t.changed = true
	return t.delete("DELETE FROM clients WHERE id = ?", id)
}

// orNull is what a column without a value gets.
func orNull(digest []byte) any {
	if digest == nil {
		return nil
	}
	return digest
}

// milliOrZero and timeOrZero keep a time that may be zero.
func milliOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOrZero(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return fromMilli(ms)
}

// jsonOrNull is orNull for what is kept as JSON.
func jsonOrNull[T any](value *T) (any, error) {
	if value == nil {
		return nil, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("auth: a client: %w", err)
	}
	return string(text), nil
}

// textOrNull is orNull for a text.
func textOrNull(text []byte) any {
	if text == nil {
		return nil
	}
	return string(text)
}

func scanRegistration(row row) (r Registration, err error) {
	var scopes string
	var source, certificate []byte
	var ms, oldUntil, rotated int64
	if err := row.Scan(&r.ID, &r.Application, &r.Number, &scopes, &source, &r.Secret, &r.Static, &r.StaticToken, &ms, &r.Environment,
		&r.JWKS, &r.JWKSURI, &r.OldSecret, &r.OldStaticToken, &oldUntil, &rotated,
		&certificate, &r.BoundTokens); err != nil {
		return r, err
	}
	if len(r.Secret) == 0 {
		r.Secret = nil
	}
	r.Created, r.OldUntil, r.Rotated = fromMilli(ms), timeOrZero(oldUntil), timeOrZero(rotated)
	if r.Scopes, err = ParseScopes(scopes); err != nil {
		return r, err
	}
	if source != nil && json.Unmarshal(source, &r.Source) != nil {
		return r, errors.New("auth: a client's source cannot be read")
	}
	if certificate != nil && json.Unmarshal(certificate, &r.Certificate) != nil {
		return r, errors.New("auth: a client's certificate cannot be read")
	}
	return r, nil
}

type sqliteWebhooks struct{ *sqliteConn }

const webhookColumns = "SELECT id, application, revision, settings, created_ms FROM webhooks"

func (t sqliteWebhooks) Get(id string) (Webhook, error) {
	return scanOne(t, scanWebhook, webhookColumns+" WHERE id = ?", id)
}

func (t sqliteWebhooks) List(by Index, value string) ([]Webhook, error) {
	const inOrder = " ORDER BY application, created_ms, id"
	if by == ByApplication {
		return scanAll(t, scanWebhook, webhookColumns+" WHERE application = ?"+inOrder, value)
	}
	return scanAll(t, scanWebhook, webhookColumns+inOrder)
}

func (t sqliteWebhooks) Put(w Webhook) error {
	_, err := t.put("UPDATE webhooks SET application = ?, revision = ?, settings = ?, created_ms = ? WHERE id = ?",
		"INSERT INTO webhooks (application, revision, settings, created_ms, id) VALUES (?, ?, ?, ?, ?)",
		w.Application, w.Revision, string(w.Settings), w.Created.UnixMilli(), w.ID)
	return err
}

func (t sqliteWebhooks) Delete(id string) error {
	return t.delete("DELETE FROM webhooks WHERE id = ?", id)
}

func scanWebhook(row row) (w Webhook, err error) {
	var settings string
	var ms int64
	err = row.Scan(&w.ID, &w.Application, &w.Revision, &settings, &ms)
	w.Settings, w.Created = []byte(settings), fromMilli(ms)
	return w, err
}
