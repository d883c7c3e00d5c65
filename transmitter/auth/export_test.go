package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// MaxVerified is the size of one half of the cache.
const MaxVerified = maxVerified

// FailuresAtOnce is how many failures of a client are answered with 401.
const FailuresAtOnce = failuresAtOnce

// Cached returns how many tokens the cache holds.
func (a *Authenticator) Cached() int {
	a.verified.mu.RLock()
	defer a.verified.mu.RUnlock()
	return len(a.verified.new) + len(a.verified.old)
}

// Revocations returns how many are kept.
func (s *Store) Revocations(ctx context.Context) (n int, err error) {
	err = s.DB().Read(ctx, func(v *sqlitedb.View) error {
		return v.QueryRow("SELECT count(*) FROM revoked_tokens").Scan(&n)
	})
	return n, err
}

// BearsSignature is what is made of a vendor's header of signatures.
func BearsSignature(secret string, values []string, body []byte) bool {
	return bearsSignature(secret, values, body)
}

// Signature is the vendor's of a body.
func Signature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// NameIs reports whether a subject, as it is encoded, is the name that text writes.
func NameIs(text string, subject []byte) (bool, error) {
	name, err := parseName(text)
	return err == nil && name.is(subject), err
}
