package hydra_test

import (
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
	"github.com/tocsin-ssf/tocsin/receiver/hooks/hydra"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const idp = "https://idp.example"

var _ hooks.Hook = (*hydra.Hook)(nil)

// server answers as Hydra's admin API is documented, and notes what it did.
type server struct {
	known []string // subjects and sids
	did   []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	who := query.Get("subject") + query.Get("sid")
	const base = "/admin/oauth2/auth/sessions/"
	kind := strings.TrimPrefix(r.URL.Path, base)
	switch {
	case r.Method != http.MethodDelete || !strings.HasPrefix(r.URL.Path, base) || kind != "login" && kind != "consent":
		w.WriteHeader(http.StatusNotFound)
		s.did = append(s.did, "unknown "+r.Method+" "+r.URL.Path)
	case who == "" || query.Has("subject") == query.Has("sid") || kind == "consent" && (query.Has("sid") || query.Get("all") != "true"):
		w.WriteHeader(http.StatusBadRequest)
	case !slices.Contains(s.known, who):
		w.WriteHeader(http.StatusNotFound)
	default:
		s.did = append(s.did, kind+" "+r.URL.RawQuery)
		w.WriteHeader(http.StatusNoContent)
	}
}

func action(id subject.Identifier, effect hooks.Effect) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Issuer: idp, ID: "j", Subject: id, EventTime: time.Now()}, "hydra", effect)
}

func newHook(t *testing.T, cfg hydra.Config) *hydra.Hook {
	t.Helper()
	h, err := hydra.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSuite(t *testing.T) {
	hookstest.Run(t, hookstest.Subject{
		New: func(t *testing.T, base string, client call.Config) hooks.Hook {
			client.Headers = map[string]string{"Authorization": "Bearer hunter2"}
			return newHook(t, hydra.Config{URL: base, RevokeConsent: true, HTTP: client})
		},
		Calls:   2, // login sessions, consent
		Server:  func(*testing.T) http.Handler { return &server{known: []string{"secret-jo"}} },
		Action:  action(subject.IssSub(idp, "secret-jo"), hooks.End),
		Secrets: []string{"secret-jo", "hunter2"},
	})
}

func TestAct(t *testing.T) {
	both, err := subject.Complex(map[string]subject.Identifier{"user": subject.IssSub(idp, "jo"), "session": subject.Opaque("s1")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		cfg    hydra.Config
		event  subject.Identifier
		effect hooks.Effect
		want   []string
		na     bool
	}{
		{"user", hydra.Config{}, subject.IssSub(idp, "jo"), hooks.End, []string{"login subject=jo"}, false},
		{"session", hydra.Config{RevokeConsent: true}, both, hooks.End, []string{"login sid=s1"}, false},
		{"sessions are not its own", hydra.Config{Sid: "-", RevokeConsent: true}, both, hooks.End, []string{"login subject=jo"}, false},
		{"consent, too", hydra.Config{RevokeConsent: true}, subject.IssSub(idp, "jo"), hooks.Deny, []string{"login subject=jo", "consent all=true&subject=jo"}, false},
		{"unknown user", hydra.Config{}, subject.IssSub(idp, "max"), hooks.End, nil, false},
		{"another issuer's", hydra.Config{SubjectIssuer: "https://op.example"}, subject.IssSub(idp, "jo"), hooks.End, nil, true},
		{"no sub", hydra.Config{}, subject.Email("jo@example.com"), hooks.End, nil, true},
		{"another effect", hydra.Config{}, subject.IssSub(idp, "jo"), hooks.Allow, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := &server{known: []string{"jo", "s1"}}
			listener := httptest.NewServer(api)
			defer listener.Close()
			tt.cfg.URL, tt.cfg.HTTP = listener.URL+"/", call.Config{InsecureLoopback: true}
			_, err := newHook(t, tt.cfg).Act(t.Context(), action(tt.event, tt.effect))
			if errors.Is(err, hooks.ErrNotApplicable) != tt.na || err != nil && !tt.na {
				t.Errorf("got error %v, want not applicable %v", err, tt.na)
			}
			if !slices.Equal(api.did, tt.want) {
				t.Errorf("got %q, want %q", api.did, tt.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	_, err := hydra.New(hydra.Config{URL: "hydra", Subject: "{", Sid: "x"})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"url:", "sub:", "sid:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
}
