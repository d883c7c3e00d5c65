package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// Algorithm is a JWS signature algorithm (RFC 7518 §3.1, RFC 8037).
type Algorithm string

// The algorithms that exist for us. RS256 is the default everywhere, since the
// CAEP interoperability profile §2.6 requires it.
const (
	RS256 Algorithm = "RS256"
	PS256 Algorithm = "PS256"
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
)

// ParseAlgorithm returns the algorithm of that name, case-sensitive, else an
// error that wraps [ErrAlgorithm].
func ParseAlgorithm(name string) (Algorithm, error) {
	switch alg := Algorithm(name); alg {
	case RS256, PS256, ES256, EdDSA:
		return alg, nil
	}
	if len(name) > 32 {
		name = name[:32] + "…"
	}
	return "", fmt.Errorf("%w: %q", ErrAlgorithm, name)
}

func (a Algorithm) jwa() jwa.SignatureAlgorithm { return jwa.SignatureAlgorithm(a) }

// fits reports whether a key of that type can serve the algorithm.
func (a Algorithm) fits(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return a == RS256 || a == PS256
	case *ecdsa.PublicKey:
		return a == ES256 && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return a == EdDSA
	}
	return false
}

// natural is the algorithm of a key that names none; "" if we have none for it.
func natural(key crypto.PublicKey) Algorithm {
	for _, alg := range []Algorithm{RS256, ES256, EdDSA} {
		if alg.fits(key) {
			return alg
		}
	}
	return ""
}
