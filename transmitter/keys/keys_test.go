package keys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/keystest"
)

// clock is set by a test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_800_000_000, 0).UTC()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openAdmin(t *testing.T, path string) *auth.Store {
	t.Helper()
	s, err := auth.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newStore(t *testing.T) keys.Store {
	t.Helper()
	return keys.NewStore(openAdmin(t, filepath.Join(t.TempDir(), "admin.db")).DB())
}

func open(t *testing.T, s keys.Store, alg jose.Algorithm, c *clock) *keys.Ring {
	t.Helper()
	r, err := keys.Open(t.Context(), keys.Config{Store: s, Algorithm: alg, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rotate(t *testing.T, r *keys.Ring) string {
	t.Helper()
	kid, err := r.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

// verifies reports whether a compact JWS is signed by a published key.
func verifies(r *keys.Ring, compact string) error {
	m, err := jose.Parse([]byte(compact))
	if err != nil {
		return err
	}
	key, err := r.KeySet().Find(m.Header.KeyID, jose.Algorithm(m.Header.Algorithm))
	if err != nil {
		return err
	}
	return jose.Verify(m, key)
}

func sign(t *testing.T, s *jose.Signer) string {
	t.Helper()
	compact, err := s.Sign([]byte(`{"iss":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func TestContract(t *testing.T) {
	keystest.Run(t, func(t *testing.T, dir string) keys.Store {
		return keys.NewStore(openAdmin(t, filepath.Join(dir, "admin.db")).DB())
	})
}

func TestFirstKey(t *testing.T) {
	c := newClock()
	r := open(t, newStore(t), "", c)
	list := r.List()
	if len(list) != 1 || !list[0].Current || list[0].Algorithm != jose.RS256 || !list[0].Created.Equal(c.now()) {
		t.Fatalf("got %+v, want one current RS256 key", list)
	}
	for typ, signer := range map[string]*jose.Signer{"secevent+jwt": r.Signer(), "at+jwt": r.TokenSigner()} {
		compact := sign(t, signer)
		m, err := jose.Parse([]byte(compact))
		if err != nil || m.Header.Type != typ || m.Header.KeyID != list[0].ID {
			t.Errorf("got %+v, %v, want typ %s of the key", m.Header, err, typ)
		}
		if err := verifies(r, compact); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// The ring is the same after a restart, whatever happened before.
func TestRingIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.db")
	c := newClock()
	first, err := auth.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, keys.NewStore(first.DB()), jose.ES256, c)
	set := sign(t, r.Signer())
	c.add(time.Hour)
	rotate(t, r)
	c.add(-2 * time.Hour) // a clock that goes back does not confuse the order
	current := rotate(t, r)
	c.add(3 * time.Hour)
	r.Signed(current)
	want := r.List()
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	again := open(t, keys.NewStore(openAdmin(t, path).DB()), jose.ES256, c)
	if got := again.List(); len(got) != 3 || got[0].ID != current || !got[0].Current {
		t.Errorf("current: got %+v, want %s of 3", got, current)
	}
	byID := func(list []keys.Key) map[string]keys.Key {
		m := map[string]keys.Key{}
		for _, k := range list {
			m[k.ID] = k
		}
		return m
	}
	if diff := cmp.Diff(byID(want), byID(again.List())); diff != "" {
		t.Errorf("diff (-want +got) %s", diff)
	}
	if err := verifies(again, set); err != nil {
		t.Errorf("what was signed before: %v", err)
	}
	if got := again.Signer().KeyID(); got != current {
		t.Errorf("signer: got %s, want %s", got, current)
	}
}

// contracts.md §6: a rotation counts at once and the old key stays published.
func TestRotate(t *testing.T) {
	r := open(t, newStore(t), jose.EdDSA, newClock())
	before, set := r.Signer().KeyID(), r.KeySet()
	old := sign(t, r.Signer())
	kid := rotate(t, r)
	if kid == before || r.Signer().KeyID() != kid || r.TokenSigner().KeyID() != kid {
		t.Errorf("got %s, %s, want both to be the new key %s", r.Signer().KeyID(), r.TokenSigner().KeyID(), kid)
	}
	if r.KeySet() == set {
		t.Error("the key set is still the old pointer")
	}
	for name, compact := range map[string]string{"old": old, "new": sign(t, r.Signer())} {
		if err := verifies(r, compact); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.KeySet().Keys(); len(got) != 2 || got[0].ID() != kid {
		t.Errorf("published: got %d keys, want 2, the current one first", len(got))
	}
}

func TestAnotherAlgorithmMakesAKey(t *testing.T) {
	s, c := newStore(t), newClock()
	r := open(t, s, jose.EdDSA, c)
	old := sign(t, r.Signer())
	r = open(t, s, jose.ES256, c)
	if got := r.Signer().Algorithm(); got != jose.ES256 {
		t.Errorf("got %s, want ES256", got)
	}
	if err := verifies(r, old); err != nil {
		t.Errorf("what the key before signed: %v", err)
	}
	if got := len(open(t, s, jose.ES256, c).List()); got != 2 {
		t.Errorf("opened again: got %d keys, want 2", got)
	}
	if got := open(t, s, "", c).Signer().Algorithm(); got != jose.ES256 {
		t.Errorf("no algorithm asked for: got %s, want the current key's, ES256", got)
	}
	if _, err := keys.Open(t.Context(), keys.Config{Store: s, Algorithm: "HS256"}); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("HS256: got %v, want ErrAlgorithm", err)
	}
	if _, err := keys.Open(t.Context(), keys.Config{}); err == nil {
		t.Error("no store: got nil, want an error")
	}
}

// contracts.md §6: a key is retired no sooner than 24 h after its last signature.
func TestRetire(t *testing.T) {
	s, c := newStore(t), newClock()
	r := open(t, s, jose.EdDSA, c)
	old := r.Signer().KeyID()
	set := sign(t, r.Signer())
	if err := r.Retire(t.Context(), "none", true); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("unknown: got %v, want ErrNotFound", err)
	}
	if err := r.Retire(t.Context(), old, true); !errors.Is(err, keys.ErrCurrent) {
		t.Errorf("current: got %v, want ErrCurrent", err)
	}
	rotate(t, r)
	c.add(time.Minute)
	r.Signed(old) // a straggler took the signer before the rotation
	last := c.now()
	c.add(keys.Overlap - time.Second)
	err := r.Retire(t.Context(), old, false)
	var soon *keys.TooSoonError
	if !errors.As(err, &soon) || !errors.Is(err, keys.ErrTooSoon) || soon.After.Before(last.Add(keys.Overlap)) {
		t.Errorf("within 24 h: got %v, want a TooSoonError after %v", err, last.Add(keys.Overlap))
	}
	if err := verifies(r, set); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
	c.add(2 * time.Second)
	if err := r.Retire(t.Context(), old, false); err != nil {
		t.Fatalf("after 24 h: %v", err)
	}
	if err := verifies(r, set); !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("retired: got %v, want ErrUnknownKey", err)
	}
	if got := open(t, s, jose.EdDSA, c).List(); len(got) != 1 || got[0].ID == old {
		t.Errorf("kept: got %+v, want the current key alone", got)
	}
}

// Marks that were lost in a crash do not let a key be retired too soon: the
// rotation itself marks it.
func TestRetireAfterLostMarks(t *testing.T) {
	s, c := newStore(t), newClock()
	r := open(t, s, jose.EdDSA, c)
	old := r.Signer().KeyID()
	c.add(100 * time.Hour)
	r.Signed(old) // not saved
	r = open(t, s, jose.EdDSA, c)
	rotate(t, r)
	r = open(t, s, jose.EdDSA, c) // and crashed again
	c.add(23 * time.Hour)
	if err := r.Retire(t.Context(), old, false); !errors.Is(err, keys.ErrTooSoon) {
		t.Errorf("got %v, want ErrTooSoon", err)
	}
	if err := r.Retire(t.Context(), old, true); err != nil {
		t.Errorf("forced: got %v, want nil", err)
	}
}

func TestRingIsBounded(t *testing.T) {
	r := open(t, newStore(t), jose.EdDSA, newClock())
	for range keys.MaxKeys - 1 {
		rotate(t, r)
	}
	current := r.Signer().KeyID()
	if _, err := r.Rotate(t.Context()); !errors.Is(err, keys.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if got := r.Signer().KeyID(); got != current {
		t.Errorf("signer: got %s, want still %s", got, current)
	}
}

func TestRotateWhileSigning(t *testing.T) {
	r := open(t, newStore(t), jose.EdDSA, newClock())
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := r.Signer()
				compact, err := s.Sign([]byte(`{}`))
				if err != nil {
					t.Error(err)
					return
				}
				r.Signed(s.KeyID())
				if err := verifies(r, compact); err != nil {
					t.Errorf("signed during a rotation: %v", err)
					return
				}
			}
		})
	}
	for range 10 {
		before := r.Signer().KeyID()
		rotate(t, r)
		if err := r.Retire(t.Context(), before, false); !errors.Is(err, keys.ErrTooSoon) {
			t.Errorf("got %v, want ErrTooSoon", err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		r.List()
	}
	close(stop)
	wg.Wait()
}

// SEC-04: a key that was retired is gone from the disk, and none is ever shown.
func TestPrivateKeysStayInside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.db")
	s := keys.NewStore(openAdmin(t, path).DB())
	r := open(t, s, jose.EdDSA, newClock())
	old := r.Signer().KeyID()
	records, err := s.Keys(t.Context())
	if err != nil || len(records) != 1 {
		t.Fatalf("got %v, %v, want one record", records, err)
	}
	var private struct {
		D string `json:"d"`
	}
	if err := json.Unmarshal(records[0].Private, &private); err != nil || private.D == "" {
		t.Fatalf("got no private part: %v", err)
	}
	shown, err := json.Marshal([]any{records[0], r.List(), r.KeySet()})
	if err != nil {
		t.Fatal(err)
	}
	shown = fmt.Append(shown, records[0].LogValue(), r.List(), records)
	asNumbers := strings.Trim(fmt.Sprintf("%v", []byte(private.D)), "[]")
	if bytes.Contains(shown, []byte(private.D)) || bytes.Contains(shown, []byte(asNumbers)) {
		t.Errorf("the private key shows: %s", shown)
	}
	if !onDisk(t, path, private.D) {
		t.Fatal("the key is not where this test looks for it")
	}
	rotate(t, r)
	if err := r.Retire(t.Context(), old, true); err != nil {
		t.Fatal(err)
	}
	if onDisk(t, path, private.D) {
		t.Error("the retired key is still on the disk")
	}
}

func onDisk(t *testing.T, path, secret string) bool {
	t.Helper()
	for _, name := range []string{path, path + "-wal"} {
		content, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(secret)) {
			return true
		}
	}
	return false
}
