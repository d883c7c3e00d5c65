package gorilla_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/boj/redistore"
	lib "github.com/gorilla/sessions"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gorilla"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

var (
	_ hooks.Hook      = (*gorilla.Hook)(nil)
	_ hooks.Previewer = (*gorilla.Hook)(nil)
)

// app is an application whose sessions are in a real Redis through boj/redistore.
type app struct {
	*testing.T
	store *redistore.RediStore
	hook  *gorilla.Hook
	door  func(http.Handler) http.Handler
	gate  *gate.Hook
}

func newApp(t *testing.T, prefix string) *app {
	t.Helper()
	server := redistest.Start(t)
	store, err := redistore.NewRediStore(2, "tcp", server.Addr, "", "", []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if prefix != "" {
		store.SetKeyPrefix(prefix)
	}
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := gorilla.New(gorilla.Config{Client: server.Client(t), Prefix: prefix, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	revocations, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	door, err := sessions.NewGate(sessions.Config{Revocations: revocations, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	closes, err := gate.New(gate.Config{Revocations: revocations})
	if err != nil {
		t.Fatal(err)
	}
	return &app{t, store, hook, door.Middleware(gorilla.Identify(store, "app", index)), closes}
}

// serve runs a page with a browser's cookie, behind the gate, and returns the status
// and the cookie after it.
func (a *app) serve(cookie *http.Cookie, page func(w http.ResponseWriter, r *http.Request, s *lib.Session)) (int, *http.Cookie) {
	a.Helper()
	handler := a.door(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := a.store.Get(r, "app")
		if err != nil {
			a.Fatal(err)
		}
		page(w, r, s)
	}))
	r, w := httptest.NewRequestWithContext(a.Context(), http.MethodGet, "/", nil), httptest.NewRecorder()
	if cookie != nil {
		r.AddCookie(cookie)
	}
	handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		cookie = c
	}
	return w.Code, cookie
}

func (a *app) login(user string) *http.Cookie {
	a.Helper()
	_, cookie := a.serve(nil, func(w http.ResponseWriter, r *http.Request, s *lib.Session) {
		s.Values["user"] = user
		if err := s.Save(r, w); err != nil {
			a.Fatal(err)
		}
		if err := a.hook.Login(r.Context(), s, map[string][]subject.Identifier{"user": {subject.Email(user)}}); err != nil {
			a.Fatal(err)
		}
	})
	return cookie
}

// alive reports whether the store still has the user of the browser's session.
func (a *app) alive(cookie *http.Cookie) (alive bool) {
	a.Helper()
	a.serve(cookie, func(_ http.ResponseWriter, _ *http.Request, s *lib.Session) { alive = s.Values["user"] != nil })
	return alive
}

func action(user string) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Subject: subject.Email(user), EventTime: time.Now()}, "gorilla", hooks.End)
}

// The store's own sessions end, those of others live.
func TestEnd(t *testing.T) {
	for _, prefix := range []string{"", "my:"} {
		a := newApp(t, prefix)
		first, second, other := a.login("jo@example.com"), a.login("jo@example.com"), a.login("max@example.com")
		if got, err := a.hook.Preview(t.Context(), action("jo@example.com")); err != nil || got.Ended != 2 || !a.alive(first) {
			t.Errorf("%q: preview: got %+v, %v, want 2 and nothing ended", prefix, got, err)
		}
		if got, err := a.hook.Act(t.Context(), action("jo@example.com")); err != nil || got.Ended != 2 {
			t.Errorf("%q: got %+v, %v, want 2 ended", prefix, got, err)
		}
		if a.alive(first) || a.alive(second) || !a.alive(other) {
			t.Errorf("%q: got alive %v %v %v, want false false true", prefix, a.alive(first), a.alive(second), a.alive(other))
		}
		if got, err := a.hook.Act(t.Context(), action("jo@example.com")); err != nil || got.Ended != 0 {
			t.Errorf("%q: again: got %+v, %v, want none ended", prefix, got, err)
		}
	}
}

// A request that runs meanwhile writes its session back, and the gate refuses it.
func TestRunningRequest(t *testing.T) {
	a := newApp(t, "")
	cookie := a.login("jo@example.com")
	_, cookie = a.serve(cookie, func(w http.ResponseWriter, r *http.Request, s *lib.Session) {
		for _, h := range []hooks.Hook{a.gate, a.hook} {
			if _, err := h.Act(r.Context(), action("jo@example.com")); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Save(r, w); err != nil {
			t.Fatal(err)
		}
	})
	if status, _ := a.serve(cookie, func(http.ResponseWriter, *http.Request, *lib.Session) {}); status != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", status)
	}
}

// A session that the index does not know, since it is over or nobody told of it, is to log
// in (again): 401, as at every other gate, where 503 would never end.
func TestUnlisted(t *testing.T) {
	a := newApp(t, "")
	_, cookie := a.serve(nil, func(w http.ResponseWriter, r *http.Request, s *lib.Session) {
		s.Values["user"] = "jo@example.com"
		if err := s.Save(r, w); err != nil {
			t.Fatal(err)
		}
	})
	if status, _ := a.serve(cookie, func(http.ResponseWriter, *http.Request, *lib.Session) {}); status != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", status)
	}
}

// A session that was not saved has no id, and nobody is logged in by it.
func TestLoginBeforeSave(t *testing.T) {
	a := newApp(t, "")
	a.serve(nil, func(_ http.ResponseWriter, r *http.Request, s *lib.Session) {
		err := a.hook.Login(r.Context(), s, map[string][]subject.Identifier{"user": {subject.Email("jo@example.com")}})
		if !errors.Is(err, sessions.ErrInvalid) {
			t.Errorf("got %v, want %v", err, sessions.ErrInvalid)
		}
	})
}

func TestConfig(t *testing.T) {
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]gorilla.Config{
		"no index": {URL: "redis://127.0.0.1"}, "no address": {Index: index}, "prefix": {URL: "redis://127.0.0.1", Index: index, Prefix: "{id}"},
	} {
		if _, err := gorilla.New(cfg); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
