package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/x25519"
)

// KeyManagement is a JWE algorithm by which a content key reaches its recipient
// (RFC 7518 §4.1, alg).
type KeyManagement string

// The algorithms that exist for us: RSA for keys of at least [MinRSABits], ECDH-ES for
// P-256, P-384 and X25519 (RFC 8037 §3.2). RSA1_5, RSA-OAEP with SHA-1, passwords and
// shared keys do not exist.
const (
	RSAOAEP256    KeyManagement = "RSA-OAEP-256"
	RSAOAEP384    KeyManagement = "RSA-OAEP-384"
	RSAOAEP512    KeyManagement = "RSA-OAEP-512"
	ECDHES        KeyManagement = "ECDH-ES"
	ECDHESA128KW  KeyManagement = "ECDH-ES+A128KW"
	ECDHESA256KW  KeyManagement = "ECDH-ES+A256KW"
	defaultForRSA               = RSAOAEP256
	defaultForEC                = ECDHESA256KW
)

// KeyManagements returns all of them, the natural ones of their key types first.
func KeyManagements() []KeyManagement {
	return []KeyManagement{RSAOAEP256, RSAOAEP384, RSAOAEP512, ECDHESA256KW, ECDHESA128KW, ECDHES}
}

// ContentEncryption is a JWE algorithm that encrypts the content (RFC 7518 §5.1, enc).
type ContentEncryption string

// The algorithms that exist for us; A256GCM is the default.
const (
	A128GCM      ContentEncryption = "A128GCM"
	A256GCM      ContentEncryption = "A256GCM"
	A128CBCHS256 ContentEncryption = "A128CBC-HS256"
	A256CBCHS512 ContentEncryption = "A256CBC-HS512"
)

// ContentEncryptions returns all of them, the default first.
func ContentEncryptions() []ContentEncryption {
	return []ContentEncryption{A256GCM, A128GCM, A128CBCHS256, A256CBCHS512}
}

// ParseKeyManagement returns the algorithm of that name, case-sensitive, else an error
// that wraps [ErrAlgorithm].
func ParseKeyManagement(name string) (KeyManagement, error) {
	return known(KeyManagement(name), KeyManagements())
}

// ParseContentEncryption returns the algorithm of that name, case-sensitive, else an
// error that wraps [ErrAlgorithm].
func ParseContentEncryption(name string) (ContentEncryption, error) {
	return known(ContentEncryption(name), ContentEncryptions())
}

func known[T ~string](name T, all []T) (T, error) {
	if slices.Contains(all, name) {
		return name, nil
	}
	return "", fmt.Errorf("%w: %.32q; there are %v", ErrAlgorithm, string(name), all)
}

func (a KeyManagement) jwa() jwa.KeyEncryptionAlgorithm { return jwa.KeyEncryptionAlgorithm(a) }

func (e ContentEncryption) jwa() jwa.ContentEncryptionAlgorithm {
	return jwa.ContentEncryptionAlgorithm(e)
}

// ofRSA reports whether the algorithm is one of RSA keys; all others are of ECDH.
func (a KeyManagement) ofRSA() bool { return a == RSAOAEP256 || a == RSAOAEP384 || a == RSAOAEP512 }

// sizes returns the bytes of key, initialization vector and tag (RFC 7518 §5.2, §5.3).
func (e ContentEncryption) sizes() (key, iv, tag int) {
	switch e {
	case A128GCM:
		return 16, 12, 16
	case A256GCM:
		return 32, 12, 16
	case A128CBCHS256:
		return 32, 16, 16
	case A256CBCHS512:
		return 64, 16, 32
	}
	return 0, 0, 0
}

// wrapped reports whether an encrypted key of n bytes can be one of a for e. Where it
// cannot, the library is not asked.
func (a KeyManagement) wrapped(n int, e ContentEncryption) bool {
	switch {
	case a == ECDHES:
		return n == 0 // the agreed key is the content's (RFC 7518 §4.6)
	case a.ofRSA():
		return MinRSABits/8 <= n && n <= MaxRSABits/8
	}
	key, _, _ := e.sizes()
	return n == key+8 // RFC 3394 §2.2.1
}

// encrypts reports whether a key of that type can serve the algorithm.
func (a KeyManagement) encrypts(key any) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return a.ofRSA()
	case *ecdsa.PublicKey:
		return !a.ofRSA() && (key.Curve == elliptic.P256() || key.Curve == elliptic.P384())
	case x25519.PublicKey:
		return !a.ofRSA()
	}
	return false
}
