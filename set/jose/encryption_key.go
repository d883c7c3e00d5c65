package jose

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/x25519"
)

// EncryptionKey is a recipient's public key: what is encrypted to it the holder of its
// private half alone can read. It is immutable and safe for concurrent use. It is no
// [PublicKey] and verifies nothing.
type EncryptionKey struct {
	id      string
	alg     KeyManagement
	unbound bool   // the JWK named no algorithm, alg is the natural one
	raw     any    // *rsa.PublicKey, *ecdsa.PublicKey or x25519.PublicKey
	jwk     []byte // public JWK with kid, alg, use
}

// ID returns the kid.
func (k *EncryptionKey) ID() string { return k.id }

// Algorithm returns the algorithm that the key serves.
func (k *EncryptionKey) Algorithm() KeyManagement { return k.alg }

// MarshalJSON returns the key as a JWK with kid, alg and use "enc" (RFC 7517).
func (k *EncryptionKey) MarshalJSON() ([]byte, error) { return k.jwk, nil }

// serves reports whether the key may be used with alg.
func (k *EncryptionKey) serves(alg KeyManagement) bool {
	return k.alg == alg || k.unbound && alg.encrypts(k.raw)
}

// With returns the key for alg: the key itself, or if it was bound to no algorithm one
// that is bound to alg. Error: [ErrAlgorithm].
func (k *EncryptionKey) With(alg KeyManagement) (*EncryptionKey, error) {
	if !k.serves(alg) {
		return nil, fmt.Errorf("%w: the key is for %s", ErrAlgorithm, k.alg)
	}
	return bindEncryption(k.raw, k.id, alg, false)
}

// ParseEncryptionKey reads a recipient's public key: a JWK (of a private one its public
// half), the JWKS or PEM file in which it stands. Of several it takes the first in the
// document's order that can be encrypted to, and that has the kid if that is not empty
// and serves alg if that is not empty. Without alg of its own, a JWK gets alg, else
// RSA-OAEP-256 or ECDH-ES+A256KW; without kid its thumbprint.
//
// Keys that say that they are for signatures (use, key_ops, alg) are none for this.
//
// Errors: [ErrTooLarge], [ErrMalformed], [ErrAlgorithm], [ErrWeakKey]; [ErrUnknownKey]
// if the document has no such key.
func ParseEncryptionKey(raw []byte, kid string, alg KeyManagement) (*EncryptionKey, error) {
	keys, err := parseEncryptionKeys(raw)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if (kid == "" || key.id == kid) && (alg == "" || key.serves(alg)) {
			if alg == "" {
				alg = key.alg
			}
			return key.With(alg)
		}
	}
	return nil, fmt.Errorf("%w: of %d keys to encrypt to none has that kid and alg", ErrUnknownKey, len(keys))
}

func parseEncryptionKeys(raw []byte) ([]*EncryptionKey, error) {
	if len(raw) > MaxKeySetBytes {
		return nil, fmt.Errorf("%w: keys exceed %d bytes", ErrTooLarge, MaxKeySetBytes)
	}
	if raw = bytes.TrimSpace(raw); !bytes.HasPrefix(raw, []byte("{")) {
		return encryptionPEM(raw)
	}
	var document struct {
		Keys *[]jsontext.Value `json:"keys"`
	}
	if err := jsonv2.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("%w: not a JWK or JWKS, or it has a member twice", ErrMalformed)
	}
	if document.Keys == nil {
		key, err := encryptionJWK(raw)
		if err != nil {
			return nil, err
		}
		return []*EncryptionKey{key}, nil
	}
	if len(*document.Keys) > MaxKeys {
		return nil, fmt.Errorf("%w: JWKS has more than %d keys", ErrTooLarge, MaxKeys)
	}
	var keys []*EncryptionKey
	var why []error
	for _, raw := range *document.Keys {
		key, err := encryptionJWK(raw)
		if err != nil { // the document may serve others too
			why = append(why, err)
			continue
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, fmt.Errorf("%w: JWKS has no key that can be encrypted to: %w", ErrUnknownKey, errors.Join(why[:min(len(why), 3)]...))
	}
	return keys, nil
}

func encryptionPEM(raw []byte) ([]*EncryptionKey, error) {
	var keys []*EncryptionKey
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if len(keys) == MaxKeys {
			return nil, fmt.Errorf("%w: PEM has more than %d keys", ErrTooLarge, MaxKeys)
		}
		public, err := readBlock(block)
		if err != nil {
			return nil, err
		}
		key, err := newEncryptionKey(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, fmt.Errorf("%w: not a JWK, JWKS or PEM with a public key", ErrMalformed)
	}
	return keys, nil
}

