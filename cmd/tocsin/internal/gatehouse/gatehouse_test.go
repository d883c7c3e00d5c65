package gatehouse_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/gatehouse"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/settings"
	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

func env(t *testing.T) gatehouse.Env {
	return gatehouse.Env{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
}

// decoded is a gate section as the daemon reads it.
func decoded(t *testing.T, text string) gatehouse.Config {
	t.Helper()
	doc, err := settings.Parse("receive.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	var cfg gatehouse.Config
	if err := doc.At("gate").Decode(&cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// What is wrong is named; what is right opens.
func TestOpen(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"gate: {fail: closed}", ""},
		{"gate: {fail: open, store: {type: memory}, listen: '127.0.0.1:0', cookie: sid, retention: 24h}", ""},
		{"gate: {fail: closed, listen: '127.0.0.1:0', tokens: {issuers: [{issuer: 'https://idp.example', jwks_url: 'https://idp.example/keys'}], audiences: [app], algorithms: [RS256]}}", ""},
		{"gate: {fail: closed, listen: '127.0.0.1:0', headers: {user: X-User, user_format: opaque, begun: X-Begun}}", ""},
		{"gate: {fail: closed, store: {type: redis, url: 'redis://127.0.0.1:1'}}", ""},
		{"gate: {fail: closed, listen: '127.0.0.1:0', tokens: {trust_unverified_jwt: true}}", ""},
		{"gate: {store: {type: memory}}", "Fail"},
		{"gate: {fail: perhaps}", "Fail"},
		{"gate: {fail: closed, store: {type: disk}}", "type is \"disk\""},
		{"gate: {fail: closed, store: {url: 'redis://127.0.0.1'}}", "redis alone"},
		{"gate: {fail: closed, store: {type: redis, url: 'http://x'}}", "url"},
		{"gate: {fail: closed, cookie: sid}", "listen is needed"},
		{"gate: {fail: closed, listen: '127.0.0.1:0'}", "Cookie, Tokens and Headers"},
		{"gate: {fail: closed, listen: ':9000', cookie: sid}", "tls_cert"},
		{"gate: {fail: closed, listen: ':9000', cookie: sid}", "Token"},
		{"gate: {fail: closed, listen: '127.0.0.1:0', cookie: sid, tls_cert: a}", "belong together"},
		{"gate: {fail: closed, retention: -1h}", "Retention"},
	} {
		h, err := gatehouse.Open(t.Context(), decoded(t, tt.text), env(t))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.text, err, tt.want)
		}
		if err == nil {
			if err := h.Close(); err != nil {
				t.Errorf("%s: close: %v", tt.text, err)
			}
		}
	}
}

// On each store: an application tells of a login, an event ends it, and the check says so.
func TestRun(t *testing.T) {
	for _, kind := range []string{gatehouse.StoreSQLite, gatehouse.StoreMemory, gatehouse.StoreRedis} {
		t.Run(kind, func(t *testing.T) {
			store := "{type: " + kind + "}"
			if kind == gatehouse.StoreRedis {
				store = "{type: redis, url: 'redis://" + redistest.Start(t).Addr + "'}"
			}
			socket := filepath.Join(t.TempDir(), "gate.sock")
			h, err := gatehouse.Open(t.Context(), decoded(t, "gate: {fail: closed, cookie: sid, listen: "+socket+", store: "+store+"}"), env(t))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = h.Close() }()
			ctx, cancel := context.WithCancel(t.Context())
			l, err := h.Listen(ctx)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			go func() { ended <- h.Run(ctx, l) }()
			for end := time.Now().Add(20 * time.Second); h.Ready() != nil; <-time.After(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("got no gate that is ready within 20 s, want one")
				}
			}
			client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socket)
			}}}
			defer client.CloseIdleConnections()
			asks := func(method, path, body string, want int) {
				t.Helper()
				r, err := http.NewRequestWithContext(ctx, method, "http://gate"+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Cookie", "sid=s1")
				r.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("%s %s: got %s, want %d", method, path, resp.Status, want)
				}
			}
			asks("GET", "/check", "", 401)
			asks("POST", "/sessions", `{"id":"s1","members":{"user":[{"format":"email","email":"jo@example.com"}]}}`, 204)
			asks("GET", "/check", "", 200)
			asks("POST", "/check/any/path", "", 200)
			o, err := h.Hook().Act(ctx, hooks.Action{Effect: hooks.End, Scope: receiver.ScopeOf(subject.Email("jo@example.com")), Until: time.Now()})
			if err != nil || o.Ended != 1 {
				t.Errorf("got %+v %v, want one session ended", o, err)
			}
			asks("GET", "/check", "", 401)
			if _, err := h.Index().Lookup(ctx, "s1"); err != nil {
				t.Errorf("got %v, want the session in the index", err)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: got %v, want none", err)
			}
		})
	}
}

// A store that cannot hold what there is ends the run, and no gate opens meanwhile.
func TestRunEnds(t *testing.T) {
	addr := redistest.Start(t).Addr
	full, err := gatehouse.Open(t.Context(), decoded(t, "gate: {fail: closed, store: {type: redis, url: 'redis://"+addr+"'}}"), env(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	for _, user := range []string{"a", "b", "c"} {
		if _, err := full.Hook().Act(t.Context(), hooks.Action{Effect: hooks.Deny, Scope: receiver.ScopeOf(subject.Opaque(user)), Until: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	small, err := gatehouse.Open(t.Context(), decoded(t, "gate: {fail: closed, max_marks: 2, store: {type: redis, url: 'redis://"+addr+"'}}"), env(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = small.Close() }()
	if err := small.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "MaxMarks") || small.Ready() == nil {
		t.Errorf("got %v, want an error that names MaxMarks and no gate that is ready", err)
	}
}
