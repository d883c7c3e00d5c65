package auth

import (
	"context"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
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
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		var way string
		err := tx.QueryRow("SELECT auth, user, header FROM vendor_sources WHERE name = ?", name).Scan(&way, &given.User, &given.Header)
		if err != nil {
			return notFound(err)
		}
		if way == VendorOff || way == VendorNone {
			return &InvalidError{"auth", "is " + way + ": there is no secret to replace"}
		}
		_, err = tx.Exec(`UPDATE vendor_sources SET old_hash = secret_hash, old_until_ms = ?, secret_hash = ?
			WHERE name = ?`, oldUntil.UnixMilli(), digest(given.Secret), name)
		return err
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
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		there, err := exists(tx, "SELECT 1 FROM vendor_sources WHERE name = ?", name)
		if err == nil && !there {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		// Another registration: the poller with the old secret ends.
		done, err := tx.Exec("UPDATE vendor_sources SET poll_secret = ?, registration = ? WHERE name = ? AND poll IS NOT NULL",
			secret, newIdentifier(), name)
		if err == nil && done.Changes == 0 {
			err = &InvalidError{"api_secret", "is of no use: the source's API is not called"}
		}
		return err
	})
}
