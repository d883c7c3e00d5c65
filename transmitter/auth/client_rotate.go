package auth

import (
	"context"
	"time"
)

// Rotation says how a client's credentials are replaced.
type Rotation struct {
	// OldUntil is until when those before are good beside the new ones; zero ends
	// them at once.
	OldUntil time.Time
	// JWKS or JWKSURI are the keys that it authenticates with from now on (see
	// [Client]), in place of those before or of its secret; the static token stays.
	// Neither: it gets a new secret, and a new static token if it is static.
	JWKS    []byte
	JWKSURI string
	// EndTokens ends every access token that the client was given, too, which would
	// be good until it expires.
	EndTokens bool
}

// RotateClient replaces the credentials of the client of that id. Keys that are replaced
// end at once: the new set has those that are to go on.
//
// Errors: [ErrNotFound]; an [*InvalidError], also if the client has no secret and no
// keys are given.
func (s *Store) RotateClient(ctx context.Context, id string, how Rotation) (Credentials, error) {
	given := Credentials{ClientID: id, Secret: newSecret(secretPrefix), AccessToken: newSecret(staticPrefix)}
	var made Credentials
	err := s.backend.Write(ctx, func(tx *Tx) error {
		r, err := tx.Clients.Get(id)
		if err != nil {
			return err
		}
		if made, err = r.rotate(how, given); err != nil {
			return err
		}
		return tx.Clients.Put(r)
	})
	if err != nil {
		return Credentials{}, err
	}
	return made, nil
}

// rotate changes r, and returns what of the given credentials it has now.
func (r *Registration) rotate(how Rotation, given Credentials) (Credentials, error) {
	keys := Client{JWKS: how.JWKS, JWKSURI: how.JWKSURI}
	if err := keys.validateKeys(); err != nil {
		return Credentials{}, err
	}
	if !keys.hasKeys() && r.Secret == nil && !r.Static {
		return Credentials{}, &InvalidError{"jwks", "must be given: the client has no secret: it authenticates with a key, or its tokens are of another issuer"}
	}
	r.Rotated, r.OldUntil = created(time.Time{}), time.Time{}
	before := r.Secret
	r.OldSecret, r.OldStaticToken = nil, nil // those of a rotation before end
	if how.EndTokens {
		r.Number = newIdentifier()
	}
	made := Credentials{ClientID: r.ID}
	if keys.hasKeys() {
		r.JWKS, r.JWKSURI, r.Secret = keys.JWKS, keys.JWKSURI, nil
		r.keep(before, nil, how.OldUntil)
		return made, nil
	}
	static := r.StaticToken
	if before != nil {
		made.Secret, r.Secret = given.Secret, digest(given.Secret)
	}
	if r.Static {
		made.AccessToken, r.StaticToken = given.AccessToken, digest(given.AccessToken)
	}
	r.keep(before, static, how.OldUntil)
	return made, nil
}

// keep has a secret and a static token go on until a time; zero: they do not.
func (r *Registration) keep(secret, static []byte, until time.Time) {
	if until.IsZero() || secret == nil && static == nil {
		return
	}
	r.OldSecret, r.OldStaticToken, r.OldUntil = secret, static, created(until)
}
