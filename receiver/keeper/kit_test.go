package keeper_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

const (
	sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	accountPurged  = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
	audience       = "https://receiver.example"
	// patience is how long a test waits for what happens behind an answer.
	patience = 20 * time.Second
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain makes the requests of tests: to loopback, without TLS.
func plain(t testing.TB) *http.Client {
	c := guard.NewClient(guard.Policy{InsecureLoopback: true, Timeout: time.Minute})
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// house is our own transmitter behind an HTTP server.
type house struct {
	t      testing.TB
	issuer string
	apps   *auth.Store
	http   *http.Client
}

func openHouse(t testing.TB, change ...func(*transmitter.Config)) *house {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	h := &house{t: t, issuer: server.URL, http: plain(t)}
	dir, ctx := t.TempDir(), context.Background()
	log, err := sqlitelog.Open(ctx, sqlitelog.Config{Path: filepath.Join(dir, "log.db")})
	must(t, err)
	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(dir, "state.db")})
	must(t, err)
	h.apps, err = auth.Open(ctx, filepath.Join(dir, "admin.db"))
	must(t, err)
	ring, err := keys.Open(ctx, keys.Config{Store: keys.NewStore(h.apps.DB()), Algorithm: jose.ES256})
	must(t, err)
	cfg := transmitter.Config{
		Issuer: h.issuer, InsecureLoopback: true, LongPoll: time.Second, PushTimeout: 2 * time.Second,
		PushSchedule: []time.Duration{20 * time.Millisecond}, Log: log, Streams: store, Applications: h.apps, Keys: ring,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&cfg)
	}
	tr, err := transmitter.New(cfg)
	must(t, err)
	handler = tr.Handler()
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := tr.Run(ctx); err != nil {
			t.Errorf("transmitter: %v", err)
		}
	})
	t.Cleanup(func() {
		tr.Refuse()
		server.Close()
		stop()
		running.Wait()
		must(t, errors.Join(h.apps.Close(), store.Close(), log.Close()))
	})
	_, err = h.apps.AddApplication(ctx, auth.Application{ID: "shop", Audience: []string{audience}})
	must(t, err)
	return h
}

// token returns a static token of the application.
func (h *house) token(scope string) string {
	h.t.Helper()
	scopes, err := auth.ParseScopes(scope)
	must(h.t, err)
	made, err := h.apps.AddClient(context.Background(), auth.Client{Application: "shop", Scopes: scopes, Static: true})
	must(h.t, err)
	return made.AccessToken
}

// emit sends an event about a user.
func (h *house) emit(token, user string) {
	h.t.Helper()
	body := `{"type":"` + sessionRevoked + `","subject":{"format":"email","email":"` + user + `@example.com"},"data":{"event_timestamp":1700000000}}`
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, h.issuer+"/v1/events", strings.NewReader(body))
	must(h.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := h.http.Do(req)
	must(h.t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		h.t.Fatalf("emit: got %d, want 202", resp.StatusCode)
	}
}

// fixed is a credential of one token.
type fixed string

func (f fixed) Token(context.Context) (string, error) { return string(f), nil }
func (fixed) Refused(string)                          {}

// party is a keeper that runs, with what its hooks saw.
type party struct {
	*keeper.Keeper
	t    testing.TB
	url  string // of the push endpoint
	stop func()

	mu  sync.Mutex
	got []receiver.Delivery
}

// config is that of a receiver for issuer with an inbox of its own in dir.
func (p *party) config(issuer, dir string) keeper.Config {
	p.t.Helper()
	in, err := sqliteinbox.Open(context.Background(), sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	must(p.t, err)
	p.t.Cleanup(func() { _ = in.Close() })
	mux := receiver.NewMux()
	mux.Default(func(_ context.Context, d receiver.Delivery) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, d)
		return nil
	})
	return keeper.Config{
		Receiver: receiver.Config{
			Issuer: issuer, Audience: []string{audience}, Inbox: in, Mux: mux,
			Algorithms: []jose.Algorithm{jose.ES256, jose.RS256}, Logger: slog.New(slog.DiscardHandler),
		},
		HTTP: plain(p.t), State: filepath.Join(dir, "stream.json"),
		KeyRefresh: 10 * time.Millisecond, Interval: 50 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
	}
}

// start runs a keeper behind an HTTP server until stop or the test's end. change gets
// the configuration and the address of the push endpoint.
func start(t testing.TB, issuer, dir string, change func(cfg *keeper.Config, url string)) *party {
	t.Helper()
	p := &party{t: t}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	p.url = server.URL + "/in"
	cfg := p.config(issuer, dir)
	change(&cfg, p.url)
	var err error
	if p.Keeper, err = keeper.New(cfg); err != nil {
		server.Close()
		t.Fatal(err)
	}
	handler = p.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v", err)
		}
		server.Close()
		if own, ok := cfg.Receiver.Inbox.(*sqliteinbox.Inbox); ok {
			_ = own.Close()
		}
	})
	t.Cleanup(p.stop)
	return p
}

// users returns the users whose sessions were revoked, in order of arrival.
func (p *party) users() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var users []string
	for _, d := range p.got {
		if d.Type == sessionRevoked {
			address, _ := d.Subject.Value("email")
			user, _, _ := strings.Cut(address, "@")
			users = append(users, user)
		}
	}
	return users
}

func (p *party) has(user string) func() bool {
	return func() bool { return slices.Contains(p.users(), user) }
}

func (p *party) health() keeper.Health { return p.Health(context.Background()) }

// stands waits until the keeper stands as stated and returns its health.
func (p *party) stands(want keeper.Standing) keeper.Health {
	p.t.Helper()
	until(p.t, "standing "+string(want), func() bool { return p.health().Standing == want }, func() any { return p.health() })
	return p.health()
}

// until waits until done reports true.
func until(t testing.TB, what string, done func() bool, shown ...func() any) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			for _, f := range shown {
				t.Logf("%+v", f())
			}
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is the time of a keeper that a test makes leap.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) leap(d time.Duration) { c.ahead.Add(int64(d)) }

func email(user string) subject.Identifier { return subject.Email(user + "@example.com") }

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// decode returns the claims of a compact SET.
func decode(t testing.TB, compact string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[1])
	must(t, err)
	return string(raw)
}
