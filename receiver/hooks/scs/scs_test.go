package scs_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/scs"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// plain hides that a store can iterate.
type plain struct{ lib.Store }

// app is an application of one page, with the sessions of its browsers.
type app struct {
	*testing.T
	manager *lib.SessionManager
	hook    *scs.Hook
}

func newApp(t *testing.T, manager *lib.SessionManager, store lib.Store) *app {
	t.Helper()
	manager.Store = store
	hook, err := scs.New(scs.Config{Manager: manager})
	if err != nil {
		t.Fatal(err)
	}
	return &app{T: t, manager: manager, hook: hook}
}

// serve runs page with a browser's cookie and returns the cookie after it.
func (a *app) serve(cookie *http.Cookie, page func(ctx context.Context)) *http.Cookie {
	a.Helper()
	handler := a.manager.LoadAndSave(a.hook.Guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { page(r.Context()) })))
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
			l.Others = map[string][]subject.Identifier{"device": {subject.Opaque("d" + strings.TrimPrefix(sid, "s"))}}
		}
		if err := a.hook.Login(ctx, l); err != nil {
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

func action(id subject.Identifier, effect hooks.Effect, until time.Time) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Subject: id, EventTime: until}, "scs", effect)
}

func (a *app) act(id subject.Identifier, effect hooks.Effect, until time.Time) int {
	a.Helper()
	preview, err := a.hook.Preview(a.Context(), action(id, effect, until))
	if err != nil {
		a.Fatal(err)
	}
	out, err := a.hook.Act(a.Context(), action(id, effect, until))
	if err != nil {
		a.Fatal(err)
	}
	if preview != out {
		a.Errorf("got a preview of %+v, then %+v, want the same", preview, out)
	}
	return out.Ended
}

func (a *app) revoke(id subject.Identifier, until time.Time) int {
	a.Helper()
	return a.act(id, hooks.End, until)
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
		{"complex user and device", complexOf(t, map[string]subject.Identifier{"user": alice, "device": sid("d1")}), true, false},
		{"a device that is not known", complexOf(t, map[string]subject.Identifier{"user": alice, "device": sid("d9")}), false, false},
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
		<-time.After(time.Microsecond)
		young := a.login("alice")
		<-time.After(time.Hour)
		a.revoke(subject.Email("alice@example.com"), at)
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

// A subject that no session is known by ends nothing and is not tried again.
func TestNoTarget(t *testing.T) {
	stores(t, func(a *app) {
		cookie := a.login("alice")
		id := complexOf(a.T, map[string]subject.Identifier{"tenant": subject.Opaque("t")})
		if n := a.revoke(id, time.Now()); n != 0 {
			a.Errorf("got %d ended, want none", n)
		}
		if _, err := a.hook.Act(a.Context(), action(subject.Identifier{}, hooks.End, time.Now())); !errors.Is(err, hooks.ErrNotApplicable) {
			a.Errorf("nobody: got %v, want %v", err, hooks.ErrNotApplicable)
		}
		many := make([]subject.Identifier, sessions.MaxClauses+1)
		for i := range many {
			many[i] = subject.Opaque(strconv.Itoa(i))
		}
		if _, err := a.hook.Act(a.Context(), action(subject.Aliases(many...), hooks.End, time.Now())); !receiver.IsPermanent(err) {
			a.Errorf("too many: got %v, want a permanent error", err)
		}
		if _, err := a.hook.Act(a.Context(), action(subject.Email("alice@example.com"), hooks.Reload, time.Now())); !errors.Is(err, hooks.ErrNotApplicable) {
			a.Errorf("another effect: got %v, want %v", err, hooks.ErrNotApplicable)
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
	out, err := a.hook.Act(t.Context(), action(subject.Email("alice@example.com"), hooks.End, time.Now()))
	if err == nil || receiver.IsPermanent(err) || errors.Is(err, hooks.ErrNotApplicable) || out.Ended != 0 {
		t.Errorf("got %d ended, %v, want an error to try again", out.Ended, err)
	}
	if _, err := scs.New(scs.Config{}); err == nil {
		t.Error("got no error without a manager, want one")
	}
}

// Deny ends sessions and keeps the user out until Allow.
func TestDeny(t *testing.T) {
	stores(t, func(a *app) {
		alice := subject.Email("alice@example.com")
		cookie := a.login("alice")
		if n := a.act(alice, hooks.Deny, time.Now()); n != 1 || a.alive(cookie) {
			a.Errorf("got %d ended, want the one session", n)
		}
		<-time.After(time.Minute)
		a.serve(nil, func(ctx context.Context) {
			if err := a.hook.Login(ctx, scs.Login{Users: []subject.Identifier{alice}}); !errors.Is(err, scs.ErrDenied) {
				a.Errorf("log-in: got %v, want %v", err, scs.ErrDenied)
			}
		})
		if n := a.act(alice, hooks.Allow, time.Now()); n != 0 {
			a.Errorf("allow: got %d ended, want none", n)
		}
		if !a.alive(a.login("alice")) {
			a.Error("after allow: got a login ended, want it alive")
		}
	})
}

// Two processes that share a store, an index and revocations end each other's sessions.
func TestShared(t *testing.T) {
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	revocations, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	store := plain{memstore.NewWithCleanupInterval(0)}
	process := func() *app {
		manager := lib.New()
		manager.Store = store
		hook, err := scs.New(scs.Config{Manager: manager, Index: index, Revocations: revocations})
		if err != nil {
			t.Fatal(err)
		}
		return &app{T: t, manager: manager, hook: hook}
	}
	one, other := process(), process()
	cookie := one.login("alice", "s1")
	cookie = one.serve(cookie, func(ctx context.Context) {
		if n := other.revoke(subject.Opaque("s1"), time.Now().Add(time.Second)); n != 1 {
			t.Errorf("got %d ended, want 1", n)
		}
		one.manager.Put(ctx, "cart", "full")
	})
	if one.alive(cookie) || other.alive(cookie) {
		t.Error("got the session alive, want it ended for both")
	}
	if n := index.Len(); n != 0 {
		t.Errorf("got %d sessions in the index, want none", n)
	}
}

// Logging in again leaves one session in the index.
func TestLoginAgain(t *testing.T) {
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	manager := lib.New()
	manager.Store = memstore.NewWithCleanupInterval(0)
	hook, err := scs.New(scs.Config{Manager: manager, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	a := &app{T: t, manager: manager, hook: hook}
	cookie := a.login("alice")
	a.serve(cookie, func(ctx context.Context) {
		if err := hook.Login(ctx, scs.Login{Users: []subject.Identifier{subject.Email("alice@example.com")}}); err != nil {
			t.Error(err)
		}
		if err := hook.Login(ctx, scs.Login{}); !errors.Is(err, sessions.ErrInvalid) {
			t.Errorf("nobody: got %v, want %v", err, sessions.ErrInvalid)
		}
	})
	if n := index.Len(); n != 1 {
		t.Errorf("got %d sessions, want 1", n)
	}
}
