package auth

import (
	"context"
	"fmt"
)

// AddClient adds c to its application and returns its secrets, which cannot be
// had again; with keys or a certificate of its own, or tokens of another issuer, it gets
// none but a static token. An empty id gets a random one; a zero Created is now.
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
	given := Credentials{ClientID: c.ID}
	r := Registration{Client: c, Number: newIdentifier()}
	if !c.hasKeys() && c.Certificate == nil && !c.External {
		given.Secret = newSecret(secretPrefix)
		r.Secret = digest(given.Secret)
	}
	if c.Static {
		given.AccessToken = newSecret(staticPrefix)
		r.StaticToken = digest(given.AccessToken)
	}
	err := s.backend.Write(ctx, func(tx *Tx) error {
		if err := clientFits(tx, &c); err != nil {
			return err
		}
		return tx.Clients.Put(r)
	})
	if err != nil {
		return Credentials{}, err
	}
	return given, nil
}

// clientFits reports what of the store stands in the way of c.
func clientFits(tx *Tx, c *Client) error {
	owned, err := there(tx.Applications, c.Application)
	if err != nil {
		return err
	}
	if !owned {
		return fmt.Errorf("%w: application of the client", ErrNotFound)
	}
	taken, err := there(tx.Clients, c.ID)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: client %s", ErrExists, c.ID)
	}
	if taken, err = there(tx.Vendors, c.feed()); err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: %s is the name of a vendor's source", ErrExists, c.feed())
	}
	return feedFits(tx, c)
}

// Client returns the client with id. Error: [ErrNotFound].
func (s *Store) Client(ctx context.Context, id string) (Client, error) {
	r, err := get(ctx, s, inClients, id)
	return r.shown(), err
}

// Clients returns the clients of an application, or all clients if it is
// empty, in order of creation.
func (s *Store) Clients(ctx context.Context, application string) ([]Client, error) {
	by := ByApplication
	if application == "" {
		by = All
	}
	found, err := list(ctx, s, inClients, by, application)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	shown := make([]Client, len(found))
	for i := range found {
		shown[i] = found[i].shown()
	}
	return shown, nil
}

// shown is the client as it is shown. What it cannot authenticate with is External.
func (r *Registration) shown() Client {
	c := r.Client
	c.External = c.ID != "" && r.Secret == nil && !c.hasKeys() && c.Certificate == nil
	return c
}

// RemoveClient removes the client. When it returns, none of its tokens is good
// any more, not even for a later client with the same id. Error: [ErrNotFound].
func (s *Store) RemoveClient(ctx context.Context, id string) error {
	return s.backend.Write(ctx, func(tx *Tx) error { return tx.Clients.Delete(id) })
}
