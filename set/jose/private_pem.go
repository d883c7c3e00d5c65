package jose

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// ParsePrivatePEM reads the one private key of a PEM file: a block PRIVATE KEY (RFC 7468
// §10), RSA PRIVATE KEY or EC PRIVATE KEY. Its algorithm is the natural one of its type,
// or alg if that is not empty; its kid the thumbprint, since the file knows none.
//
// Errors: [ErrTooLarge] beyond [MaxKeyBytes]; [ErrMalformed], also for a file with
// another block or with two keys; [ErrAlgorithm]; [ErrWeakKey]. No error text contains
// key material.
func ParsePrivatePEM(raw []byte, alg Algorithm) (*PrivateKey, error) {
	key, err := readPrivatePEM(raw)
	if err != nil {
		return nil, err
	}
	return fromRaw(key, alg)
}

// readPrivatePEM returns the one private key of a PEM file, as crypto/… has it.
func readPrivatePEM(raw []byte) (any, error) {
	if len(raw) > MaxKeyBytes {
		return nil, fmt.Errorf("%w: PEM exceeds %d bytes", ErrTooLarge, MaxKeyBytes)
	}
	var found *pem.Block
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "EC PARAMETERS": // OpenSSL writes them before the key, which has them too
		case found != nil:
			return nil, fmt.Errorf("%w: PEM has more than one block", ErrMalformed)
		default:
			found = block
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: PEM has no private key", ErrMalformed)
	}
	var key any
	var err error
	switch found.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(found.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(found.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(found.Bytes)
	default:
		return nil, fmt.Errorf("%w: PEM has a block %.40q, want a private key in clear", ErrMalformed, found.Type)
	}
	if err != nil { // the text of the library may tell of the key
		return nil, fmt.Errorf("%w: PEM block %s cannot be read", ErrMalformed, found.Type)
	}
	return key, nil
}

func fromRaw(raw any, alg Algorithm) (*PrivateKey, error) {
	key, err := bound(raw, alg)
	if err != nil {
		return nil, err
	}
	return newPrivateKey(key)
}

// NewPublicKey returns the key that raw is (*rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey) for alg, or for the natural algorithm of its type if that is empty.
// Its kid is its thumbprint. Errors: [ErrMalformed], [ErrAlgorithm], [ErrWeakKey].
func NewPublicKey(raw crypto.PublicKey, alg Algorithm) (*PublicKey, error) {
	key, err := bound(raw, alg)
	if err != nil {
		return nil, err
	}
	if err := setThumbprint(key); err != nil {
		return nil, err
	}
	return newPublicKey(key)
}

// bound returns raw as a JWK with alg, if that is not empty.
func bound(raw any, alg Algorithm) (jwk.Key, error) {
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: no algorithm for a key of this type", ErrAlgorithm)
	}
	if alg != "" {
		if err := key.Set(jwk.AlgorithmKey, alg.jwa()); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAlgorithm, err)
		}
	}
	return key, nil
}
