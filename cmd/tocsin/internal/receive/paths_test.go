package receive_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
)

// Whatever path and method a proxy asks with is the check's: none leads to a redirect,
// which a proxy would hand on to the browser, and none to the logins by a detour.
func TestCheckPaths(t *testing.T) {
	index, err := sessions.NewMemory(sessions.IndexConfig{})
	if err != nil {
		t.Fatal(err)
	}
	const token = "0123456789abcdef"
	h := receive.CheckRoutes(index, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), token)
	ask := func(method, path, body string) int {
		r, w := httptest.NewRequest(method, path, strings.NewReader(body)), httptest.NewRecorder()
		r.Header.Set(check.TokenHeader, token)
		h.ServeHTTP(w, r)
		return w.Code
	}
	for _, path := range []string{
		"/", "/check", "/check/", "/check//a", "/check/a//b/../c", "/check/a%2Fb", "//", "/a/.",
		"/check/../sessions", "/check/%2e%2e/sessions", "//sessions", "/sessions/", "/check/sessions",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "PURGE"} {
			if got := ask(method, path, "{}"); got != http.StatusTeapot {
				t.Errorf("%s %s: got %d, want the check", method, path, got)
			}
		}
	}
	if got := ask("POST", "/sessions", `{"id":"s","members":{"user":[{"format":"email","email":"jo@example.com"}]}}`); got != http.StatusNoContent || index.Len() != 1 {
		t.Errorf("a login: got %d and %d sessions, want 204 and 1", got, index.Len())
	}
	if got := ask("POST", "/sessions", `{"id":"t","members":{"user":[{"format":"email","email":"jo@example.com"}]},"expire":"2026-11-25T09:00:00Z"}`); got != http.StatusBadRequest || index.Len() != 1 {
		t.Errorf("a login with a member that is not known: got %d and %d sessions, want 400 and 1", got, index.Len())
	}
	if got := ask("POST", "/sessions/remove", `{"ids":["s"]}`); got != http.StatusNoContent || index.Len() != 0 {
		t.Errorf("a logout: got %d and %d sessions, want 204 and none", got, index.Len())
	}
}
