package keycloak_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/hookstest"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/keycloak"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	upstream = "https://idp.example"
	realm    = "https://sso.example/realms/shop"
)

var (
	_ hooks.Hook      = (*keycloak.Hook)(nil)
	_ hooks.Previewer = (*keycloak.Hook)(nil)

	now = time.Unix(1700000000, 0)
)

// session is one as Keycloak lists it.
type session struct {
	ID       string `json:"id"`
	UserID   string `json:"userId"`
	Username string `json:"username"`
	Start    int64  `json:"start"`
}

// server answers as Keycloak's admin API is documented, for the realm shop.
type server struct {
	*testing.T
	tokens   int // how many were given out; the last one is good
	stale    bool
	sessions []session
	user     map[string]any
	logouts  int
	careless bool // takes no account of what it is asked for
}

func newServer(t *testing.T) *server {
	return &server{
		T: t, user: map[string]any{"id": "u1", "email": "jo@example.com", "firstName": "Jo", "enabled": true, "attributes": map[string]any{"team": []string{"a"}}},
		sessions: []session{
			{"old", "u1", "jo", now.Add(-time.Minute).UnixMilli()},
			{"equal", "u1", "jo", now.UnixMilli()},
			{"young", "u1", "jo", now.Add(time.Second).UnixMilli()},
			{"max", "u2", "max", now.UnixMilli()},
		},
	}
}

func (s *server) token() string { return "t" + strings.Repeat("x", s.tokens) }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/realms/shop/protocol/openid-connect/token" {
		id, secret, _ := r.BasicAuth()
		if id != "tocsin" || secret != "hunter2" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			answer(w, map[string]string{"error": "invalid_client"})
			return
		}
		s.tokens++
		answer(w, map[string]any{"access_token": s.token(), "token_type": "Bearer", "expires_in": 60})
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+s.token() || s.stale {
		s.stale = false
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/realms/shop/users", s.search)
	mux.HandleFunc("GET /admin/realms/shop/users/{id}/sessions", func(w http.ResponseWriter, r *http.Request) {
		if !s.known(w, r) {
			return
		}
		answer(w, slices.DeleteFunc(slices.Clone(s.sessions), func(one session) bool { return one.UserID != r.PathValue("id") }))
	})
	mux.HandleFunc("POST /admin/realms/shop/users/{id}/logout", func(w http.ResponseWriter, r *http.Request) {
		if s.known(w, r) {
			s.logouts++
			s.remove(func(one session) bool { return one.UserID == r.PathValue("id") })
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("DELETE /admin/realms/shop/sessions/{id}", func(w http.ResponseWriter, r *http.Request) {
		if s.remove(func(one session) bool { return one.ID == r.PathValue("id") }) == 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /admin/realms/shop/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if s.known(w, r) {
			answer(w, s.user)
		}
	})
	mux.HandleFunc("PUT /admin/realms/shop/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !s.known(w, r) {
			return
		}
		s.user = nil // what is left out is gone
		if json.NewDecoder(r.Body).Decode(&s.user) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.Errorf("got %s %s, want a call that is documented", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	})
	mux.ServeHTTP(w, r)
}

func (s *server) search(w http.ResponseWriter, r *http.Request) {
	query, found := r.URL.Query(), []map[string]string{}
	byMail := query.Get("email") == "jo@example.com" && query.Get("exact") == "true"
	byBroker := query.Get("idpAlias") == "corp" && query.Get("idpUserId") == "jo-at-corp"
	if byMail || byBroker {
		found = append(found, map[string]string{"id": "u1", "username": "jo"})
	}
	if s.careless {
		found = []map[string]string{{"id": "u2", "email": "banjo@example.com"}, {"id": "u1", "email": "Jo@example.com"}, {"id": "u3", "email": "max@example.com"}}
	}
	answer(w, found)
}

func (s *server) known(w http.ResponseWriter, r *http.Request) bool {
	if r.PathValue("id") == "u1" {
		return true
	}
	w.WriteHeader(http.StatusNotFound)
	answer(w, map[string]string{"error": "User not found"})
	return false
}

func (s *server) remove(which func(session) bool) int {
	before := len(s.sessions)
	s.sessions = slices.DeleteFunc(s.sessions, which)
	return before - len(s.sessions)
}

func (s *server) alive() (ids []string) {
	for _, one := range s.sessions {
		ids = append(ids, one.ID)
	}
	return ids
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func action(id subject.Identifier, effect hooks.Effect) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Issuer: upstream, ID: "j", Subject: id, EventTime: now}, "keycloak", effect)
}

