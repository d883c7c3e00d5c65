package kratos_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/hookstest"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/kratos"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const idp = "https://idp.example"

var (
	_ hooks.Hook      = (*kratos.Hook)(nil)
	_ hooks.Previewer = (*kratos.Hook)(nil)

	now = time.Unix(1700000000, 0).UTC()
)

// session is one as Kratos lists it.
type session struct {
	ID              string    `json:"id"`
	Active          bool      `json:"active"`
	AuthenticatedAt time.Time `json:"authenticated_at"`
}

// server answers as Kratos' admin API is documented.
type server struct {
	*testing.T
	logins   map[string]string // identities by what they log in with
	sessions map[string][]*session
	state    map[string]string
	careless bool // takes no account of what it is asked for
}

func newServer(t *testing.T) *server {
	return &server{
		T: t, logins: map[string]string{"jo@example.com": "i1"}, state: map[string]string{"i1": "active"},
		sessions: map[string][]*session{"i1": {
			{"old", true, now.Add(-time.Minute)}, {"equal", true, now}, {"young", true, now.Add(time.Second)}, {"over", false, now.Add(-time.Minute)},
		}},
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/identities", func(w http.ResponseWriter, r *http.Request) {
		found := []map[string]string{}
		if id, ok := s.logins[r.URL.Query().Get("credentials_identifier")]; ok {
			found = append(found, map[string]string{"id": id, "schema_id": "default", "state": s.state[id]})
		}
		for i := 1; s.careless && i < 50; i++ {
			found = append(found, map[string]string{"id": "i" + strconv.Itoa(i)})
		}
		answer(w, found)
	})
	mux.HandleFunc("GET /admin/identities/{id}/sessions", func(w http.ResponseWriter, r *http.Request) {
		all, ok := s.sessions[r.PathValue("id")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
		listed := []*session{}
		for _, one := range all {
			if len(listed) < size && (one.Active || r.URL.Query().Get("active") != "true") {
				listed = append(listed, one)
			}
		}
		answer(w, listed)
	})
	mux.HandleFunc("DELETE /admin/sessions/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, all := range s.sessions {
			for _, one := range all {
				if one.ID == r.PathValue("id") {
					one.Active = false
					w.WriteHeader(http.StatusNoContent)
					return
				}
			}
		}
		w.WriteHeader(http.StatusNotFound)
	})
	mux.HandleFunc("PATCH /admin/identities/{id}", func(w http.ResponseWriter, r *http.Request) {
		var patch []struct{ Op, Path, Value string }
		if json.NewDecoder(r.Body).Decode(&patch) != nil || len(patch) != 1 || patch[0].Op != "replace" || patch[0].Path != "/state" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if _, ok := s.state[r.PathValue("id")]; !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		s.state[r.PathValue("id")] = patch[0].Value
		answer(w, map[string]string{"id": r.PathValue("id"), "state": patch[0].Value})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.Errorf("got %s %s, want a call that is documented", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	})
	mux.ServeHTTP(w, r)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// alive returns the ids of the active sessions.
func (s *server) alive() (ids []string) {
	for _, one := range s.sessions["i1"] {
		if one.Active {
			ids = append(ids, one.ID)
		}
	}
	return ids
}

func action(id subject.Identifier, effect hooks.Effect) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Issuer: idp, ID: "j", Subject: id, EventTime: now}, "kratos", effect)
}

