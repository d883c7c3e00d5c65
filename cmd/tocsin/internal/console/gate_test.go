package console_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The page Gate tells what proxies were answered and why, and of nobody whose requests
// they were; where there is no check endpoint it says so.
func TestGate(t *testing.T) {
	without := openReceiver(t).signedIn()
	without.get("/console/gate").wants(t, 200, "No check endpoint is configured")
	without.get("/console/gate?outcome=none").wants(t, 400, "outcome is neither")
	without.post("/console/explain", "set", "no SET").wants(t, 400, "Not explained", "no SET</textarea>")

	r := openReceiver(t, "sessions: {store: memory}\ngate: {fail: closed, check: {listen: '127.0.0.1:1', cookie: sid}}\n")
	v := r.signedIn()
	v.get("/console/gate").wants(t, 200, "No proxy has asked yet")
	r.operate(http.MethodPost, "/sessions", map[string]any{
		"id": "session-of-jo", "members": map[string]any{"user": []any{map[string]string{"format": "email", "email": "jo@example.com"}}},
	}, nil)
	check := r.daemon.CheckHandler()
	for cookie, want := range map[string]int{"sid=session-of-jo": 200, "sid=another": 401, "other=x": 401} {
		q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		q.RemoteAddr = "127.0.0.1:4711"
		q.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		if check.ServeHTTP(w, q); w.Code != want {
			t.Fatalf("%s: got %d, want %d", cookie, w.Code, want)
		}
	}
	p := v.get("/console/gate")
	p.wants(t, 200, "3 decisions", "● let through", "✕ turned away", "no event ended the session", "shows nothing of whose it is", "cookie")
	p.lacks(t, "session-of-jo", "jo@example.com", "another")
	v.get("/console/gate?outcome=through").wants(t, 200, "1 decision,")
	away := v.get("/console/gate?outcome=away")
	away.wants(t, 200, "2 decisions,")
	away.lacks(t, "● let through")

	b := r.browse(t)
	b.open("/console/gate")
	b.look("receiver-gate")

	// Many of one kind hide none of the other, and no more than 100 are kept of each.
	for range 250 {
		q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		q.RemoteAddr = "127.0.0.1:4711"
		check.ServeHTTP(httptest.NewRecorder(), q)
	}
	v.get("/console/gate").wants(t, 200, "101 decisions,", "● let through")
}
