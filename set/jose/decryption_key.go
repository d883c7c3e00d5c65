package jose

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/x25519"
)

// Curve is one of the keys of ECDH-ES.
type Curve string

// The curves that exist for us.
const (
	P256   Curve = "P-256"
	P384   Curve = "P-384"
	X25519 Curve = "X25519"
)

// DecryptionKey reads what was encrypted to its public half. It is immutable and safe
// for concurrent use, and signs nothing. Printed or logged, it shows its kid and
// algorithm alone.
type DecryptionKey struct {
	raw    any // *rsa.PrivateKey, *ecdsa.PrivateKey or x25519.PrivateKey
	public *EncryptionKey
}

// GenerateDecryptionKey makes a key for alg; curve is that of ECDH-ES, "" is P-256 and
// for RSA alone right, whose keys have 2048 bits. Its kid is its thumbprint.
// Error: [ErrAlgorithm].
func GenerateDecryptionKey(alg KeyManagement, curve Curve) (*DecryptionKey, error) {
	if _, err := ParseKeyManagement(string(alg)); err != nil {
		return nil, err
	}
	raw, err := generateFor(alg, curve)
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
	return newDecryptionKey(key)
}

func generateFor(alg KeyManagement, curve Curve) (any, error) {
	switch {
	case alg.ofRSA() && curve == "":
		return rsa.GenerateKey(rand.Reader, generatedRSABits)
	case alg.ofRSA():
	case curve == P256, curve == "":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case curve == P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case curve == X25519:
		_, raw, err := x25519.GenerateKey(rand.Reader)
		return raw, err
	}
	return nil, fmt.Errorf("%w: %s has no keys of the curve %.16q", ErrAlgorithm, alg, string(curve))
}

// ParseDecryptionKey reads a private JWK, as written by
// [DecryptionKey.MarshalPrivateJWK] or by others, or a PEM file with one private key. A
// key that names an algorithm serves that alone, any other all that fit its type;
// without kid it gets its thumbprint. One that says that it is for signatures is refused.
//
// Errors: [ErrTooLarge], [ErrMalformed] (also a public or symmetric key),
// [ErrAlgorithm], [ErrWeakKey]. No error text contains key material.
func ParseDecryptionKey(raw []byte) (*DecryptionKey, error) {
	if raw = bytes.TrimSpace(raw); bytes.HasPrefix(raw, []byte("{")) {
		key, err := parseJWK(raw)
		if err != nil {
			return nil, err
		}
		return newDecryptionKey(key)
	}
	private, err := readPrivatePEM(raw)
	if err != nil {
		return nil, err
	}
	if agreement, ok := private.(*ecdh.PrivateKey); ok && agreement.Curve() == ecdh.X25519() {
		if private, err = x25519.NewKeyFromSeed(agreement.Bytes()); err != nil {
			return nil, fmt.Errorf("%w: X25519 key", ErrMalformed)
		}
	}
	key, err := jwk.FromRaw(private)
	if err != nil {
		return nil, fmt.Errorf("%w: no algorithm for a key of this type", ErrAlgorithm)
	}
	return newDecryptionKey(key)
}

func newDecryptionKey(key jwk.Key) (*DecryptionKey, error) {
	var raw any
	if err := key.Raw(&raw); err != nil {
		return nil, fmt.Errorf("%w: not a private key", ErrMalformed)
	}
	if _, ok := raw.(x25519.PrivateKey); !ok { // that one was read with its public half
		signer, err := rawPrivateKey(key)
		if err != nil {
			return nil, err
		}
		raw = signer
	}
	public, err := newEncryptionKey(key)
	if err != nil {
		return nil, err
	}
	return &DecryptionKey{raw: raw, public: public}, nil
}

// ID returns the kid.
func (k *DecryptionKey) ID() string { return k.public.id }

// Algorithm returns the algorithm that the key names, or the natural one.
func (k *DecryptionKey) Algorithm() KeyManagement { return k.public.alg }

// Public returns the half to hand out.
func (k *DecryptionKey) Public() *EncryptionKey { return k.public }

// MarshalPrivateJWK returns the whole key as a JWK, for storage alone.
func (k *DecryptionKey) MarshalPrivateJWK() ([]byte, error) {
	key, err := jwk.FromRaw(k.raw)
	if err != nil {
		return nil, fmt.Errorf("jose: private JWK: %w", err)
	}
	return encodeEncryptionJWK(key, k.public.id, k.public.alg)
}

// LogValue shows kid and algorithm, never the key.
func (k *DecryptionKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kid", k.ID()), slog.String("alg", string(k.Algorithm())))
}
