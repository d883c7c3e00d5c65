package wellknown_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// While a key endpoint hangs or fails, the keys that are known serve for a day beyond
// their lifetime, and nobody waits for it but once and briefly.
func TestKeyEndpointHangs(t *testing.T) {
	k := key(t)
	synctest.Test(t, func(t *testing.T) {
		p := transmitter(t, k)
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer)
		if err := keys.Fetch(t.Context(), issuer); err != nil {
			t.Fatal(err)
		}
		if s := keys.State(issuer); s.Count != 1 || time.Since(s.Fetched) > time.Second || s.Err != nil {
			t.Errorf("got %+v, want one key that has just come", s)
		}
		var hangs atomic.Bool
		hangs.Store(true)
		p.set(jwksURL, func(w http.ResponseWriter, r *http.Request) {
			if hangs.Load() {
				<-r.Context().Done()
			}
			w.WriteHeader(http.StatusBadGateway)
		})
		use := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			if _, err := keys.Key(t.Context(), issuer, k.ID(), jose.ES256); err != nil {
				t.Errorf("got %v, want the key that is known", err)
			}
			if took := time.Since(began); took > want {
				t.Errorf("got the key after %v, want it within %v", took, want)
			}
		}
		<-time.After(time.Hour)
		use(2 * time.Second) // the lifetime has passed
		use(0)
		for range 100 {
			<-time.After(13 * time.Minute)
			use(0)
		}
		if s := keys.State(issuer); s.Err == nil || s.Count != 1 {
			t.Errorf("got %+v, want the failure and the key", s)
		}
		hangs.Store(false)
		<-time.After(24 * time.Hour)
		if _, err := keys.Key(t.Context(), issuer, k.ID(), jose.ES256); err == nil {
			t.Error("got a key more than a day after its lifetime, want an error")
		}
		p.set(jwksURL, jwks(t, k))
		<-time.After(wellknown.DefaultMinRefresh)
		use(0)
	})
}
