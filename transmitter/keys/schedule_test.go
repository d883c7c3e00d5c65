package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

const day = 24 * time.Hour

// house is a ring by schedule, under virtual time, whose clock can be set.
type house struct {
	*testing.T
	store keys.Store
	ring  *keys.Ring
	ahead atomic.Int64 // of the clock, nanoseconds

	noting keys.Noting // nil: nothing is noted
	end    func()
}

func (h *house) now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

// start opens the ring and keeps it, as a process does that begins.
func (h *house) start() {
	h.Helper()
	r, err := keys.Open(h.Context(), keys.Config{
		Store: h.store, Algorithm: jose.EdDSA, Now: h.now, RotateEvery: 30 * day, PublishAhead: day, RetireAfter: 3 * day,
	})
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.Context()))
	done := make(chan error, 2)
	go func() { done <- r.Keep(ctx, h.noting) }()
	go func() { done <- r.Run(ctx) }()
	h.ring, h.end = r, func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				h.Error(err)
			}
		}
	}
}

func scheduled(t *testing.T, test func(*house)) {
	path := filepath.Join(t.TempDir(), "admin.db")
	synctest.Test(t, func(t *testing.T) {
		admin := openAdmin(t, path)
		h := &house{T: t, store: keys.NewStore(admin.DB())}
		h.start()
		test(h)
		h.end()
	})
}

func (h *house) state() (current, next string, old int) {
	for _, k := range h.ring.List() {
		switch {
		case k.Current:
			current = k.ID
		case k.Next:
			next = k.ID
		default:
			old++
		}
	}
	return current, next, old
}

// A receiver that fetches the key set once in PublishAhead, over HTTP, never meets a kid
// that it does not know, for a year, also across restarts; each key signs for about as long
// as it should, and old ones go.
func TestScheduleAndCachedSets(t *testing.T) {
	scheduled(t, func(h *house) {
		var cached *jose.KeySet
		fetch := func() {
			w := httptest.NewRecorder()
			wellknown.JWKSHandler(h.ring.KeySet).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/jwks.json", nil))
			var err error
			if cached, err = jose.ParseKeySet(w.Body.Bytes()); err != nil {
				h.Fatal(err)
			}
		}
		signed := map[string]int{}
		const hours = 365 * 24
		for hour := range hours {
			if hour%24 == 0 {
				fetch()
			}
			if hour%100 == 99 {
				h.end()
				h.start()
			}
			<-time.After(time.Hour)
			compact, err := h.ring.Signer().Sign([]byte(`{}`))
			if err != nil {
				h.Fatal(err)
			}
			h.ring.Signed(h.ring.Signer().KeyID())
			m, err := jose.Parse([]byte(compact))
			if err != nil {
				h.Fatal(err)
			}
			key, err := cached.Find(m.Header.KeyID, jose.EdDSA)
			if err != nil || jose.Verify(m, key) != nil {
				h.Fatalf("hour %d: got %v, want a key that the receiver has", hour, err)
			}
			signed[m.Header.KeyID]++
			if _, _, old := h.state(); old > 1 {
				h.Fatalf("hour %d: got %d old keys, want one at most", hour, old)
			}
		}
		if n := len(signed); n < 11 || n > 13 {
			h.Errorf("got %d keys in a year, want about 12", n)
		}
		for kid, n := range signed {
			if n > 32*24 {
				h.Errorf("%s signed for %d h, want 30 days", kid, n)
			}
		}
	})
}

// A clock that jumps lets no key sign before it was published for long enough, retires none
// that others still need, and stops nothing.
func TestScheduleAndClock(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forward": 400 * day, "back": -400 * day} {
		t.Run(name, func(t *testing.T) {
			scheduled(t, func(h *house) {
				<-time.After(30*day + time.Hour)
				first, next, _ := h.state()
				if next == "" {
					h.Fatal("got no next key after 30 days, want one")
				}
				h.ahead.Store(int64(jump))
				<-time.After(20 * time.Hour)
				if now, _, _ := h.state(); now != first {
					h.Error("got the next key signing too soon, want it published for a day")
				}
				<-time.After(5 * time.Hour)
				now, _, old := h.state()
				if now != next || old != 1 {
					h.Errorf("got %s with %d old ones, want the next key %s and the one before", now, old, next)
				}
				// The next one is made by the wrong clock, which is set right meanwhile.
				<-time.After(30 * day)
				h.ahead.Store(0)
				h.end()
				h.start()
				<-time.After(33 * day)
				if again, _, _ := h.state(); again == now {
					h.Errorf("got the same key after the clock was set right, want it replaced")
				}
			})
		})
	}
}

// A key that is rotated by hand may have leaked, and the next one with it.
func TestRotationDiscardsTheNext(t *testing.T) {
	scheduled(t, func(h *house) {
		<-time.After(30*day + time.Hour)
		_, next, _ := h.state()
		kid, err := h.ring.Rotate(h.Context())
		if err != nil {
			h.Fatal(err)
		}
		current, now, _ := h.state()
		raw, _ := json.Marshal(h.ring.KeySet())
		if next == "" || current != kid || now != "" || strings.Contains(string(raw), next) {
			h.Errorf("got %s current and %q next, want the new key alone and %s gone", current, now, next)
		}
		<-time.After(29 * day)
		if now, _, _ := h.state(); now != kid {
			h.Error("got another key within 30 days, want the same")
		}
	})
}

func TestScheduleIsChecked(t *testing.T) {
	for name, c := range map[string]keys.Config{
		"shorter than published":   {RotateEvery: 12 * time.Hour},
		"negative":                 {RotateEvery: -1},
		"published for too short":  {RotateEvery: day, PublishAhead: time.Minute},
		"retired too soon":         {RetireAfter: time.Hour},
		"more keys than there may": {RotateEvery: time.Hour, PublishAhead: time.Hour},
	} {
		c.Store, c.Logger = &fakeStore{}, slog.New(slog.DiscardHandler)
		if _, err := keys.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "keys: Config: ") {
			t.Errorf("%s: got %v, want an error that names the field", name, err)
		}
	}
}

// Each step is done within what notes it; one that cannot be noted is not done, and is tried
// again.
func TestScheduleIsNoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.db")
	synctest.Test(t, func(t *testing.T) {
		var noted []string
		deaf := false
		admin := openAdmin(t, path)
		h := &house{T: t, store: keys.NewStore(admin.DB())}
		h.noting = func(ctx context.Context, step, kid string, do func(context.Context) (string, error)) error {
			if deaf {
				return errors.New("the disk is full")
			}
			done, err := do(ctx)
			if err != nil || kid != "" && kid != done {
				t.Errorf("%s %s: got %s, %v, want that key", step, kid, done, err)
			}
			noted = append(noted, step+" "+done)
			return err
		}
		h.start()
		first, _, _ := h.state()
		deaf = true
		<-time.After(30*day + time.Hour)
		if _, next, _ := h.state(); next != "" {
			t.Errorf("got %s published, want nothing done that is not noted", next)
		}
		deaf = false
		<-time.After(time.Hour)
		_, next, _ := h.state()
		<-time.After(5 * day)
		if now, _, old := h.state(); now != next || old != 0 {
			t.Errorf("got %s and %d old ones, want %s alone", now, old, next)
		}
		h.end()
		if want := []string{"key.announce " + next, "key.rotate " + next, "key.retire " + first}; !slices.Equal(noted, want) {
			t.Errorf("got %q, want %q", noted, want)
		}
	})
}
