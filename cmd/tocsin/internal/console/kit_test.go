package console_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// house is a transmitter on embedded stores with its console, as serve has them.
type house struct {
	t       testing.TB
	node    *node.Node
	console *console.Console
	issuer  string           // where the transmitter's own handler is served
	url     string           // of the admin listener
	socket  *adminapi.Client // of who can reach the admin socket
	logs    *lines
	figures *figures.Keeper // samples when a test asks it to
}

// lines are what was logged. Safe for concurrent use.
type lines struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func open(t testing.TB, change ...func(*node.Config)) *house {
	t.Helper()
	return openWith(t, nil, change...)
}

// openWith is open with an OpenID Provider that people sign in with.
func openWith(t testing.TB, provider *console.Provider, change ...func(*node.Config)) *house {
	t.Helper()
	h := &house{t: t, logs: &lines{}}
	logger := slog.New(slog.NewTextHandler(h.logs, nil))
	var public http.Handler
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { public.ServeHTTP(w, r) }))
	h.issuer = issuer.URL
	cfg := node.Config{
		Dir: t.TempDir(), Algorithm: jose.ES256,
		Transmitter: transmitter.Config{
			Issuer: issuer.URL, InsecureLoopback: true, Logger: logger,
			Figures: func(of string) (any, bool) { return h.figures.Document(of) },
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if h.node, err = node.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	h.figures = figures.New(figures.Config{Path: filepath.Join(cfg.Dir, "figures.bin"), Gatherer: h.node.Transmitter.Gatherer(), Figures: figures.Transmitter(), Logger: logger})
	public = h.node.Transmitter.Handler()
	h.console, err = console.ForTransmitter(h.node.Transmitter, issuer.URL, provider, func() string { return h.url }, logger)
	if err != nil {
		t.Fatal(err)
	}
	admin := httptest.NewServer(edge.Handler(h.console.Beside(h.node.Transmitter.AdminHandler()), edge.Config{Listener: "admin", Logger: logger}))
	h.url = admin.URL
	h.socket = adminapi.Of(h.console.SocketHandler(h.node.Transmitter.SocketHandler()), nil)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.node.Run(ctx); err != nil {
			t.Errorf("Run: got %v", err)
		}
	})
	running.Go(func() { _ = h.console.Watch(ctx) }) // it has no errors
	t.Cleanup(func() {
		h.node.Refuse()
		h.console.EndLive()
		admin.CloseClientConnections() // live pages
		admin.Close()
		issuer.Close()
		stop()
		running.Wait()
		if err := h.node.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	})
	return h
}

// operate calls the admin API as who can reach the socket.
func (h *house) operate(method, path string, body, out any) {
	h.t.Helper()
	if err := h.socket.Do(h.t.Context(), method, path, body, out); err != nil {
		h.t.Fatalf("%s %s: got %v", method, path, err)
	}
}

// token makes an application with a client and returns its access token.
func (h *house) token(id, scope string) string {
	h.t.Helper()
	var made auth.Credentials
	h.operate(http.MethodPost, "/admin/clients", map[string]any{"id": id, "audience": "https://" + id + ".example", "scope": scope, "static": true}, &made)
	return made.AccessToken
}

// link returns a link that signs in.
func (h *house) link() string {
	h.t.Helper()
	var made struct{ URL string }
	h.operate(http.MethodPost, "/admin/console/codes", nil, &made)
	return made.URL
}

// visitor is a browser without scripts.
type visitor struct {
	*house
	client *http.Client
}

// page is an answer to a visitor.
type page struct {
	status int
	path   string // where redirects led
	query  string
	body   string
	header http.Header
}

func (h *house) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &visitor{h, &http.Client{Jar: jar}}
}

// signedIn returns a visitor with the session of an admin.
func (h *house) signedIn() *visitor {
	h.t.Helper()
	v := h.visitor()
	u, err := url.Parse(h.link())
	if err != nil {
		h.t.Fatal(err)
	}
	if p := v.post("/console/sign-in", "code", u.Query().Get("code")); p.status != http.StatusOK || p.path != console.Prefix {
		h.t.Fatalf("sign-in: got %d at %s\n%s", p.status, p.path, p.body)
	}
	return v
}

func (v *visitor) get(path string) page { v.t.Helper(); return v.ask(http.MethodGet, path, nil, nil) }

// post sends a form as the pages of this console do; fields are names and values in turn.
func (v *visitor) post(path string, fields ...string) page {
	v.t.Helper()
	return v.ask(http.MethodPost, path, http.Header{"Sec-Fetch-Site": {"same-origin"}}, form(fields...))
}

func form(fields ...string) url.Values {
	f := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		f.Add(fields[i], fields[i+1])
	}
	return f
}

func (v *visitor) ask(method, path string, header http.Header, fields url.Values) page {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(fields.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Request.URL.Path, resp.Request.URL.RawQuery, string(body), resp.Header}
}

// wants fails unless a page has a status and all of the texts.
func (p page) wants(t testing.TB, status int, texts ...string) {
	t.Helper()
	if p.status != status {
		t.Fatalf("got status %d at %s, want %d\n%s", p.status, p.path, status, p.body)
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("got no %q on %s, want it\n%s", text, p.path, p.body)
		}
	}
}

// until waits for what comes of itself.
func (h *house) until(what string, done func() bool) {
	h.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-late.C:
			h.t.Fatalf("never: %s", what)
		}
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	closeBrowser()
	os.Exit(code)
}
