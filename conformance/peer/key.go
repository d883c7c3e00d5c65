package peer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
)

const keyBits = 2048

// key signs SETs.
type key struct {
	id      string
	private *rsa.PrivateKey
}

func newKey(private *rsa.PrivateKey) (*key, error) {
	if private == nil {
		var err error
		if private, err = rsa.GenerateKey(rand.Reader, keyBits); err != nil {
			return nil, fmt.Errorf("peer: a key: %w", err)
		}
	}
	sum := sha256.Sum256(private.N.Bytes())
	return &key{id: b64(sum[:9]), private: private}, nil
}

// public is the key as JWK.
func (k *key) public() object {
	return object{
		"kty": "RSA", "kid": k.id, "alg": "RS256", "use": "sig",
		"n": b64(k.private.N.Bytes()), "e": b64(big.NewInt(int64(k.private.E)).Bytes()),
	}
}

// rs256 signs the first two parts of a compact JWS.
func (k *key) rs256(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, sum[:])
	if err != nil { // only a key too small for a digest
		return nil
	}
	return signature
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
