package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// AddClient adds c to its application and returns its secrets, which cannot be
// had again. An empty id gets a random one; a zero Created is now.
//
// Errors: an [*InvalidError], also where another credential of its source has
// other applications or another environment; [ErrNotFound] if there is no such
// application; [ErrExists] if the id is taken.
func (s *Store) AddClient(ctx context.Context, c Client) (Credentials, error) {
	if c.ID == "" {
		c.ID = newIdentifier()
	}
	if err := c.validate(); err != nil {
		return Credentials{}, err
	}
	c.Created = created(c.Created)
	given := Credentials{ClientID: c.ID, Secret: newSecret(secretPrefix)}
	r := registration{client: c, number: newIdentifier(), secret: digest(given.Secret)}
	if c.Static {
		given.AccessToken = newSecret(staticPrefix)
		r.static = digest(given.AccessToken)
	}
	source, err := encodeSource(c.Source)
	if err != nil {
		return Credentials{}, err
	}
	err = s.db.Write(ctx, func(tx *sqlitedb.Tx) error { return insertClient(tx, r, source) })
	if err != nil {
		return Credentials{}, err
	}
	return given, nil
}

func insertClient(tx *sqlitedb.Tx, r registration, source any) error {
	there, err := exists(tx, "SELECT 1 FROM applications WHERE id = ?", r.client.Application)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("%w: application of the client", ErrNotFound)
	}
	taken, err := exists(tx, "SELECT 1 FROM clients WHERE id = ?", r.client.ID)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: client %s", ErrExists, r.client.ID)
	}
	name := r.client.ID
	if r.client.Source != nil {
		name = r.client.Source.Name
	}
	taken, err = exists(tx, "SELECT 1 FROM vendor_sources WHERE name = ?", name)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: %s is the name of a vendor's source", ErrExists, name)
	}
	if err := feedFits(tx, &r.client); err != nil {
		return err
	}
	var static any
	if r.static != nil {
		static = r.static
	}
	_, err = tx.Exec(`INSERT INTO clients
		(id, application, registration, scopes, source, secret_hash, static, static_hash, created_ms, environment)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.client.ID, r.client.Application, r.number, JoinScopes(r.client.Scopes), source,
		r.secret, r.client.Static, static, r.client.Created.UnixMilli(), r.client.Environment)
	return err
}

// Client returns the client with id. Error: [ErrNotFound].
func (s *Store) Client(ctx context.Context, id string) (Client, error) {
	r, err := s.registration(ctx, id)
	return r.client, err
}

// Clients returns the clients of an application, or all clients if it is
// empty, in order of creation.
func (s *Store) Clients(ctx context.Context, application string) ([]Client, error) {
	var all []Client
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(registrationColumns+
			" WHERE ?1 = '' OR application = ?1 ORDER BY created_ms, id", application)
		if err != nil {
			return err
		}
		for rows.Next() {
			var r registration
			if err := r.scan(rows.Scan); err != nil {
				return err
			}
			all = append(all, r.client)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// RemoveClient removes the client. When it returns, none of its tokens is good
// any more, not even for a later client with the same id. Error: [ErrNotFound].
func (s *Store) RemoveClient(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *sqlitedb.Tx) error {
		done, err := tx.Exec("DELETE FROM clients WHERE id = ?", id)
		if err == nil && done.Changes == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// registration is a client with what is never shown.
type registration struct {
	client   Client
	audience []string // the application's, as profile; only where a client is looked up
	profile  string
	number   string // tells a client from an earlier one with its id
	secret   []byte // digest
	static   []byte // digest; nil: none, or revoked
}

const registrationColumns = `SELECT id, application, registration, scopes, source, secret_hash, static,
	static_hash, created_ms, environment FROM clients`

// registration returns the client with id. Error: ErrNotFound.
func (s *Store) registration(ctx context.Context, id string) (registration, error) {
	return s.find(ctx, registrationColumns+" WHERE id = ?", id)
}

// bearer returns the client whose static token has this digest. Error: ErrNotFound.
func (s *Store) bearer(ctx context.Context, static []byte) (registration, error) {
	return s.find(ctx, registrationColumns+" WHERE static_hash = ?", static)
}

func (s *Store) find(ctx context.Context, sql string, arg any) (registration, error) {
	var r registration
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		if err := r.scan(v.QueryRow(sql, arg).Scan); err != nil {
			return err
		}
		var err error
		if r.audience, err = audience(v, r.client.Application); err != nil {
			return err
		}
		return v.QueryRow("SELECT profile FROM applications WHERE id = ?", r.client.Application).Scan(&r.profile)
	})
	if err != nil {
		return registration{}, notFound(err)
	}
	return r, nil
}

func (r *registration) scan(scan func(...any) error) error {
	var scopes string
	var source []byte
	var ms int64
	c := &r.client
	err := scan(&c.ID, &c.Application, &r.number, &scopes, &source, &r.secret, &c.Static, &r.static, &ms, &c.Environment)
	if err != nil {
		return err
	}
	c.Created = fromMilli(ms)
	if c.Scopes, err = ParseScopes(scopes); err != nil {
		return err
	}
	if source == nil {
		return nil
	}
	c.Source = new(Source)
	if err := json.Unmarshal(source, c.Source); err != nil {
		return errors.New("auth: a client's source cannot be read")
	}
	return nil
}

// encodeSource returns JSON text, or nil for a client without source.
func encodeSource(source *Source) (any, error) {
	if source == nil {
		return nil, nil
	}
	text, err := json.Marshal(source)
	if err != nil {
		return nil, fmt.Errorf("auth: source: %w", err)
	}
	return string(text), nil
}
