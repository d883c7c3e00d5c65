package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

var errAway = errors.New("it is away")

// safe holds keys in place of a ring, in this process.
type safe struct {
	t       *testing.T
	mu      sync.Mutex
	has     []*jose.PrivateKey
	set     *jose.KeySet // announced
	away    bool
	changed chan struct{}
}

func newSafe(t *testing.T, algs ...jose.Algorithm) *safe {
	s := &safe{t: t, changed: make(chan struct{})}
	for _, alg := range algs {
		s.add(alg)
	}
	return s
}

func (s *safe) add(alg jose.Algorithm) *jose.PrivateKey {
	s.t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has = append(s.has, key)
	return key
}

func (s *safe) remove(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has = slices.DeleteFunc(s.has, func(k *jose.PrivateKey) bool { return k.ID() == kid })
}

func (s *safe) gone(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *safe) id(i int) string { return s.has[i].ID() }

func (s *safe) Ask(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	var all []*jose.PublicKey
	for _, k := range s.has {
		all = append(all, k.Public())
	}
	s.set = jose.NewKeySet(all...)
	return nil
}

func (s *safe) Announced() *jose.KeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}

func (s *safe) Sign(key *jose.PublicKey, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.has {
		if k.ID() == key.ID() && !s.away {
			return k.Raw().Sign(rand.Reader, input, opts)
		}
	}
	return nil, errAway
}

func (s *safe) Away(string) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return s.changed, errAway
	}
	return nil, nil
}

// signsWith checks that the ring signs SETs and tokens with a key, verifiable with what it
// publishes.
func signsWith(t *testing.T, r *keys.Ring, kid string) {
	t.Helper()
	for _, s := range []*jose.Signer{r.Signer(), r.JWTSigner(), r.TokenSigner()} {
		compact, err := s.Sign([]byte(`{"jti":"1"}`))
		if err != nil {
			t.Fatalf("got %v, want a signature", err)
		}
		m, err := jose.Parse([]byte(compact))
		if err != nil {
			t.Fatal(err)
		}
		key, err := r.KeySet().Find(kid, s.Algorithm())
		if err == nil {
			err = jose.Verify(m, key)
		}
		if err != nil || m.Header.KeyID != kid {
			t.Errorf("got a signature of %s (%v), want one of %s", m.Header.KeyID, err, kid)
		}
	}
}

func published(r *keys.Ring) (kids []string) {
	for _, k := range r.KeySet().Keys() {
		kids = append(kids, k.ID())
	}
	return kids
}

func openRing(t *testing.T, cfg keys.Config) *keys.Ring {
	t.Helper()
	r, err := keys.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Keys that are held elsewhere are all published, one of them signs, and a rotation takes
// one that was not used, of the same algorithm; what is stored of them is public.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	s := newSafe(t, jose.EdDSA, jose.RS256, jose.ES256, jose.EdDSA)
	r := openRing(t, keys.Config{Store: store, Elsewhere: s})
	signsWith(t, r, s.id(1)) // RS256 is the one that every receiver knows
	if got, want := published(r), []string{s.id(1), s.id(0), s.id(2), s.id(3)}; !slices.Equal(got, want) {
		t.Errorf("published: got %q, want %q", got, want)
	}
	for i, want := range []keys.Key{{ID: s.id(1), Elsewhere: true, Current: true}, {ID: s.id(0), Elsewhere: true, Announced: true}} {
		if got := r.List()[i]; got.ID != want.ID || !got.Elsewhere || got.Current != want.Current || got.Announced != want.Announced {
			t.Errorf("key %d: got %+v, want %+v", i, got, want)
		}
	}
	if _, err := r.Rotate(t.Context()); !errors.Is(err, keys.ErrNoneLeft) || !strings.Contains(err.Error(), "for RS256; it has some for [EdDSA ES256]") {
		t.Errorf("without another: got %v, want what there is", err)
	}
	signsWith(t, r, s.id(1))
	r = openRing(t, keys.Config{Store: store, Elsewhere: s, Algorithm: jose.EdDSA})
	signsWith(t, r, s.id(1)) // another algorithm is published first, by Keep
	for _, want := range []string{s.id(0), s.id(3)} {
		if kid, err := r.Rotate(t.Context()); err != nil || kid != want {
			t.Fatalf("rotated: got %s (%v), want the next key for EdDSA, %s", kid, err, want)
		}
		signsWith(t, r, want)
	}
	another := s.add(jose.EdDSA).ID()
	if kid, err := r.Rotate(t.Context()); err != nil || kid != another {
		t.Errorf("given another: got %s (%v), want %s", kid, err, another)
	}
	all, err := store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		for _, secret := range []string{`"d":`, `"p":`, `"q":`} {
			if bytes.Contains(one.Private, []byte(secret)) {
				t.Errorf("%s: got %s stored, want what is public", one.ID, secret)
			}
		}
	}
}

// Who holds the keys may be away: a ring with a key opens, publishes and says so, and
// signs when it is back.
func TestElsewhereAway(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	s := newSafe(t, jose.EdDSA)
	s.away = true
	if _, err := keys.Open(t.Context(), keys.Config{Store: store, Elsewhere: s}); !errors.Is(err, keys.ErrAway) || !errors.Is(err, errAway) {
		t.Fatalf("without any key: got %v, want that it is away", err)
	}
	s.away = false
	openRing(t, keys.Config{Store: store, Elsewhere: s})
	s.away, s.set = true, nil
	r := openRing(t, keys.Config{Store: store, Elsewhere: s})
	if got := published(r); !slices.Equal(got, []string{s.id(0)}) {
		t.Errorf("published: got %q, want the key that is known", got)
	}
	if _, err := r.Signer().Sign([]byte("{}")); !errors.Is(err, keys.ErrAway) {
		t.Errorf("a signature: got %v, want ErrAway", err)
	}
	again, why := r.Away()
	if !errors.Is(why, errAway) {
		t.Errorf("got %v, want why", why)
	}
	if _, err := r.Rotate(t.Context()); !errors.Is(err, keys.ErrAway) {
		t.Errorf("a rotation: got %v, want ErrAway", err)
	}
	s.gone(false)
	<-again
	if _, why := r.Away(); why != nil {
		t.Errorf("back: got %v, want nil", why)
	}
	signsWith(t, r, s.id(0))
}

