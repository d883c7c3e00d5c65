package scs_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/scs"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// plain hides that a store can iterate.
type plain struct{ lib.Store }

// app is an application of one page, with the sessions of its browsers.
type app struct {
	*testing.T
	manager  *lib.SessionManager
	sessions *scs.Sessions
}

func newApp(t *testing.T, manager *lib.SessionManager, store lib.Store) *app {
	t.Helper()
	manager.Store = store
	sessions, err := scs.New(manager)
	if err != nil {
		t.Fatal(err)
	}
	return &app{T: t, manager: manager, sessions: sessions}
}

// serve runs page with a browser's cookie and returns the cookie after it.
func (a *app) serve(cookie *http.Cookie, page func(ctx context.Context)) *http.Cookie {
	a.Helper()
	handler := a.manager.LoadAndSave(a.sessions.Guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { page(r.Context()) })))
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	if cookie != nil {
		req.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	for _, c := range w.Result().Cookies() {
		cookie = c
	}
	return cookie
}

func (a *app) login(user string, session ...string) *http.Cookie {
	a.Helper()
	return a.serve(nil, func(ctx context.Context) {
		l := scs.Login{Users: []subject.Identifier{subject.Email(user + "@example.com"), subject.IssSub("https://idp.example", user)}}
		for _, sid := range session {
			l.Sessions = append(l.Sessions, subject.Opaque(sid))
		}
		if err := a.sessions.Login(ctx, l); err != nil {
			a.Fatal(err)
		}
		a.manager.Put(ctx, "user", user)
	})
}

// alive reports whether the browser is still logged in.
func (a *app) alive(cookie *http.Cookie) (alive bool) {
	a.Helper()
	a.serve(cookie, func(ctx context.Context) { alive = a.manager.GetString(ctx, "user") != "" })
	return alive
}

func (a *app) revoke(id subject.Identifier, until time.Time) int {
	a.Helper()
	n, err := a.sessions.Revoke(a.Context(), id, until)
	if err != nil {
		a.Fatal(err)
	}
	return n
}

// stores runs a test on a store that iterates and on one that does not.
func stores(t *testing.T, test func(a *app)) {
	t.Helper()
	for name, store := range map[string]func() lib.Store{
		"store that iterates": func() lib.Store { return memstore.NewWithCleanupInterval(0) },
		"index in memory":     func() lib.Store { return plain{memstore.NewWithCleanupInterval(0)} },
	} {
		t.Run(name, func(t *testing.T) {
			manager := lib.New() // starts a goroutine, which must stay outside of the bubble
			synctest.Test(t, func(t *testing.T) { test(newApp(t, manager, store())) })
		})
	}
}

func complexOf(t *testing.T, members map[string]subject.Identifier) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Which sessions a subject names (CAEP-3.1-01).
func TestSubjects(t *testing.T) {
	alice, sid := subject.Email("alice@example.com"), subject.Opaque
	for _, tt := range []struct {
		name   string
		id     subject.Identifier
		a1, a2 bool // whether alice's two sessions, of sid s1 and s2, end
	}{
		{"user", alice, true, true},
		{"user by another identifier", subject.IssSub("https://idp.example", "alice"), true, true},
		{"aliases", subject.Aliases(subject.Opaque("x"), alice), true, true},
		{"session", sid("s1"), true, false},
		{"complex user", complexOf(t, map[string]subject.Identifier{"user": alice}), true, true},
		{"complex user and device", complexOf(t, map[string]subject.Identifier{"user": alice, "device": sid("d")}), true, true},
		{"complex user and session", complexOf(t, map[string]subject.Identifier{"user": alice, "session": sid("s2")}), false, true},
		{"complex session", complexOf(t, map[string]subject.Identifier{"session": sid("s2")}), false, true},
		{"every session, as Keycloak says it", complexOf(t, map[string]subject.Identifier{"user": alice, "session": sid("ALL")}), true, true},
		{"session of another user", complexOf(t, map[string]subject.Identifier{"user": subject.Email("bob@example.com"), "session": sid("s1")}), false, false},
		{"another user", subject.Email("carol@example.com"), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stores(t, func(a *app) {
				a1, a2, bob := a.login("alice", "s1"), a.login("alice", "s2"), a.login("bob", "s3")
				want := 0
				for _, ends := range []bool{tt.a1, tt.a2} {
					if ends {
						want++
					}
				}
				if n := a.revoke(tt.id, time.Now()); n != want {
					a.Errorf("got %d sessions ended, want %d", n, want)
				}
				if a.alive(a1) == tt.a1 || a.alive(a2) == tt.a2 || !a.alive(bob) {
					a.Errorf("got alive %v %v and bob's %v, want %v %v true", a.alive(a1), a.alive(a2), a.alive(bob), !tt.a1, !tt.a2)
				}
				if n := a.revoke(tt.id, time.Now()); n != 0 { // at least once
					a.Errorf("got %d sessions ended by a repeat, want 0", n)
				}
			})
		})
	}
}

