package auth

import (
	"cmp"
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
	// Certificate is what it authenticates with from now on instead (see [Client]);
	// nil, with keys: those of a client that is known by the key of its certificate are
	// replaced, and it still is.
	Certificate *Certificate
	// EndTokens ends every access token that the client was given, too, which would
	// be good until it expires.
	EndTokens bool
}

// RotateClient replaces the credentials of the client of that id. Keys that are replaced
// end at once: the new set has those that are to go on.
//
// Errors: [ErrNotFound]; an [*InvalidError], also if the client has no secret and neither
// keys nor a certificate are given.
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
	next := Client{JWKS: how.JWKS, JWKSURI: how.JWKSURI, Certificate: how.Certificate, Static: r.Static}
	if r.Certificate != nil && r.Certificate.SelfSigned && next.Certificate == nil && next.hasKeys() {
		next.Certificate = r.Certificate
	}
	if err := cmp.Or(next.validateCertificate(), next.validateKeys()); err != nil {
		return Credentials{}, err
	}
	changed := next.hasKeys() || next.Certificate != nil
	if !changed && r.Secret == nil && !r.Static {
		return Credentials{}, &InvalidError{"jwks", "must be given, or a certificate: the client has no secret: it authenticates with one of these, or its tokens are of another issuer"}
	}
	r.Rotated, r.OldUntil = created(time.Time{}), time.Time{}
	before := r.Secret
	r.OldSecret, r.OldStaticToken = nil, nil // those of a rotation before end
	if how.EndTokens {
		r.Number = newIdentifier()
	}
	made := Credentials{ClientID: r.ID}
	if changed {
		r.JWKS, r.JWKSURI, r.Certificate, r.Secret = next.JWKS, next.JWKSURI, next.Certificate, nil
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