// A ring whose key is held elsewhere, opened without anybody who holds it, signs and
// rotates nothing by itself; the way back is asked for by name.
func TestElsewhereUnnamed(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	openRing(t, keys.Config{Store: store, Elsewhere: newSafe(t, jose.ES256)})
	for _, alg := range []jose.Algorithm{"", jose.EdDSA} {
		r := openRing(t, keys.Config{Store: store, Algorithm: alg})
		if _, err := r.Signer().Sign([]byte("{}")); !errors.Is(err, keys.ErrAway) || !errors.Is(err, keys.ErrHeld) {
			t.Errorf("a signature: got %v, want ErrHeld", err)
		}
		if _, why := r.Away(); !errors.Is(why, keys.ErrHeld) {
			t.Errorf("got %v, want ErrHeld", why)
		}
		if _, err := r.Rotate(t.Context()); !errors.Is(err, keys.ErrHeld) {
			t.Errorf("a rotation: got %v, want ErrHeld", err)
		}
	}
	r := openRing(t, keys.Config{Store: store})
	kid, err := r.RotateHere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signsWith(t, r, kid)
	if _, why := r.Away(); why != nil || r.List()[0].Elsewhere {
		t.Errorf("got %v and %+v, want a key that is kept here", why, r.List()[0])
	}
}

// A key leaves the key set when who holds it does not have it any more: before, it would
// be published on.
func TestElsewhereRetire(t *testing.T) {
	t.Parallel()
	s := newSafe(t, jose.EdDSA, jose.EdDSA)
	r := openRing(t, keys.Config{Store: newStore(t), Elsewhere: s})
	first := s.id(0)
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Retire(t.Context(), first, true); !errors.Is(err, keys.ErrAnnounced) {
		t.Errorf("announced: got %v, want ErrAnnounced", err)
	}
	s.remove(first)
	if err := s.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Retire(t.Context(), first, true); err != nil {
		t.Errorf("taken away: got %v", err)
	}
	if got := published(r); !slices.Equal(got, []string{s.id(0)}) {
		t.Errorf("published: got %q, want the current one", got)
	}
}

// By schedule a key that is kept here is replaced by one that is held elsewhere, and that
// by the next, each published before it signs. Where there is none it is said, once, and
// nothing changes; what is announced later is published by itself.
func TestElsewhereKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin.db")
	synctest.Test(t, func(t *testing.T) {
		store := keys.NewStore(openAdmin(t, path).DB())
		home := openRing(t, keys.Config{Store: store, Algorithm: jose.EdDSA}).Signer().KeyID()
		s := newSafe(t, jose.EdDSA)
		var said bytes.Buffer
		r := openRing(t, keys.Config{
			Store: store, Elsewhere: s, RotateEvery: 30 * day, PublishAhead: day, RetireAfter: 3 * day,
			Logger: slog.New(slog.NewTextHandler(&said, nil)),
		})
		signsWith(t, r, home)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = r.Keep(ctx, nil) })
		sleep := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		sleep(time.Hour)
		if kid, err := r.Rotate(ctx); err != nil || kid != s.id(0) {
			t.Errorf("rotated by hand: got %s (%v), want the next key, %s", kid, err, s.id(0))
		}
		if kid, err := r.RotateHere(ctx); err != nil || kid == s.id(0) {
			t.Errorf("back: got %s (%v), want one that is kept here", kid, err)
		} else {
			home = kid
		}
		s.remove(s.id(0))
		s.add(jose.EdDSA)
		sleep(23 * time.Hour)
		signsWith(t, r, home)
		sleep(2 * time.Hour)
		signsWith(t, r, s.id(0))
		sleep(32 * day) // there is none to rotate to
		signsWith(t, r, s.id(0))
		if got := strings.Count(said.String(), "the signer announces no unused key"); got != 1 {
			t.Errorf("without another: got it told %d times, want once:\n%s", got, &said)
		}
		if got := published(r); !slices.Equal(got, []string{s.id(0)}) {
			t.Errorf("published: got %q, want what signs alone; the key of before has had its day", got)
		}
		next := s.add(jose.EdDSA).ID()
		if err := s.Ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(ctx)
		all.Go(func() { _ = r.Run(running) })
		sleep(time.Second)
		stop()
		if got := published(r); !slices.Contains(got, next) {
			t.Errorf("published: got %q, want what is announced, %s", got, next)
		}
		sleep(2 * day)
		signsWith(t, r, next)
		sleep(5 * day)
		if got := strings.Count(said.String(), "take it from the signer, then it is retired"); got != 1 {
			t.Errorf("an old key that is announced: got it told %d times, want once", got)
		}
		s.remove(s.id(0))
		if err := s.Ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		sleep(time.Hour)
		if got := published(r); !slices.Equal(got, []string{next}) {
			t.Errorf("published: got %q, want %s alone", got, next)
		}
		cancel()
		all.Wait()
	})
}
