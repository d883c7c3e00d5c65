package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// Prefixes make a secret that got lost recognisable to scanners.
const (
	secretPrefix = "tocsin_secret_"
	staticPrefix = "tocsin_token_"

	secretBytes     = 32 // random bytes in a secret or static token
	identifierBytes = 16 // random bytes in a jti or registration
)

// newSecret returns prefix and 256 random bits in base64url.
func newSecret(prefix string) string { return prefix + random(secretBytes) }

func newIdentifier() string { return random(identifierBytes) }

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

// digest is how a secret is kept. It needs no salt and no work factor: the
// secret has 256 random bits.
func digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// matches compares in constant time. kept may be empty: nothing matches it.
func matches(secret string, kept []byte) bool {
	return subtle.ConstantTimeCompare(digest(secret), kept) == 1
}

func isStatic(token string) bool { return strings.HasPrefix(token, staticPrefix) }
