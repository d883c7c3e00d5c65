package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// generatedRSABits is the size of the RSA keys that Generate makes.
const generatedRSABits = 2048

// PrivateKey signs with one algorithm. It is immutable and safe for concurrent
// use. Printed or logged, it shows its kid and algorithm alone.
type PrivateKey struct {
	raw    crypto.Signer // the library's own type, ready for use: no work per signature
	public *PublicKey
	held   bool // raw is another's
}

// Generate makes a key for alg. Its kid is the RFC 7638 SHA-256 thumbprint,
// base64url, and so the same wherever the key is read. RSA keys have 2048 bits.
func Generate(alg Algorithm) (*PrivateKey, error) {
	raw, err := generate(alg)
	if err != nil {
		return nil, err
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("jose: new key: %w", err)
	}
	if err := key.Set(jwk.AlgorithmKey, alg.jwa()); err != nil {
		return nil, fmt.Errorf("jose: new key: %w", err)
	}
	return newPrivateKey(key)
}

func generate(alg Algorithm) (any, error) {
	switch alg {
	case RS256, PS256:
		return rsa.GenerateKey(rand.Reader, generatedRSABits)
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, raw, err := ed25519.GenerateKey(rand.Reader)
		return raw, err
	}
	_, err := ParseAlgorithm(string(alg))
	return nil, err
}

// ParsePrivateKey reads a private JWK (RFC 7517), as written by
// [PrivateKey.MarshalPrivateJWK] or by others. Without alg the key gets the
// natural algorithm of its type (RSA: RS256); without kid its thumbprint.
// RSA keys need their two primes.
//
// Errors: [ErrTooLarge], [ErrMalformed] (also a public or symmetric key),
// [ErrAlgorithm], [ErrWeakKey]. No error text contains key material.
func ParsePrivateKey(raw []byte) (*PrivateKey, error) {
	key, err := parseJWK(raw)
	if err != nil {
		return nil, err
	}
	return newPrivateKey(key)
}

func newPrivateKey(key jwk.Key) (*PrivateKey, error) {
	raw, err := rawPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if key.KeyID() == "" {
		if err := setThumbprint(key); err != nil {
			return nil, err
		}
	}
	public, err := newPublicKey(key)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{raw: raw, public: public}, nil
}

// rawPrivateKey returns the key as crypto/… has it, with everything computed
// that a signature would otherwise compute again each time.
func rawPrivateKey(key jwk.Key) (crypto.Signer, error) {
	var raw any
	if err := key.Raw(&raw); err != nil {
		return nil, fmt.Errorf("%w: not a private key", ErrMalformed)
	}
	switch raw := raw.(type) {
	case *rsa.PrivateKey:
		if _, err := checkStrength(&raw.PublicKey); err != nil {
			return nil, err
		}
		raw.Precompute()
		if err := raw.Validate(); err != nil {
			return nil, fmt.Errorf("%w: RSA key is inconsistent", ErrMalformed)
		}
		return raw, nil
	case *ecdsa.PrivateKey:
		if !consistent(raw) {
			return nil, fmt.Errorf("%w: EC key is inconsistent", ErrMalformed)
		}
		return raw, nil
	case ed25519.PrivateKey:
		if len(raw) != ed25519.PrivateKeySize || !ed25519.NewKeyFromSeed(raw.Seed()).Equal(raw) {
			return nil, fmt.Errorf("%w: Ed25519 key is inconsistent", ErrMalformed)
		}
		return raw, nil
	}
	return nil, fmt.Errorf("%w: not a private key", ErrMalformed)
}

// consistent reports whether the public half is the private half's own.
func consistent(key *ecdsa.PrivateKey) bool {
	d, err := key.Bytes()
	if err != nil {
		return false
	}
	again, err := ecdsa.ParseRawPrivateKey(key.Curve, d)
	return err == nil && again.PublicKey.Equal(&key.PublicKey)
}

// Hold returns a key whose private half is elsewhere: signer signs for it, as [crypto.Signer]
// says: a digest for RS256, PS256 (salt as long as the digest) and ES256 (answered in
// ASN.1), the message itself for EdDSA. Error: [ErrMalformed] if signer is another key's.
func Hold(public *PublicKey, signer crypto.Signer) (*PrivateKey, error) {
	if public == nil || signer == nil {
		return nil, errors.New("jose: a key that is held elsewhere needs its public half and a signer")
	}
	own, ok := public.raw.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !own.Equal(signer.Public()) {
		return nil, fmt.Errorf("%w: the signer has another key", ErrMalformed)
	}
	return &PrivateKey{raw: signer, public: public, held: true}, nil
}

// ID returns the kid.
func (k *PrivateKey) ID() string { return k.public.id }

// Algorithm returns the one algorithm the key signs with.
func (k *PrivateKey) Algorithm() Algorithm { return k.public.alg }

// Public returns the half to publish.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// MarshalPrivateJWK returns the whole key as a JWK, for storage alone. Of a key that is
// held elsewhere there is none.
func (k *PrivateKey) MarshalPrivateJWK() ([]byte, error) {
	if k.held {
		return nil, errors.New("jose: private JWK: the key is held elsewhere")
	}
	key, err := jwk.FromRaw(k.raw)
	if err != nil {
		return nil, fmt.Errorf("jose: private JWK: %w", err)
	}
	return encodeJWK(key, k.public.id, k.public.alg)
}

// Raw returns what signs, as crypto/… has it: the private key itself, or the signer that
// was given to [Hold]. It is for a process that signs for others.
func (k *PrivateKey) Raw() crypto.Signer { return k.raw }

// LogValue shows kid and algorithm, never the key.
func (k *PrivateKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kid", k.ID()), slog.String("alg", string(k.Algorithm())))
}

// Format prints kid and algorithm under every verb, so that no %v prints the
// key.
func (k *PrivateKey) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "private key %s (%s)", k.ID(), k.Algorithm())
}

func thumbprint(key jwk.Key) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("%w: no thumbprint", ErrMalformed)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
