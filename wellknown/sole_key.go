package wellknown

import (
	"context"
	"crypto"
	"errors"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// SoleKey returns the only key of issuer for alg, for issuers whose tokens name no key.
// With refused, a key that it returned before and that did not verify, it asks for a
// newer key set first, at most once per [Config.MinRefresh]: no key id tells that there
// is one.
//
// Errors are as of [RemoteKeys.Key]; several keys that fit are [jose.ErrUnknownKey].
func (r *RemoteKeys) SoleKey(ctx context.Context, issuer string, alg jose.Algorithm, refused *jose.PublicKey) (*jose.PublicKey, error) {
	if !r.trusts(issuer) {
		return nil, ErrIssuer
	}
	set, version, err := r.keys.load(ctx, issuer)
	if err != nil {
		return nil, err
	}
	key, err := set.Sole(alg)
	if err != nil && !errors.Is(err, jose.ErrUnknownKey) || err == nil && !same(key, refused) {
		return key, err
	}
	newer, renewed, renewErr := r.keys.renew(ctx, issuer, version)
	switch {
	case renewErr != nil && err != nil:
		return nil, renewErr
	case renewErr != nil || renewed == version:
		return key, err
	}
	return newer.Sole(alg)
}

// Has reports whether issuer has this very key, for whom a certificate tells and no key
// id. If it has not, a newer key set is asked for first, as for [RemoteKeys.Key]. Error:
// as of that, where it cannot be known.
func (r *RemoteKeys) Has(ctx context.Context, issuer string, raw crypto.PublicKey) (bool, error) {
	if !r.trusts(issuer) {
		return false, ErrIssuer
	}
	set, version, err := r.keys.load(ctx, issuer)
	if err != nil || set.Has(raw) {
		return err == nil, err
	}
	newer, renewed, err := r.keys.renew(ctx, issuer, version)
	if err != nil {
		return false, err
	}
	return renewed != version && newer.Has(raw), nil
}

// same reports whether both are the same key material.
func same(a, b *jose.PublicKey) bool {
	if a == nil || b == nil {
		return false
	}
	one, err := a.Thumbprint()
	other, otherErr := b.Thumbprint()
	return err == nil && otherErr == nil && one == other
}