// A login that does not know the transmitter's session ends with any of its user's.
func TestSessionUnknown(t *testing.T) {
	stores(t, func(a *app) {
		cookie := a.login("alice")
		id := complexOf(a.T, map[string]subject.Identifier{"user": subject.Email("alice@example.com"), "session": subject.Opaque("s1")})
		if n := a.revoke(id, time.Now()); n != 1 || a.alive(cookie) {
			a.Errorf("got %d ended, want the one session", n)
		}
	})
}

// SET-5.4-01 and contracts, receiver: sessions begun at or before the event time end,
// later ones live, however late the event comes.
func TestEventTime(t *testing.T) {
	stores(t, func(a *app) {
		old := a.login("alice")
		<-time.After(time.Minute)
		at := time.Now()
		equal := a.login("alice")
		<-time.After(time.Nanosecond)
		young := a.login("alice")
		<-time.After(time.Hour)
		if err := a.sessions.Hook(a.Context(), receiver.Delivery{Subject: subject.Email("alice@example.com"), EventTime: at}); err != nil {
			a.Fatal(err)
		}
		if a.alive(old) || a.alive(equal) || !a.alive(young) {
			a.Errorf("got alive %v %v %v, want false false true", a.alive(old), a.alive(equal), a.alive(young))
		}
	})
}

// A request that runs during the revocation and writes its session back revives nothing.
func TestRunningRequest(t *testing.T) {
	stores(t, func(a *app) {
		cookie := a.login("alice")
		cookie = a.serve(cookie, func(ctx context.Context) {
			a.revoke(subject.Email("alice@example.com"), time.Now())
			a.manager.Put(ctx, "cart", "full")
		})
		if a.alive(cookie) {
			a.Error("got a revoked session alive, want it ended")
		}
		<-time.After(time.Second)
		if !a.alive(a.login("alice")) {
			a.Error("got a later login ended, want it alive")
		}
	})
}

// Tokens that the store has hashed are found and ended too.
func TestHashedTokens(t *testing.T) {
	stores(t, func(a *app) {
		a.manager.HashTokenInStore = true
		cookie := a.login("alice")
		if n := a.revoke(subject.Email("alice@example.com"), time.Now()); n != 1 || a.alive(cookie) {
			a.Errorf("got %d ended, want the one session", n)
		}
	})
}

// A subject without user and session ends nothing and is not tried again.
func TestNoTarget(t *testing.T) {
	stores(t, func(a *app) {
		cookie := a.login("alice")
		id := complexOf(a.T, map[string]subject.Identifier{"tenant": subject.Opaque("t")})
		if err := a.sessions.Hook(a.Context(), receiver.Delivery{Subject: id, EventTime: time.Now()}); !errors.Is(err, scs.ErrNoTarget) {
			a.Errorf("got error %v, want %v", err, scs.ErrNoTarget)
		}
		if !a.alive(cookie) {
			a.Error("got a session ended, want it alive")
		}
	})
}

// failing is a store that cannot delete.
type failing struct{ *memstore.MemStore }

func (failing) Delete(string) error { return errors.New("store is down") }

// A failure of the store is an error, so that the hook runs again.
func TestStoreFails(t *testing.T) {
	a := newApp(t, lib.New(), lib.Store(failing{memstore.NewWithCleanupInterval(0)}))
	a.login("alice")
	if n, err := a.sessions.Revoke(t.Context(), subject.Email("alice@example.com"), time.Now()); err == nil || n != 0 {
		t.Errorf("got %d ended and no error, want an error", n)
	}
	if _, err := scs.New(nil); err == nil {
		t.Error("got no error without a manager, want one")
	}
}
