package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// Fingerprint signs what its webhook sends, for customers that have it do so:
// a header has signatures, separated by commas, each "v1=" and the HMAC-SHA-256
// of the raw body in hexadecimal. There are several while its secret is being
// replaced, one by each.
const (
	signatureHeader  = "Fpjs-Event-Signature"
	signatureVersion = "v1"
	// maxSignatures bounds those of a request that are looked at.
	maxSignatures = 16
)

// SignedByVendor reports whether a request to the source of that name bears a
// signature of its body by the secret that the source has for it. The body is
// as it was received. Error: [ErrNotFound] for a source that has no such secret.
func (s *Store) SignedByVendor(ctx context.Context, name string, header http.Header, body []byte) (bool, error) {
	v, err := get(ctx, s, inVendors, name)
	if err == nil && !v.Signed {
		err = ErrNotFound
	}
	if err != nil {
		return false, err
	}
	return bearsSignature(v.SignatureSecret, header.Values(signatureHeader), body), nil
}

// bearsSignature compares each signature in constant time.
func bearsSignature(secret string, values []string, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := mac.Sum(nil)
	list := strings.SplitN(strings.Join(values, ","), ",", maxSignatures+1)
	good := false
	for _, one := range list[:min(len(list), maxSignatures)] {
		version, text, _ := strings.Cut(strings.TrimSpace(one), "=")
		got, err := hex.DecodeString(text)
		if version == signatureVersion && err == nil && hmac.Equal(got, want) {
			good = true
		}
	}
	return good
}

// SetSignatureSecret sets or replaces the secret with which the vendor signs
// what it sends to the source; from then on nothing else is taken. The vendor
// signs with both secrets while it replaces its own, so that nothing is refused
// if this is called meanwhile.
//
// Errors: [ErrNotFound]; an [*InvalidError], also if its vendor signs nothing or
// sends nothing.
func (s *Store) SetSignatureSecret(ctx context.Context, name, secret string) error {
	if err := checkSecret("signature_secret", secret); err != nil {
		return err
	}
	return s.backend.Write(ctx, func(tx *Tx) error {
		v, err := tx.Vendors.Get(name)
		if err != nil {
			return err
		}
		v.SignatureSecret = secret
		if err := v.validateSignature(); err != nil {
			return err
		}
		return tx.Vendors.Put(v)
	})
}

func (v *VendorSource) validateSignature() error {
	switch {
	case v.SignatureSecret == "":
		return nil
	case v.Kind != KindFingerprint:
		return &InvalidError{"signature_secret", "goes with kind fingerprint alone: the others sign nothing"}
	case v.Auth == VendorOff:
		return &InvalidError{"signature_secret", "is of no use with auth off: nothing is sent"}
	}
	return checkSecret("signature_secret", v.SignatureSecret)
}