func encryptionJWK(raw []byte) (*EncryptionKey, error) {
	key, err := parseJWK(raw)
	if err != nil {
		return nil, err
	}
	return newEncryptionKey(key)
}

// newEncryptionKey returns the public half of a JWK.
func newEncryptionKey(key jwk.Key) (*EncryptionKey, error) {
	if !enciphers(key) {
		return nil, fmt.Errorf("%w: by its use or key_ops the key is not for encryption", ErrAlgorithm)
	}
	public, err := jwk.PublicRawKeyOf(key)
	if err != nil {
		return nil, fmt.Errorf("%w: no public key", ErrMalformed)
	}
	if public, err = checkRecipient(public); err != nil {
		return nil, err
	}
	alg, unbound := KeyManagement(key.Algorithm().String()), false
	if alg == "" {
		unbound = true
		if alg = defaultForEC; !alg.encrypts(public) {
			alg = defaultForRSA
		}
	}
	if _, err := ParseKeyManagement(string(alg)); err != nil {
		return nil, err
	}
	if !alg.encrypts(public) {
		return nil, fmt.Errorf("%w: %s is not for a key of this type", ErrAlgorithm, alg)
	}
	if len(key.KeyID()) > MaxKeyIDBytes {
		return nil, fmt.Errorf("%w: kid exceeds %d bytes", ErrTooLarge, MaxKeyIDBytes)
	}
	return bindEncryption(public, key.KeyID(), alg, unbound)
}

// bindEncryption returns raw as a key of alg, which it fits; without kid it gets its
// thumbprint.
func bindEncryption(raw any, id string, alg KeyManagement, unbound bool) (*EncryptionKey, error) {
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: no key for encryption", ErrMalformed)
	}
	if id == "" {
		if id, err = thumbprint(key); err != nil {
			return nil, err
		}
	}
	encoded, err := encodeEncryptionJWK(key, id, alg)
	if err != nil {
		return nil, err
	}
	return &EncryptionKey{id: id, alg: alg, unbound: unbound, raw: raw, jwk: encoded}, nil
}

func encodeEncryptionJWK(key jwk.Key, id string, alg KeyManagement) ([]byte, error) {
	for name, value := range map[string]any{jwk.KeyIDKey: id, jwk.AlgorithmKey: alg.jwa(), jwk.KeyUsageKey: jwk.ForEncryption} {
		if err := key.Set(name, value); err != nil {
			return nil, fmt.Errorf("jose: %s of a JWK: %w", name, err)
		}
	}
	return json.Marshal(key)
}

// enciphers reports whether use and key_ops, where given, allow encryption.
func enciphers(key jwk.Key) bool {
	if use := key.KeyUsage(); use != "" && use != string(jwk.ForEncryption) {
		return false
	}
	ours := jwk.KeyOperationList{
		jwk.KeyOpEncrypt, jwk.KeyOpDecrypt, jwk.KeyOpWrapKey, jwk.KeyOpUnwrapKey, jwk.KeyOpDeriveKey, jwk.KeyOpDeriveBits,
	}
	return len(key.KeyOps()) == 0 || slices.ContainsFunc(key.KeyOps(), func(op jwk.KeyOperation) bool { return slices.Contains(ours, op) })
}

// checkRecipient refuses keys that are too small or with which no secret can be agreed.
func checkRecipient(raw any) (any, error) {
	key, ok := raw.(x25519.PublicKey)
	if !ok {
		return checkEncrypts(raw)
	}
	public, err := ecdh.X25519().NewPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: X25519 key of %d bytes", ErrMalformed, len(key))
	}
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("jose: %w", err)
	}
	if _, err := own.ECDH(public); err != nil { // RFC 7748 §6.1: a point of low order
		return nil, fmt.Errorf("%w: X25519 key of low order", ErrMalformed)
	}
	return key, nil
}

// checkEncrypts is checkStrength, and refuses RSA keys that look well and with which
// nothing can be encrypted: else that would be found out with each SET.
func checkEncrypts(raw any) (any, error) {
	checked, err := checkStrength(raw)
	key, ok := checked.(*rsa.PublicKey)
	if err != nil || !ok {
		return checked, err
	}
	if _, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, []byte{1}, nil); err != nil {
		return nil, fmt.Errorf("%w: RSA key with which nothing can be encrypted", ErrMalformed)
	}
	return key, nil
}