func newHook(t *testing.T, cfg keycloak.Config) *keycloak.Hook {
	t.Helper()
	cfg.Realm, cfg.ClientID, cfg.ClientSecret = "shop", "tocsin", "hunter2"
	h, err := keycloak.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func start(t *testing.T, cfg keycloak.Config) (*server, *keycloak.Hook) {
	t.Helper()
	api := newServer(t)
	listener := httptest.NewServer(api)
	t.Cleanup(listener.Close)
	cfg.URL, cfg.HTTP = listener.URL, call.Config{InsecureLoopback: true}
	return api, newHook(t, cfg)
}

func TestSuite(t *testing.T) {
	hookstest.Run(t, hookstest.Subject{
		New: func(t *testing.T, base string, client call.Config) hooks.Hook {
			return newHook(t, keycloak.Config{URL: base, DisableUsers: true, HTTP: client})
		},
		Server:  func(t *testing.T) http.Handler { return newServer(t) },
		Calls:   7, // token, look-up, user, user disabled, sessions, two ended
		Action:  action(subject.Email("jo@example.com"), hooks.Deny),
		Secrets: []string{"jo@example.com", "hunter2"},
	})
}

func TestEnd(t *testing.T) {
	jo := subject.Email("jo@example.com")
	both, err := subject.Complex(map[string]subject.Identifier{"user": jo, "session": subject.Opaque("young")})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"old", "equal", "young", "max"}
	for _, tt := range []struct {
		name  string
		cfg   keycloak.Config
		event subject.Identifier
		want  []string // alive
		na    bool
	}{
		{"by id", keycloak.Config{Issuer: realm}, subject.IssSub(realm, "u1"), []string{"young", "max"}, false},
		{"by e-mail", keycloak.Config{}, jo, []string{"young", "max"}, false},
		{"by broker", keycloak.Config{Brokers: map[string]string{upstream: "corp"}}, subject.IssSub(upstream, "jo-at-corp"), []string{"young", "max"}, false},
		{"each alias leads to one user", keycloak.Config{Issuer: realm}, subject.Aliases(subject.IssSub(realm, "u1"), jo), []string{"young", "max"}, false},
		{"one session", keycloak.Config{OwnSessions: true}, both, []string{"old", "equal", "max"}, false},
		{"a session elsewhere", keycloak.Config{}, both, []string{"young", "max"}, false},
		{"unknown e-mail", keycloak.Config{}, subject.Email("who@example.com"), all, false},
		{"unknown id", keycloak.Config{Issuer: realm}, subject.IssSub(realm, "u9"), all, false},
		{"e-mail is not looked at", keycloak.Config{NoEmail: true}, jo, all, true},
		{"another issuer's", keycloak.Config{}, subject.IssSub("https://other.example", "u1"), all, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api, h := start(t, tt.cfg)
			preview, err := h.Preview(t.Context(), action(tt.event, hooks.End))
			if errors.Is(err, hooks.ErrNotApplicable) != tt.na || !slices.Equal(api.alive(), all) {
				t.Errorf("preview: got %v and %q alive, want nothing done", err, api.alive())
			}
			got, err := h.Act(t.Context(), action(tt.event, hooks.End))
			if errors.Is(err, hooks.ErrNotApplicable) != tt.na || err != nil && !tt.na || got != preview || got.Ended != len(all)-len(tt.want) {
				t.Errorf("got %+v, %v after a preview of %+v, want %d ended", got, err, preview, len(all)-len(tt.want))
			}
			if !slices.Equal(api.alive(), tt.want) {
				t.Errorf("got %q alive, want %q", api.alive(), tt.want)
			}
		})
	}
}

