package wellknown_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

const jwksURL = issuer + "/jwks.json"

var _ set.KeySource = (*wellknown.RemoteKeys)(nil)

// transmitter publishes a configuration and these keys.
func transmitter(t *testing.T, keys ...*jose.PrivateKey) *peer {
	t.Helper()
	p := newPeer()
	p.set(configurationURL, page(t, configuration()))
	p.set(jwksURL, jwks(t, keys...))
	return p
}

func jwks(t *testing.T, keys ...*jose.PrivateKey) http.HandlerFunc {
	t.Helper()
	public := make([]*jose.PublicKey, len(keys))
	for i, k := range keys {
		public[i] = k.Public()
	}
	return page(t, jose.NewKeySet(public...))
}

// SEC-03, SSF-4.1.4-01: keys are kept; an unknown kid asks at most once per interval;
// rotation with overlapping keys loses nothing.
func TestRemoteKeysRotation(t *testing.T) {
	first, second := key(t), key(t)
	synctest.Test(t, func(t *testing.T) {
		p := transmitter(t, first)
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer)
		want := func(k *jose.PrivateKey, wantErr error, requests int) {
			t.Helper()
			got, err := keys.Key(t.Context(), issuer, k.ID(), jose.ES256)
			if !errors.Is(err, wantErr) || wantErr == nil && got.ID() != k.ID() {
				t.Errorf("got %v, %v, want %v", got, err, wantErr)
			}
			if got := p.count(jwksURL); got != requests {
				t.Errorf("got %d requests, want %d", got, requests)
			}
		}
		want(first, nil, 1)
		want(first, nil, 1)
		want(second, jose.ErrUnknownKey, 1) // the set is younger than the interval
		<-time.After(wellknown.DefaultMinRefresh)
		want(second, jose.ErrUnknownKey, 2)
		for range 100 {
			want(second, jose.ErrUnknownKey, 2)
		}
		p.set(jwksURL, jwks(t, first, second))
		<-time.After(wellknown.DefaultMinRefresh)
		long := strings.Repeat("k", jose.MaxKeyIDBytes+1) // JWT-3.10-01
		if _, err := keys.Key(t.Context(), issuer, long, jose.ES256); !errors.Is(err, jose.ErrUnknownKey) || p.count(jwksURL) != 2 {
			t.Errorf("long kid: got %v and %d requests, want ErrUnknownKey without another", err, p.count(jwksURL))
		}
		want(second, nil, 3)
		want(first, nil, 3)
		p.set(jwksURL, jwks(t, second))
		<-time.After(time.Hour)
		want(second, nil, 4)
		want(first, jose.ErrUnknownKey, 4)
		if got := p.count(configurationURL); got > 2 {
			t.Errorf("got %d requests for the configuration, want at most 2", got)
		}
	})
}

// SEC-03: many unknown kids at once are one request.
func TestRemoteKeysStorm(t *testing.T) {
	first := key(t)
	synctest.Test(t, func(t *testing.T) {
		p := transmitter(t, first)
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer)
		if _, err := keys.Key(t.Context(), issuer, first.ID(), jose.ES256); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		release := make(chan struct{})
		p.set(jwksURL, func(w http.ResponseWriter, r *http.Request) {
			<-release
			jwks(t, first)(w, r)
		})
		results := make(chan error, 50)
		for i := range cap(results) {
			go func() {
				_, err := keys.Key(t.Context(), issuer, "bogus-"+strconv.Itoa(i), jose.ES256)
				results <- err
			}()
		}
		synctest.Wait()
		if _, err := keys.Key(t.Context(), issuer, first.ID(), jose.ES256); err != nil {
			t.Errorf("got %v, want a known key at once while others wait", err)
		}
		close(release)
		for range cap(results) {
			if err := <-results; !errors.Is(err, jose.ErrUnknownKey) {
				t.Errorf("got %v, want ErrUnknownKey", err)
			}
		}
		if got := p.count(jwksURL); got != 2 {
			t.Errorf("got %d requests, want 2", got)
		}
	})
}

// JWT-3.8-01: the key of one issuer is no key of another. SSF-7.2-02: only configured
// issuers are asked.
func TestRemoteKeysByIssuer(t *testing.T) {
	first, second := key(t), key(t)
	p := transmitter(t, first)
	const other = "https://other.example"
	p.set("https://other.example/.well-known/ssf-configuration", page(t, wellknown.Configuration{Issuer: other, JWKSURI: other + "/keys"}))
	p.set(other+"/keys", jwks(t, second))
	keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer, other)
	for _, tt := range []struct {
		issuer string
		kid    string
		alg    jose.Algorithm
		want   error
	}{
		{issuer, first.ID(), jose.ES256, nil},
		{other, second.ID(), jose.ES256, nil},
		{issuer, second.ID(), jose.ES256, jose.ErrUnknownKey},
		{other, first.ID(), jose.ES256, jose.ErrUnknownKey},
		{issuer, first.ID(), jose.RS256, jose.ErrAlgorithm}, // JWT-3.1-01
		{issuer, "", jose.ES256, jose.ErrUnknownKey},
		{"https://evil.example", first.ID(), jose.ES256, wellknown.ErrIssuer},
		{issuer + "/", first.ID(), jose.ES256, wellknown.ErrIssuer},
	} {
		_, err := keys.Key(t.Context(), tt.issuer, tt.kid, tt.alg)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s %.20s %s: got %v, want %v", tt.issuer, tt.kid, tt.alg, err, tt.want)
		}
	}
	if got := p.count("https://evil.example/.well-known/ssf-configuration"); got != 0 {
		t.Errorf("got %d requests to an unknown issuer, want 0", got)
	}
}

