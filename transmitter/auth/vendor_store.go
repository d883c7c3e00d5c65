package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"
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
	kept := Vendor{VendorSource: v, Registration: newIdentifier()}
	kept.API, kept.Signed = v.filled(), v.SignatureSecret != ""
	if v.Auth == VendorBasic || v.Auth == VendorBearer || v.Auth == VendorHeader {
		given.Secret = newSecret(vendorPrefix)
		kept.Secret = digest(given.Secret)
	}
	defer s.vendorsChange()
	err := s.backend.Write(ctx, func(tx *Tx) error {
		if err := vendorFits(tx, &v); err != nil {
			return err
		}
		return tx.Vendors.Put(kept)
	})
	if err != nil {
		return VendorCredential{}, err
	}
	return given, nil
}

// vendorFits reports what of the store stands in the way of v.
func vendorFits(tx *Tx, v *VendorSource) error {
	taken, err := there(tx.Vendors, v.Name)
	if err != nil {
		return err
	}
	// The key of idempotency is (source, source id): two that share a name
	// could take each other's events for repetitions.
	feeds, err := tx.Clients.List(ByFeed, v.Name)
	if err != nil {
		return err
	}
	if taken || len(feeds) > 0 {
		return fmt.Errorf("%w: source %s", ErrExists, v.Name)
	}
	if err := applicationsThere(tx, v); err != nil {
		return err
	}
	all, err := tx.Vendors.List(All, "")
	if err == nil && len(all) >= MaxVendorSources {
		err = &InvalidError{"name", fmt.Sprintf("is one too many: there are %d sources already", len(all))}
	}
	return err
}

// shown is the source without its secrets.
func (v *Vendor) shown() VendorSource {
	shown := v.VendorSource
	shown.SignatureSecret = ""
	if v.API != nil {
		api := *v.API
		api.Secret = ""
		shown.API = &api
	}
	return shown
}

// VendorSources returns all vendors' sources in order of creation.
func (s *Store) VendorSources(ctx context.Context) ([]VendorSource, error) {
	found, err := list(ctx, s, inVendors, All, "")
	if err != nil || len(found) == 0 {
		return nil, err
	}
	shown := make([]VendorSource, len(found))
	for i := range found {
		shown[i] = found[i].shown()
	}
	return shown, nil
}

// RemoveVendorSource removes the source; nothing more is taken in for it. Its
// events stay. Error: [ErrNotFound].
func (s *Store) RemoveVendorSource(ctx context.Context, name string) error {
	defer s.vendorsChange()
	return s.backend.Write(ctx, func(tx *Tx) error { return tx.Vendors.Delete(name) })
}

// AdmitVendor returns the source of that name if the header of a request has
// its credential. Error: [ErrNotFound] alike for an unknown name, one that takes
// nothing in, and a credential that is missing, wrong or there twice.
func (s *Store) AdmitVendor(ctx context.Context, name string, header http.Header) (VendorSource, error) {
	v, err := get(ctx, s, inVendors, name)
	if err != nil {
		return VendorSource{}, err
	}
	if v.admits(header, v.Secret) || time.Now().Before(v.OldUntil) && v.admits(header, v.OldSecret) {
		return v.shown(), nil
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
