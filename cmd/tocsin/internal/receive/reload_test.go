package receive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// application hears of events by a webhook. While it is held it answers nobody.
type application struct {
	*httptest.Server
	mu    sync.Mutex
	heard map[string]int // by jti
	hold  chan struct{}  // nil: answers at once
	at    chan string    // jtis as they come
}

func newApplication(t *testing.T) *application {
	t.Helper()
	a := &application{heard: map[string]int{}, at: make(chan string, 1000)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var message struct {
			Data struct {
				Event struct {
					JTI string `json:"jti"`
				} `json:"event"`
			} `json:"data"`
		}
		if err != nil {
			return // the hook has gone
		}
		if json.Unmarshal(raw, &message) != nil || message.Data.Event.JTI == "" {
			t.Errorf("got a message %s, want JSON with the jti", raw)
		}
		jti := message.Data.Event.JTI
		select {
		case a.at <- jti:
		default: // nobody waits for so many
		}
		a.mu.Lock()
		hold := a.hold
		a.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			}
		}
		a.mu.Lock()
		a.heard[jti]++
		a.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *application) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.heard)
}

// stage is a daemon that runs, and what signs for its issuers.
type stage struct {
	dir    string
	key    *jose.PrivateKey
	daemon *receive.Daemon
}

func newStage(t *testing.T, config string) *stage {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{dir: t.TempDir(), key: key}
	raw, err := json.Marshal(jose.NewKeySet(key.Public()))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, "jwks.json"), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.daemon, err = receive.Open(t.Context(), s.config(t, config), receive.Options{
		Address: "http://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.daemon.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v", err)
		}
		if err := s.daemon.Close(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})
	return s
}

func (s *stage) config(t *testing.T, text string) receive.Config {
	t.Helper()
	path := filepath.Join(s.dir, "receive.yaml")
	if err := os.WriteFile(path, []byte("listen: 127.0.0.1:1\ninsecure_loopback: true\ndata: data\nretry: [10ms, 10ms, 10ms, 10ms, 10ms]\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := receive.Read(path, []string{"SECRET=whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func hook(a *application) string {
	return "hooks:\n  app: {type: webhook, url: " + a.URL + ", secrets: ['${SECRET}']}\n"
}

func issuers(names ...string) string {
	var b strings.Builder
	b.WriteString("issuers:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "- {name: %s, issuer: https://%s.example, key_file: jwks.json, audience: https://shop.example, algorithms: [ES256]}\n", name, name)
	}
	return b.String()
}

// push sends an event of an issuer about a user and returns the status.
func (s *stage) push(t *testing.T, issuer, id string) int {
	t.Helper()
	b := set.Builder{
		Issuer: "https://" + issuer + ".example", ID: id, Audience: []string{"https://shop.example"}, IssuedAt: time.Now(), TransactionID: id,
		Subject: subject.Email(id + "@example.com"), Event: set.Event{Type: caep.SessionRevokedType},
	}
	claims, err := b.Claims()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(s.key, set.HeaderType)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:1/push/"+issuer, strings.NewReader(compact))
	r.Header.Set("Content-Type", delivery.MediaType)
	w := httptest.NewRecorder()
	s.daemon.Handler().ServeHTTP(w, r)
	return w.Code
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("%s: not in time", what)
}

// A reload while a hook is at work: the event ends with the hooks it began with, later
// ones have the new hooks, what an issuer that is gone had in hand is done, and what it
// left waiting is done when it is back.
func TestReloadInFlight(t *testing.T) {
	before, after := newApplication(t), newApplication(t)
	before.hold = make(chan struct{})
	s := newStage(t, hook(before)+issuers("a", "b"))
	for _, issuer := range []string{"a", "b"} {
		if code := s.push(t, issuer, issuer+"1"); code != http.StatusAccepted {
			t.Fatalf("push to %s: got %d, want 202", issuer, code)
		}
		<-before.at // its hook is at work
	}
	reloaded := make(chan error, 1)
	go func() { reloaded <- s.daemon.Reload(t.Context(), s.config(t, hook(after)+issuers("b", "c"))) }()
	// The new configuration is in force while the old hooks still work.
	eventually(t, "the new issuer", func() bool { return s.push(t, "c", "c1") == http.StatusAccepted })
	if code := s.push(t, "a", "a2"); code != http.StatusNotFound {
		t.Errorf("push to an issuer that is gone: got %d, want 404", code)
	}
	if code := s.push(t, "b", "b2"); code != http.StatusAccepted {
		t.Errorf("push to an issuer that stayed: got %d, want 202", code)
	}
	close(before.hold)
	if err := <-reloaded; err != nil {
		t.Fatalf("reload: got %v", err)
	}
	eventually(t, "every event", func() bool { return before.count() == 2 && after.count() == 2 })
	if before.heard["a1"] != 1 || before.heard["b1"] != 1 || after.heard["b2"] != 1 || after.heard["c1"] != 1 {
		t.Errorf("got %v before and %v after, want a1 and b1, then b2 and c1, once each", before.heard, after.heard)
	}
}

// Pushes through many reloads: everything that was answered 202 reaches a hook.
func TestReloadsUnderLoad(t *testing.T) {
	first, second := newApplication(t), newApplication(t)
	s := newStage(t, hook(first)+issuers("a", "b"))
	var taken []string
	stop := make(chan struct{})
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			id := fmt.Sprintf("e%d", n)
			if s.push(t, "a", id) == http.StatusAccepted {
				taken = append(taken, id)
			}
		}
	}()
	for round := range 10 {
		app, names := first, []string{"a", "b"}
		if round%2 == 0 {
			app, names = second, []string{"a"}
		}
		text := hook(app) + issuers(names...)
		if round%3 == 0 {
			text += fmt.Sprintf("workers: %d\n", round+1) // every receiver is another
		}
		if err := s.daemon.Reload(t.Context(), s.config(t, text)); err != nil {
			t.Fatalf("reload %d: got %v", round, err)
		}
	}
	close(stop)
	<-pushed
	if len(taken) == 0 {
		t.Fatal("got nothing taken, want a load")
	}
	eventually(t, "every event", func() bool {
		for _, id := range taken {
			first.mu.Lock()
			second.mu.Lock()
			n := first.heard[id] + second.heard[id]
			second.mu.Unlock()
			first.mu.Unlock()
			if n == 0 {
				return false
			}
		}
		return true
	})
}

// What cannot change while it runs is refused, with every name, and health tells.
func TestReloadRefused(t *testing.T) {
	app := newApplication(t)
	s := newStage(t, hook(app)+issuers("a"))
	cfg := s.config(t, hook(app)+issuers("a"))
	cfg.Data, cfg.Listen = "elsewhere", "127.0.0.1:2"
	err := s.daemon.Reload(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "data cannot change") || !strings.Contains(err.Error(), "listen cannot change") {
		t.Errorf("got %v, want data and listen named", err)
	}
	if h := s.daemon.Health(t.Context()); !strings.Contains(h.Reload, "data cannot change") {
		t.Errorf("health: got %q, want the fault", h.Reload)
	}
	if err := s.daemon.Reload(t.Context(), s.config(t, hook(app)+issuers("a"))); err != nil {
		t.Errorf("a good one: got %v", err)
	}
	if h := s.daemon.Health(t.Context()); h.Reload != "" || !h.Ready {
		t.Errorf("health: got %+v, want no fault", h)
	}
	s.daemon.Refuse()
	if code := s.push(t, "a", "late"); code != http.StatusServiceUnavailable {
		t.Errorf("a push near the end: got %d, want 503", code)
	}
}
