package receivers_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
)

const gateToken = "a-token-of-the-proxy"

// gateSocket is where the gate of a receiver is asked.
type gateSocket struct {
	path   string
	client *http.Client
}

func newGateSocket(t *testing.T) *gateSocket {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &gateSocket{path: filepath.Join(dir, "s")}
	g.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", g.path)
		},
	}}
	return g
}

// asked sends a request as the proxy does for the browser of a session, or as the
// application does, and returns the status.
func (g *gateSocket) asked(t *testing.T, method, path, session, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://gate"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(check.TokenHeader, gateToken)
	r.AddCookie(&http.Cookie{Name: "sid", Value: session})
	resp, err := g.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// An application tells of logins, a real signal closes the gate for one user and no
// other, and a kill -9 right then neither opens it nor forgets a session.
func TestReceiveGateOutlivesKill(t *testing.T) {
	g := newGateSocket(t)
	s := newShop(t, func(s *shop) string {
		token := filepath.Join(filepath.Dir(g.path), "token")
		if err := os.WriteFile(token, []byte(gateToken), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("gate: {fail: closed, check: {listen: %q, cookie: sid, token_file: %q}}\nissuers:\n", g.path, token) + s.issuer("pushed", "push")
	}, "pushed")
	if err := s.receiver.Start(); err != nil {
		t.Fatal(err)
	}
	s.verified(t, "pushed")
	for _, user := range []string{"jo", "al"} {
		login := fmt.Sprintf(`{"id":"s-%s","begun":%q,"members":{"user":[%s]}}`, user, time.Now().Add(-time.Minute).Format(time.RFC3339), email(user+"@example.com"))
		if got := g.asked(t, http.MethodPost, "/sessions", "", login); got != http.StatusNoContent {
			t.Fatalf("login: got %d, want 204", got)
		}
		if got := g.asked(t, http.MethodGet, "/check", "s-"+user, ""); got != http.StatusOK {
			t.Fatalf("%s after the login: got %d, want 200", user, got)
		}
	}
	s.emit(t, "1", email("jo@example.com"))
	proctest.Eventually(t, "a gate that is closed", func() bool { return g.asked(t, http.MethodGet, "/check", "s-jo", "") == http.StatusUnauthorized })
	s.receiver.Kill()
	if err := s.receiver.Start(); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"s-jo": 401, "s-al": 200, "never-told": 401} {
		if got := g.asked(t, http.MethodGet, "/check", id, ""); got != want {
			t.Errorf("%s after a kill: got %d, want %d", id, got, want)
		}
	}
}