// A server that is too old for a search answers with others, too: nobody else's sessions end.
func TestCarelessSearch(t *testing.T) {
	api, h := start(t, keycloak.Config{Brokers: map[string]string{upstream: "corp"}})
	api.careless = true
	if _, err := h.Act(t.Context(), action(subject.IssSub(upstream, "jo-at-corp"), hooks.End)); !receiver.IsPermanent(err) || len(api.alive()) != 4 {
		t.Errorf("by broker: got %v and %q alive, want a permanent error and nothing done", err, api.alive())
	}
	if _, err := h.Act(t.Context(), action(subject.Email("jo@example.com"), hooks.End)); err != nil || !slices.Equal(api.alive(), []string{"young", "max"}) {
		t.Errorf("by e-mail: got %v and %q alive, want jo's alone ended", err, api.alive())
	}
}

// A user of whom all sessions end is logged out at once.
func TestLogout(t *testing.T) {
	api, h := start(t, keycloak.Config{})
	api.remove(func(one session) bool { return one.ID == "young" })
	if got, err := h.Act(t.Context(), action(subject.Email("jo@example.com"), hooks.End)); err != nil || got.Ended != 2 || api.logouts != 1 {
		t.Errorf("got %+v, %v, %d log-outs, want 2 ended by one", got, err, api.logouts)
	}
}

// Deny and Allow keep all else that is known of the user.
func TestDisable(t *testing.T) {
	api, h := start(t, keycloak.Config{DisableUsers: true})
	for _, tt := range []struct {
		effect hooks.Effect
		want   bool
	}{{hooks.Deny, false}, {hooks.Allow, true}} {
		if _, err := h.Act(t.Context(), action(subject.Email("jo@example.com"), tt.effect)); err != nil {
			t.Fatal(err)
		}
		if api.user["enabled"] != tt.want || api.user["firstName"] != "Jo" || api.user["attributes"] == nil {
			t.Errorf("%s: got %v, want enabled %v and nothing lost", tt.effect, api.user, tt.want)
		}
	}
	one, err := subject.Complex(map[string]subject.Identifier{"user": subject.Email("jo@example.com"), "session": subject.Opaque("s1")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Act(t.Context(), action(one, hooks.Deny)); err != nil || api.user["enabled"] != true {
		t.Errorf("deny of one session: got %v, enabled %v, want the user enabled", err, api.user["enabled"])
	}
	_, plain := start(t, keycloak.Config{})
	if _, err := plain.Act(t.Context(), action(subject.Email("jo@example.com"), hooks.Allow)); !errors.Is(err, hooks.ErrNotApplicable) {
		t.Errorf("allow, not configured: got %v, want %v", err, hooks.ErrNotApplicable)
	}
}

// A token is kept; one that is no longer taken is replaced within the call.
func TestToken(t *testing.T) {
	api, h := start(t, keycloak.Config{})
	for _, stale := range []bool{false, false, true} {
		api.stale = stale
		if _, err := h.Act(t.Context(), action(subject.Email("jo@example.com"), hooks.End)); err != nil {
			t.Errorf("stale %v: got %v, want none", stale, err)
		}
	}
	if api.tokens != 2 {
		t.Errorf("got %d tokens fetched, want 2", api.tokens)
	}
}

func TestConfig(t *testing.T) {
	_, err := keycloak.New(keycloak.Config{URL: "sso", ClientSecret: "hunter2", Brokers: map[string]string{"": "corp"}})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"url:", "realm:", "client_id:", "brokers:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
}
