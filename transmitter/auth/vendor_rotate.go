package auth

import (
	"context"
	"time"
)

// MaxKeepOld bounds for how long a secret that was replaced is still good.
const MaxKeepOld = 30 * 24 * time.Hour

// RotateVendorSource gives the source of that name a new secret. The one before
// is good until a time, so that nothing is refused before the vendor has the
// new one; a time that is past ends it at once. One that was older ends.
//
// Errors: [ErrNotFound]; an [*InvalidError] if its vendor sends no secret.
func (s *Store) RotateVendorSource(ctx context.Context, name string, oldUntil time.Time) (VendorCredential, error) {
	given := VendorCredential{Secret: newSecret(vendorPrefix)}
	err := s.backend.Write(ctx, func(tx *Tx) error {
		v, err := tx.Vendors.Get(name)
		if err != nil {
			return err
		}
		if v.Auth == VendorOff || v.Auth == VendorNone {
			return &InvalidError{"auth", "is " + v.Auth + ": there is no secret to replace"}
		}
		given.User, given.Header = v.User, v.Header
		v.OldSecret, v.OldUntil = v.Secret, oldUntil
		v.Secret = digest(given.Secret)
		return tx.Vendors.Put(v)
	})
	if err != nil {
		return VendorCredential{}, err
	}
	return given, nil
}

// SetVendorSecret replaces the vendor's own secret, with which the source's API
// is called. The place stays; a poller begins to use it at once.
//
// Errors: [ErrNotFound]; an [*InvalidError], also if its API is not called.
func (s *Store) SetVendorSecret(ctx context.Context, name, secret string) error {
	if err := checkAPISecret(secret); err != nil {
		return err
	}
	defer s.vendorsChange()
	return s.backend.Write(ctx, func(tx *Tx) error {
		v, err := tx.Vendors.Get(name)
		if err != nil {
			return err
		}
		if v.API == nil {
			return &InvalidError{"api_secret", "is of no use: the source's API is not called"}
		}
		// Another registration: the poller with the old secret ends.
		v.API.Secret, v.Registration = secret, newIdentifier()
		return tx.Vendors.Put(v)
	})
}
