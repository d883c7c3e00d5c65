package sessionstest

import (
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Store is an index with revocations that can be closed and opened again.
type Store interface {
	sessions.Lookup
	sessions.Revocations
	Close() error
}

// OpenStore opens the store kept in the folder dir, or makes it.
type OpenStore func(t *testing.T, dir string, index sessions.IndexConfig, revocations sessions.RevocationsConfig) Store

// RunDurable runs the cases of a store that promises to keep what a call said from when
// it has returned.
func RunDurable(t *testing.T, open OpenStore) {
	for _, tt := range []struct {
		name string
		test func(*durable)
	}{
		{"revocations survive", revocationsSurvive},
		{"what has expired is not loaded", expiredNotLoaded},
		{"sessions survive", sessionsSurvive},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := &durable{T: t, clock: newClock(), dir: t.TempDir(), open: open}
			x.restart()
			tt.test(x)
		})
	}
}

type durable struct {
	*testing.T
	*clock
	dir   string
	open  OpenStore
	store Store
	gate  *sessions.Gate
}

// restart ends the store, if it runs, and opens it again.
func (x *durable) restart() {
	x.Helper()
	if x.store != nil {
		x.check(x.store.Close())
	}
	x.store = x.open(x.T, x.dir, sessions.IndexConfig{Lifetime: Retention, Now: x.Now}, sessions.RevocationsConfig{Retention: Retention, Now: x.Now})
	gate, err := sessions.NewGate(sessions.Config{Revocations: x.store, Fail: sessions.FailClosed, MaxLag: 1000 * time.Hour})
	x.check(err)
	x.gate = gate
}

func (x *durable) check(err error) {
	x.Helper()
	if err != nil {
		x.Fatalf("got %v, want no error", err)
	}
}

func (x *durable) says(s sessions.Session, want sessions.Verdict) {
	x.Helper()
	if got := x.gate.Session(s); got != want {
		x.Errorf("got %v, want %v", got, want)
	}
}

func revocationsSurvive(x *durable) {
	now := x.Now()
	x.check(x.store.Revoke(x.Context(), userScope(x, "jo"), now))
	x.check(x.store.Revoke(x.Context(), userSession(x, "ho", "s1"), now))
	x.check(x.store.Deny(x.Context(), userScope(x, "mo"), "", now))
	x.check(x.store.Deny(x.Context(), userScope(x, "no"), "", now))
	x.check(x.store.Allow(x.Context(), userScope(x, "no"), "", now.Add(time.Second)))
	x.check(x.store.Deny(x.Context(), userScope(x, "lo"), thisIssuer, now))
	x.check(x.store.Allow(x.Context(), userScope(x, "lo"), otherIssuer, now.Add(time.Second)))
	for range 2 {
		x.says(of("a", "jo", "", now), sessions.Revoked)
		x.says(of("a", "jo", "", now.Add(time.Second)), sessions.Good)
		x.says(of("a", "ho", "s1", now), sessions.Revoked)
		x.says(of("a", "ho", "s2", now), sessions.Good)
		x.says(of("a", "ho", "", now), sessions.Revoked)
		x.says(of("a", "mo", "", now.Add(time.Hour)), sessions.Denied)
		x.says(of("a", "no", "", now.Add(time.Hour)), sessions.Good)
		x.says(of("a", "lo", "", now.Add(time.Hour)), sessions.Denied)
		x.restart()
		// Older state overrides nothing after a restart either.
		x.check(x.store.Revoke(x.Context(), userScope(x, "jo"), now.Add(-time.Hour)))
		x.check(x.store.Deny(x.Context(), userScope(x, "no"), "", now))
		x.check(x.store.Allow(x.Context(), userScope(x, "mo"), "", now.Add(-time.Second)))
		x.check(x.store.Allow(x.Context(), userScope(x, "lo"), otherIssuer, now.Add(time.Minute)))
	}
	x.check(x.store.Allow(x.Context(), userScope(x, "lo"), thisIssuer, now.Add(time.Minute)))
	x.says(of("a", "lo", "", now.Add(time.Hour)), sessions.Good)
}

func expiredNotLoaded(x *durable) {
	x.check(x.store.Revoke(x.Context(), userScope(x, "jo"), x.Now()))
	x.check(x.store.Deny(x.Context(), userScope(x, "mo"), "", x.Now()))
	x.advance(Retention + time.Minute)
	x.restart()
	if got := x.store.State().Len(); got != 1 {
		x.Errorf("got %d marks, want the denial alone", got)
	}
	x.says(of("a", "mo", "", x.Now()), sessions.Denied)
}

func sessionsSurvive(x *durable) {
	s := of("a", "jo", "s1", x.Now())
	s.Members[subject.MemberDevice] = ids(sid("d1"))
	x.check(x.store.Add(x.Context(), s))
	x.restart()
	found, err := x.store.Find(x.Context(), userScope(x, "jo"), x.Now(), "", 10)
	if err != nil || len(found) != 1 || found[0].ID != "a" {
		x.Errorf("got %v %v, want the session", found, err)
	}
	bearer, err := x.store.Lookup(x.Context(), "a")
	if err != nil || !slices.Equal(bearer.Keys(), s.Bearer().Keys()) {
		x.Errorf("got %v %v, want its bearer", bearer, err)
	}
}
