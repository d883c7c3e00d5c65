package call_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

func newClient(t *testing.T, cfg call.Config) *call.Client {
	t.Helper()
	c, err := call.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func do(t *testing.T, c *call.Client, address string) (call.Answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req, "call")
}

// Which answers are worth another attempt, and when.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		status    int
		after     string
		permanent bool
		later     time.Duration
	}{
		{http.StatusTemporaryRedirect, "", true, 0},
		{http.StatusBadRequest, "", true, 0},
		{http.StatusUnauthorized, "", false, 0},
		{http.StatusNotFound, "", false, 0},
		{http.StatusGone, "", true, 0},
		{http.StatusTooManyRequests, "120", false, 2 * time.Minute},
		{http.StatusTooManyRequests, "-5", false, 0},
		{http.StatusServiceUnavailable, "99999999999999999999", false, 0},
		{http.StatusServiceUnavailable, "999999999", false, receiver.MaxLater},
		{http.StatusInternalServerError, "soon", false, 0},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", tt.after)
			w.WriteHeader(tt.status)
		}))
		a, err := do(t, newClient(t, call.Config{InsecureLoopback: true}), server.URL)
		server.Close()
		if err != nil {
			t.Fatal(err)
		}
		err = a.Verdict("call", http.StatusOK)
		if err == nil || receiver.IsPermanent(err) != tt.permanent || receiver.After(err) != tt.later {
			t.Errorf("%d %q: got %v, permanent %v, after %v, want permanent %v, after %v",
				tt.status, tt.after, err, receiver.IsPermanent(err), receiver.After(err), tt.permanent, tt.later)
		}
	}
	if err := (call.Answer{Status: http.StatusNoContent}).Verdict("call", http.StatusOK, http.StatusNoContent); err != nil {
		t.Errorf("one of several successes: got %v, want none", err)
	}
}

// Private addresses are called only if they are allowed.
func TestAllow(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := do(t, newClient(t, call.Config{}), server.URL); !guard.Blocked(err) {
		t.Errorf("not allowed: got %v, want it blocked", err)
	}
	if _, err := do(t, newClient(t, call.Config{Allow: []string{"127.0.0.0/8"}}), server.URL); err == nil || guard.Blocked(err) {
		t.Errorf("allowed: got %v, want a connection, which fails for its certificate alone", err)
	}
}

func TestConfig(t *testing.T) {
	_, err := call.New(call.Config{Allow: []string{"10.0.0.1"}, CA: "no", Timeout: -1, Headers: map[string]string{"a b": "x"}})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"allow:", "ca:", "timeout:", "headers:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	if _, err := call.New(call.Config{Headers: map[string]string{"X": "a\r\nB: c"}}); err == nil {
		t.Error("got no error for a header of two lines, want one")
	}
}