func newHook(t *testing.T, cfg kratos.Config) *kratos.Hook {
	t.Helper()
	h, err := kratos.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSuite(t *testing.T) {
	hookstest.Run(t, hookstest.Subject{
		New: func(t *testing.T, base string, client call.Config) hooks.Hook {
			client.Headers = map[string]string{"Authorization": "Bearer hunter2"}
			return newHook(t, kratos.Config{URL: base, Identifier: "{user.email}", SetState: true, HTTP: client})
		},
		Server:  func(t *testing.T) http.Handler { return newServer(t) },
		Calls:   5, // look-up, state, sessions, two ended
		Action:  action(subject.Email("jo@example.com"), hooks.Deny),
		Secrets: []string{"jo@example.com", "hunter2"},
	})
}

func TestEnd(t *testing.T) {
	both, err := subject.Complex(map[string]subject.Identifier{"user": subject.Email("jo@example.com"), "session": subject.Opaque("young")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		cfg   kratos.Config
		event subject.Identifier
		want  []string // alive
		na    bool
	}{
		{"by what the user logs in with", kratos.Config{Identifier: "{user.email}"}, subject.Email("jo@example.com"), []string{"young"}, false},
		{"by id", kratos.Config{Identity: "{user.sub}"}, subject.IssSub(idp, "i1"), []string{"young"}, false},
		{"both lead to one identity", kratos.Config{Identity: "{user.sub}", Identifier: "{user.email}"}, subject.Aliases(subject.IssSub(idp, "i1"), subject.Email("jo@example.com")), []string{"young"}, false},
		{"one session", kratos.Config{Session: "{session.id}", Identifier: "{user.email}"}, both, []string{"old", "equal"}, false},
		{"unknown user", kratos.Config{Identifier: "{user.email}"}, subject.Email("max@example.com"), []string{"old", "equal", "young"}, false},
		{"unknown identity", kratos.Config{Identity: "{user.sub}"}, subject.IssSub(idp, "i9"), []string{"old", "equal", "young"}, false},
		{"an identity that leads elsewhere", kratos.Config{Identity: "{user.sub}"}, subject.IssSub(idp, "../sessions"), []string{"old", "equal", "young"}, false},
		{"no identifier", kratos.Config{Identity: "{user.sub}"}, subject.Email("jo@example.com"), []string{"old", "equal", "young"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := newServer(t)
			listener := httptest.NewServer(api)
			defer listener.Close()
			tt.cfg.URL, tt.cfg.HTTP = listener.URL, call.Config{InsecureLoopback: true}
			h, before := newHook(t, tt.cfg), api.alive()
			preview, err := h.Preview(t.Context(), action(tt.event, hooks.End))
			if errors.Is(err, hooks.ErrNotApplicable) != tt.na || !slices.Equal(api.alive(), before) {
				t.Errorf("preview: got %v and %q alive, want nothing done", err, api.alive())
			}
			got, err := h.Act(t.Context(), action(tt.event, hooks.End))
			if errors.Is(err, hooks.ErrNotApplicable) != tt.na || err != nil && !tt.na || got != preview || got.Ended != len(before)-len(tt.want) {
				t.Errorf("got %+v, %v after a preview of %+v, want %d ended", got, err, preview, len(before)-len(tt.want))
			}
			if !slices.Equal(api.alive(), tt.want) {
				t.Errorf("got %q alive, want %q", api.alive(), tt.want)
			}
		})
	}
}

// More sessions than one page has.
func TestManySessions(t *testing.T) {
	api := newServer(t)
	for i := range 600 {
		api.sessions["i1"] = append(api.sessions["i1"], &session{"s" + strconv.Itoa(i), true, now})
	}
	listener := httptest.NewServer(api)
	defer listener.Close()
	h := newHook(t, kratos.Config{URL: listener.URL, Identity: "{user.sub}", HTTP: call.Config{InsecureLoopback: true}})
	if got, err := h.Act(t.Context(), action(subject.IssSub(idp, "i1"), hooks.End)); err != nil || got.Ended != 602 {
		t.Errorf("got %+v, %v, want 602 ended", got, err)
	}
}

// Deny and Allow set the state, if that is wanted.
func TestState(t *testing.T) {
	for _, set := range []bool{true, false} {
		api := newServer(t)
		listener := httptest.NewServer(api)
		h := newHook(t, kratos.Config{URL: listener.URL, Identifier: "{user.email}", SetState: set, HTTP: call.Config{InsecureLoopback: true}})
		jo := subject.Email("jo@example.com")
		if got, err := h.Act(t.Context(), action(jo, hooks.Deny)); err != nil || got.Ended != 2 || (api.state["i1"] == "inactive") != set {
			t.Errorf("deny: got %+v, %v, state %s, want 2 ended and the state set %v", got, err, api.state["i1"], set)
		}
		_, err := h.Act(t.Context(), action(jo, hooks.Allow))
		if errors.Is(err, hooks.ErrNotApplicable) == set || api.state["i1"] != "active" {
			t.Errorf("allow: got %v, state %s, want it active, set %v", err, api.state["i1"], set)
		}
		one, err := subject.Complex(map[string]subject.Identifier{"user": jo, "session": subject.Opaque("s1")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Act(t.Context(), action(one, hooks.Deny)); err != nil || api.state["i1"] != "active" {
			t.Errorf("deny of one session: got %v, state %s, want it active", err, api.state["i1"])
		}
		listener.Close()
	}
}

// A server that is too old to look for an identifier answers with all identities: nothing
// is done.
func TestCarelessSearch(t *testing.T) {
	api := newServer(t)
	api.careless = true
	listener := httptest.NewServer(api)
	defer listener.Close()
	h := newHook(t, kratos.Config{URL: listener.URL, Identifier: "{user.email}", HTTP: call.Config{InsecureLoopback: true}})
	if _, err := h.Act(t.Context(), action(subject.Email("who@example.com"), hooks.End)); !receiver.IsPermanent(err) || len(api.alive()) != 3 {
		t.Errorf("got %v and %q alive, want a permanent error and nothing done", err, api.alive())
	}
}

func TestConfig(t *testing.T) {
	_, err := kratos.New(kratos.Config{URL: "kratos", Identity: "{", Session: "s"})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"url:", "identity:", "session:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	if _, err := kratos.New(kratos.Config{URL: "https://kratos.example"}); err == nil {
		t.Error("got no error without a way to find sessions, want one")
	}
}
