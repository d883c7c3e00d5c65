package wellknown

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
)

// How long others may keep what is served here. Keys have the shorter life, so that
// a new one is known everywhere soon after it is published.
const (
	DocumentLifetime = time.Hour
	KeySetLifetime   = 5 * time.Minute
)

// Handler serves c by GET, without credentials (SSF §7.2.3). It belongs at
// [Path](c.Issuer); several issuers on one host are several handlers.
func Handler(c Configuration) http.Handler { return serve(c) }

// AuthorizationServerHandler serves a by GET. It belongs at
// [AuthorizationServerPath](a.Issuer).
func AuthorizationServerHandler(a AuthorizationServer) http.Handler { return serve(a) }

// ProtectedResourceHandler serves p by GET. It belongs at
// [ProtectedResourcePath](p.Resource).
func ProtectedResourceHandler(p ProtectedResource) http.Handler { return serve(p) }

// JWKSHandler serves what keys returns at that moment, by GET, as a key set (RFC 7517
// §5). The function keys is called by many requests at once.
func JWKSHandler(keys func() *jose.KeySet) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := json.Marshal(keys())
		write(w, r, body, err, KeySetLifetime)
	})
}

// serve encodes document once and answers every GET with it.
func serve(document any) http.Handler {
	body, err := json.Marshal(document)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write(w, r, body, err, DocumentLifetime)
	})
}

func write(w http.ResponseWriter, r *http.Request, body []byte, err error, lifetime time.Duration) {
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		w.WriteHeader(http.StatusMethodNotAllowed)
	case err != nil: // a document of ours that cannot be encoded
		w.WriteHeader(http.StatusInternalServerError)
	default:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(lifetime.Seconds())))
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(body) // the peer may be gone; there is nobody to tell
	}
}
