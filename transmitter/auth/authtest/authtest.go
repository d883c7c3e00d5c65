// Package authtest is the suite of what auth.Store promises on a backend: each promise
// is a case that every backend passes.
package authtest

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// Open opens the store kept in the folder dir, or makes it, as a process does that
// begins; the one before may still be open. It is closed with the test.
type Open func(t *testing.T, dir string) *auth.Store

// Run runs every case against stores made by open.
func Run(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"applications and clients kept", storeKeepsOverReopen},
		{"refused", storeRefuses},
		{"ids are made up", iDsAreMadeUp},
		{"application changed", applicationChanged},
		{"application removed", applicationRemoved},
		{"many, in order", manyInOrder},
		{"credentials of one source agree, contracts.md §1 §2", credentialsOfOneSourceAgree},
		{"principals, SSF-8-01 SSF-8-03", principals},
		{"tokens end, INTEROP-2.7.3-02", tokensEnd},
		{"tokens revoked, RFC 7009", tokensRevoked},
		{"clients' keys, RFC 7523", clientKeys},
		{"assertions used once, RFC 7523 §3", assertionsUsedOnce},
		{"clients rotated with overlap", clientRotated},
		{"clients rotated again", clientRotatedAgain},
		{"clients rotated to keys", clientRotatedToKeys},
		{"clients' certificates, RFC 8705", clientCertificates},
		{"clients rotated to certificates", clientRotatedToCertificates},
		{"vendors' sources kept", vendorsKept},
		{"vendors' sources refused", vendorSourceRefused},
		{"vendors admitted", admitVendor},
		{"vendors' APIs and places", calledSources},
		{"vendors' credentials rotated", rotateVendorSource},
		{"vendors' own secrets", setVendorSecret},
		{"consents of a source", consentsOfASource},
		{"signed by the vendor", signedByVendor},
		{"secrets of signatures", signatureSecret},
		{"webhooks", webhooks},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open) })
	}
}
