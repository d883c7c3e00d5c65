package peer

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// authentic checks the signature.
func (r *Receiver) authentic(ctx context.Context, m *message) (code delivery.Code, ok bool) {
	switch {
	case r.breaks("SEC-05"):
		return "", true
	case m.header.Alg == "none" && r.breaks("SET-2.4-01"):
		return "", true
	case m.header.JWK != nil && r.breaks("SSF-4.1.4-01"):
		return delivery.CodeAuthenticationFailed, rs256(m.header.JWK.public(), m)
	}
	k := r.key(ctx, m.header.Kid)
	if k == nil {
		return delivery.CodeInvalidKey, false
	}
	public := k.public()
	switch {
	case public.N.BitLen() < keyBits && !r.breaks("INTEROP-2.6-01"):
		return delivery.CodeInvalidKey, false
	case m.header.Alg == "HS256" && r.breaks("JWT-3.2-01"):
		own := &key{private: &rsa.PrivateKey{PublicKey: *public}}
		return delivery.CodeAuthenticationFailed, hmac.Equal(hs256(own, m.signed), m.signature)
	case m.header.Alg != "RS256" && !r.breaks("JWT-3.1-01"):
		return delivery.CodeInvalidKey, false
	}
	return delivery.CodeAuthenticationFailed, rs256(public, m) || r.breaks("JWT-3.3-01")
}

func rs256(public *rsa.PublicKey, m *message) bool {
	sum := sha256.Sum256([]byte(m.signed))
	return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], m.signature) == nil
}

// key finds a key by its kid; the key set is fetched again if it is not there, not too
// often.
func (r *Receiver) key(ctx context.Context, kid string) *webKey {
	r.mu.Lock()
	k, ok := r.known(kid)
	again := time.Since(r.keysAt) > receiverRefresh || r.breaks("SEC-03")
	if r.breaks("rotation-missed") && r.keys != nil {
		again = false
	}
	at := r.meta.JWKSURI
	r.mu.Unlock()
	if ok {
		return &k
	}
	if !again || at == "" {
		return nil
	}
	var set struct{ Keys []webKey }
	if status, err := r.call(ctx, http.MethodGet, at, nil, &set, false); err != nil || status != http.StatusOK {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.keysAt = map[string]webKey{}, time.Now()
	for _, k := range set.Keys {
		r.keys[k.Kid] = k
	}
	if k, ok = r.known(kid); !ok {
		return nil
	}
	return &k
}

// known finds a key among those that were fetched; under mu.
func (r *Receiver) known(kid string) (webKey, bool) {
	k, ok := r.keys[kid]
	if !ok && r.breaks("JWT-3.10-01") {
		for _, any := range r.keys {
			return any, true
		}
	}
	return k, ok
}
