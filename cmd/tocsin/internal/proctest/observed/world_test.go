// Package observed_test looks at a whole run as operators do: at its metrics, through a
// Prometheus, at its traces and at its logs.
package observed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/check"
	"github.com/tocsin-ssf/tocsin/transmitter/source/sourcetest"
)

const (
	eventType = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	gateToken = "a-token-of-the-proxy"
)

// world is a transmitter and a receiver, each a real process, with everything in use
// that has figures of its own: push, poll, a webhook, a vendor's source, the gate.
type world struct {
	idp, app       *proctest.Server
	idpLog, appLog *journal
	source         string // token of one who sends events
	idle           string // token of an application that never polls
	client         *http.Client
	gate           string // socket of the check endpoint
	told           *httptest.Server
}

// journal keeps what a process says.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// start starts both halves; env is added to that of both.
func start(t *testing.T, env ...string) *world {
	t.Helper()
	w := &world{client: &http.Client{Timeout: 10 * time.Second}, idpLog: &journal{}, appLog: &journal{}}
	w.idp = proctest.New(t, "--push-schedule", "20ms,50ms,100ms", "--redeliver", "1s", "--rotate-every", "90d", "--log-level", "debug")
	w.idp.Said = w.idpLog
	if err := w.idp.Start(env...); err != nil {
		t.Fatal(err)
	}
	for name, scope := range map[string]string{
		"source": "events.write webhooks.manage", "pushed": "ssf.manage ssf.read", "polled": "ssf.manage ssf.read", "idle": "ssf.manage",
	} {
		token, err := w.idp.Token(t.Context(), name, "https://"+name+".example", scope)
		if err == nil {
			err = os.WriteFile(w.file("token-"+name), []byte(token), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "source":
			w.source = token
		case "idle":
			w.idle = token
		}
	}
	dir, err := os.MkdirTemp("", "gate") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.gate = filepath.Join(dir, "s")
	if err := os.WriteFile(w.file("gate-token"), []byte(gateToken), 0o600); err != nil {
		t.Fatal(err)
	}
	w.told = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(w.told.Close)
	w.app = proctest.NewReceiver(t, w.config())
	w.app.Said = w.appLog
	if err := w.app.Start(env...); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, "streams that are verified", func() bool {
		return w.gauge(t, w.app, `tocsin_receive_issuer_ok{issuer="pushed"}`) == 1 && w.gauge(t, w.app, `tocsin_receive_issuer_ok{issuer="polled"}`) == 1
	})
	return w
}

func (w *world) file(name string) string { return filepath.Join(w.idp.Dir, name) }

func (w *world) config() string {
	var issuers strings.Builder
	for name, method := range map[string]string{"pushed": "push", "polled": "poll"} {
		fmt.Fprintf(&issuers, "- name: %s\n  issuer: %s\n  audience: https://%s.example\n  credentials: {token_file: %s}\n  delivery: {method: %s}\n",
			name, w.idp.Issuer, name, w.file("token-"+name), method)
	}
	return fmt.Sprintf("log_level: debug\nretry: [100ms, 200ms]\nhooks:\n  tell: {type: webhook, url: %q, secrets_file: %q}\n", w.told.URL, w.secret()) +
		fmt.Sprintf("gate: {fail: closed, check: {listen: %q, cookie: sid, token_file: %q}}\nissuers:\n", w.gate, w.file("gate-token")) + issuers.String()
}

func (w *world) secret() string {
	path := w.file("hook-secret")
	_ = os.WriteFile(path, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600)
	return path
}

// emit lets something happen to a user and returns the event's id.
func (w *world) emit(t *testing.T, id, address string, header ...string) string {
	t.Helper()
	body := fmt.Sprintf(`{"source_id":%q,"type":%q,"subject":{"format":"email","email":%q}}`, id, eventType, address)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.idp.Issuer+"/v1/events", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.source)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // decoded
	var answer struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("emit: got %d %v, want 202", resp.StatusCode, err)
	}
	return answer.ID
}

// traffic uses everything once.
func (w *world) traffic(t *testing.T) {
	t.Helper()
	body := map[string]any{"url": w.told.URL, "format": "event"}
	if status, said, err := w.idp.Call(t.Context(), w.client, http.MethodPost, "/v1/webhooks", w.source, body); err != nil || status != http.StatusCreated {
		t.Fatalf("a webhook: got %d %s %v, want 201", status, said, err)
	}
	poll := map[string]any{"delivery": map[string]string{"method": "urn:ietf:rfc:8936"}, "events_requested": []string{eventType}}
	if status, said, err := w.idp.Call(t.Context(), w.client, http.MethodPost, "/ssf/streams", w.idle, poll); err != nil || status != http.StatusCreated {
		t.Fatalf("a stream: got %d %s %v, want 201", status, said, err)
	}
	vendor := sourcetest.NewOneLogin("of-the-vendor")
	vendor.Add(sourcetest.OneLoginEvent(1, 7, time.Now().Add(-time.Minute)))
	api := httptest.NewServer(vendor)
	t.Cleanup(api.Close)
	if _, err := w.idp.Command(t.Context(), "source", "add", "--data", w.idp.Dir, "--name", "hr", "--kind", "onelogin", "--auth", "off",
		"--api-url", api.URL, "--api-secret", "of-the-vendor", "--poll-every", "1s", "--poll-since", time.Now().Add(-time.Hour).Format(time.RFC3339)); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		w.emit(t, fmt.Sprint("traffic-", i), fmt.Sprintf("user%d@example.com", i))
	}
	if got := w.asked(t, "nobody"); got != http.StatusUnauthorized {
		t.Fatalf("the gate: got %d, want 401", got)
	}
	if resp, err := w.client.Post(w.app.Issuer+"/push/pushed", "application/secevent+jwt", strings.NewReader("no SET")); err != nil {
		t.Fatal(err)
	} else {
		_ = resp.Body.Close()
	}
	proctest.Eventually(t, "hooks that are done", func() bool {
		return w.gauge(t, w.app, `tocsin_receive_handled_total{issuer="pushed",verdict="done"}`) >= 6 &&
			w.gauge(t, w.app, `tocsin_receive_handled_total{issuer="polled",verdict="done"}`) >= 6 &&
			w.gauge(t, w.idp, `tocsin_source_records_total{outcome="kept",source="hr"}`) >= 1
	})
}

// asked asks the gate of a session and returns its answer.
func (w *world) asked(t *testing.T, session string) int {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", w.gate)
		},
	}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gate/check", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(check.TokenHeader, gateToken)
	r.AddCookie(&http.Cookie{Name: "sid", Value: session})
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
