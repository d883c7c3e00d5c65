package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// PublicKey verifies signatures of one algorithm. It is immutable and safe for
// concurrent use.
type PublicKey struct {
	id       string
	alg      Algorithm
	unbound  bool             // the JWK named no algorithm, alg is the natural one
	raw      crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	verifier jws.Verifier
	jwk      []byte // public JWK with kid, alg, use
}

// ID returns the kid.
func (k *PublicKey) ID() string { return k.id }

// Algorithm returns the one algorithm the key serves.
func (k *PublicKey) Algorithm() Algorithm { return k.alg }

// MarshalJSON returns the key as a JWK with kid, alg and use "sig" (RFC 7517).
func (k *PublicKey) MarshalJSON() ([]byte, error) { return k.jwk, nil }

// Raw returns the key as crypto/… has it: *rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey. The caller must not change it.
func (k *PublicKey) Raw() crypto.PublicKey { return k.raw }

// Thumbprint returns the RFC 7638 SHA-256 thumbprint, base64url.
func (k *PublicKey) Thumbprint() (string, error) {
	parsed, err := jwk.ParseKey(k.jwk)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return thumbprint(parsed)
}

// ParsePublicKey reads one JWK (RFC 7517). A private JWK gives its public
// half. Without alg the key gets the natural algorithm of its type (RSA:
// RS256); without kid its thumbprint.
//
// Errors: [ErrTooLarge], [ErrMalformed], [ErrAlgorithm], [ErrWeakKey].
func ParsePublicKey(raw []byte) (*PublicKey, error) {
	key, err := parseJWK(raw)
	if err != nil {
		return nil, err
	}
	if key.KeyID() == "" {
		if err := setThumbprint(key); err != nil {
			return nil, err
		}
	}
	return newPublicKey(key)
}

// newPublicKey binds a JWK that bears a kid.
func newPublicKey(key jwk.Key) (*PublicKey, error) {
	raw, err := strongKey(key)
	if err != nil {
		return nil, err
	}
	if len(key.KeyID()) > MaxKeyIDBytes {
		return nil, fmt.Errorf("%w: kid exceeds %d bytes", ErrTooLarge, MaxKeyIDBytes)
	}
	alg, unbound := Algorithm(key.Algorithm().String()), false
	if alg == "" {
		alg, unbound = natural(raw), true
	}
	if !alg.fits(raw) {
		return nil, fmt.Errorf("%w: not for a key of this type", ErrAlgorithm)
	}
	k := &PublicKey{id: key.KeyID(), alg: alg, unbound: unbound, raw: raw}
	return k.bind(alg)
}

// bind returns a copy for alg, which fits the key.
func (k *PublicKey) bind(alg Algorithm) (*PublicKey, error) {
	verifier, err := jws.NewVerifier(alg.jwa())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	key, err := jwk.FromRaw(k.raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	encoded, err := encodeJWK(key, k.id, alg)
	if err != nil {
		return nil, err
	}
	return &PublicKey{id: k.id, alg: alg, unbound: k.unbound, raw: k.raw, verifier: verifier, jwk: encoded}, nil
}

// strongKey returns the public half as crypto/… has it, if it is good for anything.
func strongKey(key jwk.Key) (crypto.PublicKey, error) {
	raw, err := jwk.PublicRawKeyOf(key)
	if err != nil {
		return nil, fmt.Errorf("%w: no public key", ErrMalformed)
	}
	return checkStrength(raw)
}

// checkStrength refuses keys that are too small or that would make the
// verifiers fail in other ways than by an error.
func checkStrength(raw any) (crypto.PublicKey, error) {
	switch key := raw.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return nil, fmt.Errorf("%w: RSA of %d bits", ErrWeakKey, bits)
		}
		if key.E < 3 || key.E%2 == 0 {
			return nil, fmt.Errorf("%w: RSA exponent", ErrMalformed)
		}
		return key, nil
	case *ecdsa.PublicKey:
		if _, err := key.Bytes(); err != nil {
			return nil, fmt.Errorf("%w: point not on its curve", ErrMalformed)
		}
		return key, nil
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%w: Ed25519 key of %d bytes", ErrMalformed, len(key))
		}
		return key, nil
	}
	return nil, fmt.Errorf("%w: no algorithm for a key of this type", ErrAlgorithm)
}

// parseJWK reads a bounded JWK in which no member occurs twice.
func parseJWK(raw []byte) (jwk.Key, error) {
	if len(raw) > MaxKeyBytes {
		return nil, fmt.Errorf("%w: JWK exceeds %d bytes", ErrTooLarge, MaxKeyBytes)
	}
	if !jsontext.Value(raw).IsValid() {
		return nil, fmt.Errorf("%w: JWK is not JSON or has a member twice", ErrMalformed)
	}
	key, err := jwk.ParseKey(raw)
	if err != nil {
		// The library's text may quote the key and is left out.
		return nil, fmt.Errorf("%w: not a JWK", ErrMalformed)
	}
	return key, nil
}

// setThumbprint names a key by its thumbprint. It looks at the key before: the library
// panics over coordinates that do not fit their curve.
func setThumbprint(key jwk.Key) error {
	if _, err := strongKey(key); err != nil {
		return err
	}
	id, err := thumbprint(key)
	if err != nil {
		return err
	}
	return key.Set(jwk.KeyIDKey, id)
}

// encodeJWK writes key with kid, alg and use "sig".
func encodeJWK(key jwk.Key, id string, alg Algorithm) ([]byte, error) {
	for name, value := range map[string]any{
		jwk.KeyIDKey: id, jwk.AlgorithmKey: alg.jwa(), jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := key.Set(name, value); err != nil {
			return nil, fmt.Errorf("jose: %s of a JWK: %w", name, err)
		}
	}
	return json.Marshal(key)
}
