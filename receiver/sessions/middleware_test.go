package sessions_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// app is an application behind a gate that knows jo, mo (revoked) and no (denied).
func app(t *testing.T, fail sessions.FailMode, guard func(sessions.Guard) sessions.Guard) http.Handler {
	t.Helper()
	now := time.Now()
	r, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, r.State(), sessions.OpRevoke, "mo", now)
	apply(t, r.State(), sessions.OpDeny, "no", now)
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"jo", "mo", "no"} {
		s := session(user, now)
		s.ID = user
		if err := index.Add(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: r, Fail: fail})
	if err != nil {
		t.Fatal(err)
	}
	return guard(sessions.Guard{Gate: gate, Identify: sessions.FromCookie(index, "sid")}).Middleware(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
}

func get(h http.Handler, cookie string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: "sid", Value: cookie})
	}
	h.ServeHTTP(w, r)
	return w
}

func TestMiddleware(t *testing.T) {
	as := func(g sessions.Guard) sessions.Guard { return g }
	closed, open := app(t, sessions.FailClosed, as), app(t, sessions.FailOpen, as)
	for _, tt := range []struct {
		cookie       string
		closed, open int
	}{
		{"", 204, 204},
		{"jo", 204, 204},
		{"mo", 401, 401},
		{"no", 403, 403},
		{"nobody's", 401, 204},
		{strings.Repeat("a", sessions.MaxIDBytes+1), 401, 204},
	} {
		for _, one := range []struct {
			app  http.Handler
			want int
		}{{closed, tt.closed}, {open, tt.open}} {
			w := get(one.app, tt.cookie)
			if w.Code != one.want {
				t.Errorf("cookie %.10q: got %d, want %d", tt.cookie, w.Code, one.want)
			}
			if w.Code >= 400 && w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("cookie %.10q: got a refusal that may be cached, want no-store", tt.cookie)
			}
		}
	}
}

// awayIndex is an index whose store is away.
type awayIndex struct{ sessions.Index }

func (awayIndex) Lookup(context.Context, string) (sessions.Bearer, error) {
	return sessions.Bearer{}, errors.New("away")
}

// While the index is away the fail mode decides.
func TestMiddlewareIndexAway(t *testing.T) {
	for mode, want := range map[sessions.FailMode]int{sessions.FailClosed: 503, sessions.FailOpen: 204} {
		h := app(t, mode, func(g sessions.Guard) sessions.Guard {
			g.Identify = sessions.FromCookie(awayIndex{}, "sid")
			return g
		})
		w := get(h, "jo")
		if w.Code != want || (w.Header().Get("Retry-After") != "") != (want == 503) {
			t.Errorf("fail %s: got %d, Retry-After %q, want %d", mode, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
}

// The answer can be the application's own, and a bearer token's refusal says so as
// RFC 6750 §3 has it.
func TestRefuse(t *testing.T) {
	own := app(t, sessions.FailClosed, func(g sessions.Guard) sessions.Guard {
		g.Refuse = func(w http.ResponseWriter, r *http.Request, v sessions.Verdict) {
			http.Redirect(w, r, "/login?because="+v.String(), http.StatusSeeOther)
		}
		return g
	})
	if w := get(own, "mo"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?because=revoked" {
		t.Errorf("got %d to %q, want 303 to the log-in page", w.Code, w.Header().Get("Location"))
	}
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer a.b.c")
	sessions.Refuse(w, r, sessions.Revoked)
	if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer error="invalid_token"`) {
		t.Errorf("got WWW-Authenticate %q, want invalid_token", got)
	}
}

// counting is an index that counts, and fails if told so.
type counting struct {
	*sessions.Memory
	adds int
	err  error
}

func (c *counting) Add(ctx context.Context, s sessions.Session) error {
	if c.adds++; c.err != nil {
		return c.err
	}
	return c.Memory.Add(ctx, s)
}

// Track adds a session at its first request, and again once it is another's; a failure
// is 503 unless decided otherwise.
func TestTrack(t *testing.T) {
	memory, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	index := &counting{Memory: memory}
	user, begun := "jo", time.Now()
	identify := func(r *http.Request) (sessions.Session, bool) {
		cookie, err := r.Cookie("sid")
		if err != nil {
			return sessions.Session{}, false
		}
		return sessions.Session{
			ID: cookie.Value, Begun: begun,
			Members: map[string][]subject.Identifier{"user": {subject.Email(user + "@example.com")}},
		}, true
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	h := sessions.Track(index, identify)(ok)
	says := func(cookie string, status, adds int) {
		t.Helper()
		if w := get(h, cookie); w.Code != status || index.adds != adds {
			t.Errorf("got %d after %d adds, want %d after %d", w.Code, index.adds, status, adds)
		}
	}
	says("", 200, 0)
	says("a", 200, 1)
	says("a", 200, 1)
	says("b", 200, 2)
	if _, err := memory.Lookup(t.Context(), "a"); err != nil {
		t.Errorf("got %v, want the session known", err)
	}
	user = "mo"
	says("a", 200, 3)
	index.err = errors.New("away")
	says("c", 503, 4)
	says("c", 503, 5)
	says("a", 200, 5)
	index.err = sessions.ErrInvalid
	says("c", 500, 6)
	var failed error
	h = (&sessions.Tracker{Index: index, Identify: identify, Failed: func(_ http.ResponseWriter, _ *http.Request, err error) bool {
		failed = err
		return true
	}}).Middleware(ok)
	says("c", 200, 7)
	if !errors.Is(failed, sessions.ErrInvalid) {
		t.Errorf("got %v, want the index's error", failed)
	}
}
