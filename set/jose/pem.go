package jose

import (
	"crypto/ecdh"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/x25519"
)

// ParsePEM reads the public keys of a PEM file: blocks PUBLIC KEY (RFC 7468 §13), RSA
// PUBLIC KEY and CERTIFICATE, of which the key alone counts. The kid of each is its
// thumbprint, since the file knows none.
//
// Errors: [ErrTooLarge] beyond [MaxKeySetBytes] or [MaxKeys]; [ErrMalformed], also for
// a file without a public key or with a private one; [ErrAlgorithm]; [ErrWeakKey].
func ParsePEM(raw []byte) ([]*PublicKey, error) {
	if len(raw) > MaxKeySetBytes {
		return nil, fmt.Errorf("%w: PEM exceeds %d bytes", ErrTooLarge, MaxKeySetBytes)
	}
	var keys []*PublicKey
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if len(keys) == MaxKeys {
			return nil, fmt.Errorf("%w: PEM has more than %d keys", ErrTooLarge, MaxKeys)
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: PEM has no public key", ErrMalformed)
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (*PublicKey, error) {
	key, err := readBlock(block)
	if err != nil {
		return nil, err
	}
	if err := setThumbprint(key); err != nil {
		return nil, err
	}
	return newPublicKey(key)
}

// readBlock returns the public key of a block, without a kid.
func readBlock(block *pem.Block) (jwk.Key, error) {
	var raw any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		raw, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		raw, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			raw = certificate.PublicKey
		}
	default:
		return nil, fmt.Errorf("%w: PEM has a block %.40q, want public keys", ErrMalformed, block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: PEM block %s cannot be read", ErrMalformed, block.Type)
	}
	if agreement, ok := raw.(*ecdh.PublicKey); ok && agreement.Curve() == ecdh.X25519() {
		raw = x25519.PublicKey(agreement.Bytes())
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: PEM block %s", ErrMalformed, block.Type)
	}
	return key, nil
}
