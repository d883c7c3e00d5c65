// Package jose signs and verifies compact JWS (RFC 7515) for SETs and access
// tokens, and reads and writes the keys they need (RFC 7517).
//
// The way in is [Parse] and [Verify] for what others signed, [NewSigner] for
// what we sign. One key serves one algorithm; `none` and HMAC do not exist
// here; a key never comes out of the message it is to verify (SSF §4.1.4,
// RFC 8725 §3). [Encrypter] and [DecryptionKeys] put what was signed into a compact
// JWE (RFC 7516) and take it out, with keys of their own that never sign.
//
// The JOSE library stays inside: what is handed out are this package's own types.
package jose

import "errors"

// Bounds on what others send.
const (
	MaxCompactBytes = 64 << 10  // a compact JWS
	MaxHeaderBytes  = 8 << 10   // its header, decoded
	MaxKeyIDBytes   = 256       // a kid (RFC 8725 §3.10)
	MaxKeyBytes     = 32 << 10  // one JWK
	MaxKeySetBytes  = 512 << 10 // a JWKS document
	MaxKeys         = 200       // keys in it
	MinRSABits      = 2048      // CAEP interoperability profile §2.6
	MaxRSABits      = 8192      // above it a verification costs more than a SET is worth

	MaxEncryptedBytes = 96 << 10 // a compact JWE: a compact JWS of the largest size fits in
	MaxDecryptionKeys = 16       // of one [DecryptionKeys]: without kid each may be tried
)

// Errors of this package; all others wrap one of them.
var (
	ErrMalformed  = errors.New("jose: malformed")                 // not a compact JWS, JWK or JWKS
	ErrTooLarge   = errors.New("jose: too large")                 // beyond a bound of this package
	ErrAlgorithm  = errors.New("jose: algorithm not allowed")     // unknown, or not the key's
	ErrUnknownKey = errors.New("jose: unknown key")               // no such kid in the set
	ErrWeakKey    = errors.New("jose: key too small")             // an RSA key outside MinRSABits to MaxRSABits
	ErrSignature  = errors.New("jose: signature does not verify") // forged, damaged or another key's
	ErrDecryption = errors.New("jose: does not decrypt")          // forged, damaged or another key's; never why
)