// U36: when the key set fails, the metadata is asked whether it has moved.
func TestRemoteKeysMoved(t *testing.T) {
	first := key(t)
	synctest.Test(t, func(t *testing.T) {
		p := transmitter(t, first)
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer)
		ask := func() error { _, err := keys.Key(t.Context(), issuer, first.ID(), jose.ES256); return err }
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		moved := configuration()
		moved.JWKSURI = "https://tr.example/new-keys"
		p.set(configurationURL, page(t, moved))
		p.set(moved.JWKSURI, jwks(t, first))
		p.set(jwksURL, status(http.StatusGone))
		<-time.After(30 * time.Minute)
		if _, err := keys.Key(t.Context(), issuer, "another", jose.ES256); !errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("got %v, want ErrUnknownKey from the moved set", err)
		}
		if got := p.count(moved.JWKSURI); got != 1 {
			t.Errorf("got %d requests to the new place, want 1", got)
		}
		if err := ask(); err != nil {
			t.Errorf("got %v, want the key", err)
		}
	})
}

// While the key set cannot be had, known keys serve on; that a kid is unknown cannot be
// said then. Metadata that turns invalid ends both (SSF-7.2.4-02).
func TestRemoteKeysOutage(t *testing.T) {
	first := key(t)
	synctest.Test(t, func(t *testing.T) {
		p := transmitter(t, first)
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).Keys(issuer)
		ask := func(kid string) error { _, err := keys.Key(t.Context(), issuer, kid, jose.ES256); return err }
		if err := ask(first.ID()); err != nil {
			t.Fatal(err)
		}
		p.set(jwksURL, status(http.StatusBadGateway))
		<-time.After(2 * time.Hour)
		if err := ask(first.ID()); err != nil {
			t.Errorf("got %v, want the known key", err)
		}
		if got, ok := errors.AsType[*wellknown.StatusError](ask("another")); !ok || got.Code != http.StatusBadGateway {
			t.Errorf("got %v, want the StatusError", got)
		}
		p.set(jwksURL, page(t, "no key set"))
		<-time.After(time.Minute)
		if err := ask(first.ID()); err != nil {
			t.Errorf("got %v, want the known key", err)
		}
		synctest.Wait() // nobody waits for a fetch after one that failed
		p.set(configurationURL, page(t, wellknown.Configuration{Issuer: "https://evil.example"}))
		<-time.After(2 * time.Hour)
		if err := ask(first.ID()); err != nil {
			t.Errorf("got %v, want the known key while the fetch is under way", err)
		}
		synctest.Wait()
		if err := ask(first.ID()); !errors.Is(err, wellknown.ErrDocument) {
			t.Errorf("got %v, want ErrDocument", err)
		}
	})
}

func TestRemoteKeysPlaces(t *testing.T) {
	first := key(t)
	p := newPeer()
	p.set("https://tr.example/.well-known/oauth-authorization-server/t1", page(t, wellknown.AuthorizationServer{Issuer: issuer, JWKSURI: jwksURL}))
	p.set(jwksURL, jwks(t, first))
	bare := configuration()
	bare.JWKSURI = ""
	p.set(configurationURL, page(t, bare))
	client := wellknown.NewClient(wellknown.Config{HTTP: p.client()})
	for _, tt := range []struct {
		name string
		keys *wellknown.RemoteKeys
		want error
	}{
		{"authorization server", client.AuthorizationServerKeys(issuer), nil},
		{"configured URL", client.KeysAt(map[string]string{issuer: jwksURL}), nil},
		{"no jwks_uri, SSF-7.1-06", client.Keys(issuer), wellknown.ErrNoKeySet},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.keys.Key(t.Context(), issuer, first.ID(), jose.ES256); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// Key sets by their own URLs are fetched, kept and renewed as those of issuers.
func TestKeySets(t *testing.T) {
	first, second := key(t), key(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPeer()
		p.set(jwksURL, jwks(t, first))
		keys := wellknown.NewClient(wellknown.Config{HTTP: p.client()}).KeySets()
		for range 2 {
			if got, err := keys.Key(t.Context(), jwksURL, first.ID(), jose.ES256); err != nil || got.ID() != first.ID() {
				t.Errorf("got %v, %v, want the key", got, err)
			}
		}
		if _, err := keys.Key(t.Context(), issuer+"/other", first.ID(), jose.ES256); err == nil || errors.Is(err, wellknown.ErrIssuer) {
			t.Errorf("another URL: got %v, want that it answers 404", err)
		}
		p.set(jwksURL, jwks(t, second))
		<-time.After(wellknown.DefaultMinRefresh)
		if got, err := keys.SoleKey(t.Context(), jwksURL, jose.ES256, first.Public()); err != nil || got.ID() != second.ID() {
			t.Errorf("changed: got %v, %v, want the new key", got, err)
		}
		if got := p.count(jwksURL); got != 2 {
			t.Errorf("got %d requests, want 2", got)
		}
	})
}
