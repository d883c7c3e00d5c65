package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// vendorPrefix marks the secrets of vendors' sources.
const vendorPrefix = "tocsin_source_"

// AddVendorSource adds v and returns what the vendor is to send, which cannot
// be had again. A zero Created is now.
//
// Errors: an [*InvalidError], also for an application that does not exist;
// [ErrExists] if the name is that of a source already, a client's own included.
func (s *Store) AddVendorSource(ctx context.Context, v VendorSource) (VendorCredential, error) {
	if err := v.validate(); err != nil {
		return VendorCredential{}, err
	}
	v.Header = http.CanonicalHeaderKey(v.Header)
	v.Created = created(v.Created)
	given := VendorCredential{User: v.User, Header: v.Header}
	var secret any
	if v.Auth == VendorBasic || v.Auth == VendorBearer || v.Auth == VendorHeader {
		given.Secret = newSecret(vendorPrefix)
		secret = digest(given.Secret)
	}
	var signature any
	if v.SignatureSecret != "" {
		signature = v.SignatureSecret
	}
	source, err := json.Marshal(v.Source)
	if err != nil {
		return VendorCredential{}, fmt.Errorf("auth: source: %w", err)
	}
	api, apiSecret, err := encodeAPI(&v)
	if err != nil {
		return VendorCredential{}, err
	}
	defer s.vendorsChange()
	err = s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		if err := vendorFits(tx, &v); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO vendor_sources
			(name, registration, kind, source, environment, auth, user, header, secret_hash, created_ms, poll, poll_secret, sign_secret)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.Name, newIdentifier(), v.Kind, string(source), v.Environment, v.Auth, v.User, v.Header, secret, v.Created.UnixMilli(), api, apiSecret, signature)
		return err
	})
	if err != nil {
		return VendorCredential{}, err
	}
	return given, nil
}

// vendorFits reports what of the store stands in the way of v.
func vendorFits(tx *sqlitedb.Tx, v *VendorSource) error {
	taken, err := exists(tx, "SELECT 1 FROM vendor_sources WHERE name = ?", v.Name)
	if err != nil {
		return err
	}
	if !taken {
		// The key of idempotency is (source, source id): two that share a name
		// could take each other's events for repetitions.
		taken, err = exists(tx, `SELECT 1 FROM clients
			WHERE CASE WHEN source IS NULL THEN id ELSE json_extract(source, '$.name') END = ?`, v.Name)
		if err != nil {
			return err
		}
	}
	if taken {
		return fmt.Errorf("%w: source %s", ErrExists, v.Name)
	}
	if err := applicationsThere(tx, v); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM vendor_sources").Scan(&n); err != nil {
		return err
	}
	if n >= MaxVendorSources {
		return &InvalidError{"name", fmt.Sprintf("is one too many: there are %d sources already", n)}
	}
	return nil
}

const vendorColumns = `SELECT kind, source, environment, auth, user, header, secret_hash, created_ms, poll,
	old_hash, old_until_ms, sign_secret IS NOT NULL FROM vendor_sources`

// VendorSources returns all vendors' sources in order of creation.
func (s *Store) VendorSources(ctx context.Context) ([]VendorSource, error) {
	var all []VendorSource
	err := s.db.Read(ctx, func(view *sqlitedb.View) error {
		rows, err := view.Query(vendorColumns + " ORDER BY created_ms, name")
		if err != nil {
			return err
		}
		for rows.Next() {
			v, _, err := scanVendor(rows.Scan)
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// RemoveVendorSource removes the source; nothing more is taken in for it. Its
// events stay. Error: [ErrNotFound].
func (s *Store) RemoveVendorSource(ctx context.Context, name string) error {
	defer s.vendorsChange()
	return s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		done, err := tx.Exec("DELETE FROM vendor_sources WHERE name = ?", name)
		if err == nil && done.Changes == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// AdmitVendor returns the source of that name if the header of a request has
// its credential. Error: [ErrNotFound] alike for an unknown name, one that takes
// nothing in, and a credential that is missing, wrong or there twice.
func (s *Store) AdmitVendor(ctx context.Context, name string, header http.Header) (VendorSource, error) {
	var v VendorSource
	var kept vendorSecrets
	err := s.db.Read(ctx, func(view *sqlitedb.View) (err error) {
		v, kept, err = scanVendor(view.QueryRow(vendorColumns+" WHERE name = ?", name).Scan)
		return err
	})
	if err != nil {
		return VendorSource{}, notFound(err)
	}
	if v.admits(header, kept.current) || time.Now().Before(kept.oldUntil) && v.admits(header, kept.old) {
		return v, nil
	}
	return VendorSource{}, ErrNotFound
}

// admits reports whether header has the credential whose digest is kept. The
// comparisons take the same time whatever was sent.
func (v *VendorSource) admits(header http.Header, kept []byte) bool {
	switch v.Auth {
	case VendorNone:
		return true
	case VendorBearer:
		token, err := bearer(header.Values("Authorization"))
		return err == nil && matches(token, kept)
	case VendorBasic:
		if len(header.Values("Authorization")) != 1 {
			return false
		}
		user, password, ok := (&http.Request{Header: header}).BasicAuth()
		sameUser := matches(user, digest(v.User))
		return matches(password, kept) && sameUser && ok
	case VendorHeader:
		values := header.Values(v.Header)
		return len(values) == 1 && matches(values[0], kept)
	}
	return false
}

// vendorSecrets are the digests of a source's secrets; nil: none.
type vendorSecrets struct {
	current, old []byte
	oldUntil     time.Time
}

func scanVendor(scan func(...any) error) (v VendorSource, kept vendorSecrets, err error) {
	var source, api []byte
	var environment string
	var ms, oldUntil int64
	if err := scan(&v.Kind, &source, &environment, &v.Auth, &v.User, &v.Header, &kept.current, &ms, &api, &kept.old, &oldUntil, &v.Signed); err != nil {
		return VendorSource{}, kept, err
	}
	v.Created, kept.oldUntil = fromMilli(ms), fromMilli(oldUntil)
	if err := json.Unmarshal(source, &v.Source); err != nil {
		return VendorSource{}, kept, errors.New("auth: a source cannot be read")
	}
	v.Environment = environment
	if api == nil {
		return v, kept, nil
	}
	v.API = new(VendorAPI)
	if err := json.Unmarshal(api, v.API); err != nil {
		return VendorSource{}, kept, errAPI
	}
	return v, kept, nil
}
