package wellknown_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

var _ set.SoleKeySource = (*wellknown.RemoteKeys)(nil)

// SEC-03: an issuer that names no key has the only one it publishes; a key that did not
// verify is asked for anew, at most once per interval; two that fit are none.
func TestSoleKey(t *testing.T) {
	first, second := key(t), key(t)
	synctest.Test(t, func(t *testing.T) {
		p := transmitter(t, first)
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer)
		want := func(refused, key *jose.PrivateKey, wantErr error, requests int) {
			t.Helper()
			var known *jose.PublicKey
			if refused != nil {
				known = refused.Public()
			}
			got, err := keys.SoleKey(t.Context(), issuer, jose.ES256, known)
			if !errors.Is(err, wantErr) || wantErr == nil && got.ID() != key.ID() {
				t.Errorf("got %v, %v, want %v", got, err, wantErr)
			}
			if got := p.count(jwksURL); got != requests {
				t.Errorf("got %d requests, want %d", got, requests)
			}
		}
		want(nil, first, nil, 1)
		want(first, first, nil, 1) // the set is younger than the interval
		<-time.After(wellknown.DefaultMinRefresh)
		want(nil, first, nil, 1)
		for range 100 {
			want(first, first, nil, 2) // still the same
		}
		p.set(jwksURL, jwks(t, second))
		<-time.After(wellknown.DefaultMinRefresh)
		want(first, second, nil, 3)
		want(nil, second, nil, 3)
		p.set(jwksURL, jwks(t, first, second))
		<-time.After(wellknown.DefaultMinRefresh)
		want(second, nil, jose.ErrUnknownKey, 4)
		p.set(jwksURL, status(http.StatusInternalServerError))
		<-time.After(wellknown.DefaultMinRefresh)
		if _, err := keys.SoleKey(t.Context(), issuer, jose.ES256, nil); err == nil || errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("got %v, want a failure to fetch, which may pass", err)
		}
		if _, err := keys.SoleKey(t.Context(), "https://other.example", jose.ES256, nil); !errors.Is(err, wellknown.ErrIssuer) {
			t.Errorf("got %v, want %v", err, wellknown.ErrIssuer)
		}
	})
}

// RFC 8705 §2.2: a key that a certificate has is looked for by itself; one that is not
// there makes the set be fetched anew, at most once per interval.
func TestHasKey(t *testing.T) {
	first, second := key(t), key(t)
	synctest.Test(t, func(t *testing.T) {
		p := transmitter(t, first)
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer)
		want := func(key *jose.PrivateKey, has bool, requests int) {
			t.Helper()
			if got, err := keys.Has(t.Context(), issuer, key.Public().Raw()); err != nil || got != has {
				t.Errorf("got %t (%v), want %t", got, err, has)
			}
			if got := p.count(jwksURL); got != requests {
				t.Errorf("got %d requests, want %d", got, requests)
			}
		}
		want(first, true, 1)
		want(second, false, 1) // the set is younger than the interval
		p.set(jwksURL, jwks(t, second))
		<-time.After(wellknown.DefaultMinRefresh)
		want(first, true, 1)
		want(second, true, 2)
		for range 100 {
			want(first, false, 2)
		}
		p.set(jwksURL, status(http.StatusInternalServerError))
		<-time.After(wellknown.DefaultMinRefresh)
		if _, err := keys.Has(t.Context(), issuer, first.Public().Raw()); err == nil {
			t.Error("got no error, want a failure to fetch, which may pass")
		}
		if _, err := keys.Has(t.Context(), "https://other.example", first.Public().Raw()); !errors.Is(err, wellknown.ErrIssuer) {
			t.Errorf("got %v, want %v", err, wellknown.ErrIssuer)
		}
	})
}
