package auth

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// maxVerified bounds each of the two halves of the cache.
const maxVerified = 4096

type cacheKey [sha256.Size]byte

// verified is what is known of a token that was good. Immutable once cached.
type verified struct {
	credential Credential
	number     string       // of the registration that it was given to; static tokens: none
	scopes     []Scope      // the token's; of static ones the client's
	keys       *jose.KeySet // the keys at that time: others may not verify it
	expires    time.Time    // zero: never
	principal  *Principal
	external   bool // of another issuer's token: any registration of the client
	bound      thumbprint
	stamp      uint64 // of the holder that the principal was made of
}

// of returns v with what a holder has.
func (v *verified) of(h *Holder) *verified {
	made := *v
	made.stamp = h.Stamp
	if v.credential.Static != nil {
		made.scopes, made.expires = h.Scopes, time.Time{}
		if v.replaced(h) {
			made.expires = h.OldUntil
		}
	}
	if v.bound == nil && h.bindsTokens() && (made.expires.IsZero() || h.OldUntil.Before(made.expires)) {
		made.expires = h.OldUntil // see Registration.unboundAt
	}
	return &made
}

// replaced reports whether the static token is not the one that the holder has now.
func (v *verified) replaced(h *Holder) bool {
	return !bytes.Equal(v.credential.Static, h.StaticToken)
}

func (v *verified) goodAt(now time.Time) bool { return v.expires.IsZero() || now.Before(v.expires) }

// cache remembers tokens that were verified, by digest, so that a sender that
// uses its token again costs a digest and no signature check. It has two halves:
// a full one becomes the old one, whose entries live on if they are used.
type cache struct {
	mu       sync.RWMutex
	new, old map[cacheKey]*verified
}

func (c *cache) get(key cacheKey) *verified {
	c.mu.RLock()
	v, fresh := c.new[key]
	if !fresh {
		v = c.old[key]
	}
	c.mu.RUnlock()
	if v != nil && !fresh {
		c.put(key, v)
	}
	return v
}

func (c *cache) put(key cacheKey, v *verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.new[key]; !known && len(c.new) >= maxVerified {
		c.old, c.new = c.new, nil
	}
	if c.new == nil {
		c.new = make(map[cacheKey]*verified)
	}
	c.new[key] = v
	delete(c.old, key)
}
