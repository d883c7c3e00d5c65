package transmitter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

const (
	sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	accountPurged  = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
	// patience is how long a test waits for what happens behind an answer.
	patience = 20 * time.Second
	// every scope of an application that manages streams and writes events.
	everyScope = "ssf.manage ssf.read events.write events.read events.annotate consents.manage"
)

// setup is what a house is built of; a test may change it.
type setup struct {
	transmitter.Config
	maxDepth  int
	algorithm jose.Algorithm
	idle      bool // Run is not called
	// wrap put something between the transmitter and its stores.
	checkpoints bool // the log is signed, with these witnesses
	witnesses   []string
	wrapLog     func(eventlog.Log) eventlog.Log
	wrapStore   func(streams.Store) streams.Store
	wrapIndex   func(eventlog.Index) eventlog.Index
	keep        *transmitter.Config // set to what it was built of; nil: not
}

// house is a transmitter on embedded stores behind an HTTP server of its own.
type house struct {
	*transmitter.Transmitter
	t      testing.TB
	issuer string
	dir    string // of the stores
	apps   *auth.Store
	keys   *keys.Ring
	log    *sqlitelog.Log
	store  *sqlitestore.Store
	index  *sqliteindex.Index
	server *httptest.Server
	logs   *lines
}

func open(t testing.TB, change ...func(*setup)) *house {
	t.Helper()
	h := &house{t: t, logs: &lines{}}
	var handler http.Handler
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	s := &setup{algorithm: jose.ES256, Config: transmitter.Config{
		Issuer: h.server.URL, InsecureLoopback: true, LongPoll: 2 * time.Second,
		PushTimeout: 2 * time.Second, PushSchedule: []time.Duration{20 * time.Millisecond},
		Logger: slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}}
	for _, f := range change {
		f(s)
	}
	if strings.HasPrefix(s.Issuer, "/") { // a path below the server's address
		s.Issuer = h.server.URL + s.Issuer
	}
	h.issuer = s.Issuer
	h.dir = t.TempDir()
	h.stores(h.dir, s)
	if s.keep != nil {
		*s.keep = s.Config
	}
	var err error
	if h.Transmitter, err = transmitter.New(s.Config); err != nil {
		t.Fatal(err)
	}
	handler = contractual(t, strings.TrimSuffix(mustPath(t, h.issuer), "/"), h.Handler())
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if !s.idle {
		running.Go(func() {
			if err := h.Run(ctx); err != nil {
				t.Errorf("Run: got %v", err)
			}
		})
	}
	t.Cleanup(func() {
		h.Refuse()
		h.server.Close()
		stop()
		running.Wait()
		for _, closer := range []io.Closer{h.apps, h.store, h.index, h.log} {
			if err := closer.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
	return h
}

// mustPath returns the path of a URL.
func mustPath(t testing.TB, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.EscapedPath()
}

// stores opens the embedded stores in dir.
func (h *house) stores(dir string, s *setup) {
	h.t.Helper()
	ctx := context.Background()
	var err error
	if h.log, err = sqlitelog.Open(ctx, sqlitelog.Config{Path: filepath.Join(dir, "log.db"), Now: s.Now}); err != nil {
		h.t.Fatal(err)
	}
	if h.store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(dir, "state.db"), MaxDepth: s.maxDepth, Now: s.Now}); err != nil {
		h.t.Fatal(err)
	}
	if h.apps, err = auth.Open(ctx, filepath.Join(dir, "admin.db")); err != nil {
		h.t.Fatal(err)
	}
	if h.keys = s.Keys; h.keys == nil {
		if h.keys, err = keys.Open(ctx, keys.Config{Store: keys.NewStore(h.apps.DB()), Algorithm: s.algorithm, Now: s.Now}); err != nil {
			h.t.Fatal(err)
		}
	}
	if h.index, err = sqliteindex.Open(ctx, sqliteindex.Config{Path: filepath.Join(dir, "index.db"), Log: h.log}); err != nil {
		h.t.Fatal(err)
	}
	s.Log, s.Streams, s.Applications, s.Keys, s.Index = h.log, h.store, h.apps, h.keys, h.index
	if s.checkpoints {
		s.Checkpoints, err = checkpoint.Open(ctx, checkpoint.Config{
			Store: checkpoint.NewStore(h.apps.DB()), Log: h.log, Origin: checkpoint.OriginOf(s.Issuer), Witnesses: s.witnesses, Now: s.Now,
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	if s.wrapLog != nil {
		s.Log = s.wrapLog(h.log)
	}
	if s.wrapIndex != nil {
		s.Index = s.wrapIndex(h.index)
	}
	if s.wrapStore != nil {
		s.Streams = s.wrapStore(h.store)
	}
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
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

// client adds a client with static token to an application, which is made if
// need be, and returns the token.
func (h *house) client(app, scope string, source ...*auth.Source) string {
	h.t.Helper()
	return h.credentials(app, scope, source...).AccessToken
}

// scopesOf adds the application if need be, and reads scopes of a client of it.
func scopesOf(t testing.TB, apps *auth.Store, app, scope string) []auth.Scope {
	t.Helper()
	if _, err := apps.Application(context.Background(), app); err != nil {
		if _, err := apps.AddApplication(context.Background(), auth.Application{ID: app, Audience: []string{audience(app)}}); err != nil {
			t.Fatal(err)
		}
	}
	scopes, err := auth.ParseScopes(scope)
	if err != nil {
		t.Fatal(err)
	}
	return scopes
}

func (h *house) credentials(app, scope string, source ...*auth.Source) auth.Credentials {
	h.t.Helper()
	ctx, scopes := context.Background(), scopesOf(h.t, h.apps, app, scope)
	c := auth.Client{Application: app, Scopes: scopes, Static: true}
	if len(source) > 0 {
		c.Source = source[0]
	}
	made, err := h.apps.AddClient(ctx, c)
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

func audience(app string) string { return "https://" + app + ".example" }

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// member returns a member of the JSON object in the body as text.
func (a answer) member(name string) string {
	var o map[string]json.RawMessage
	if json.Unmarshal([]byte(a.body), &o) != nil {
		return ""
	}
	var s string
	if json.Unmarshal(o[name], &s) != nil {
		return string(o[name])
	}
	return s
}

// do makes a request of the transmitter. path is below the issuer; token may
// be empty. headers are names and values in turn.
func (h *house) do(method, path, token, body string, headers ...string) answer {
	h.t.Helper()
	return h.ask(context.Background(), method, h.issuer+path, token, strings.NewReader(body), headers...)
}

func (h *house) ask(ctx context.Context, method, url, token string, body io.Reader, headers ...string) answer {
	h.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := h.server.Client().Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("%s %s: reading the answer: %v", method, url, err)
	}
	return answer{resp.StatusCode, resp.Header, string(got)}
}

// must is do with a status that must be.
func (h *house) must(status int, method, path, token, body string, headers ...string) answer {
	h.t.Helper()
	a := h.do(method, path, token, body, headers...)
	if a.status != status {
		h.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// stream creates a stream and returns its id. delivery is a JSON value, ""
// for poll.
func (h *house) stream(token, delivery string) string {
	h.t.Helper()
	if delivery == "" {
		delivery = `{"method":"urn:ietf:rfc:8936"}`
	}
	body := `{"events_requested":["` + sessionRevoked + `","` + accountPurged + `"],"delivery":` + delivery + `}`
	return h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, body).member("stream_id")
}

func pushTo(url string) string {
	return `{"method":"urn:ietf:rfc:8935","endpoint_url":"` + url + `"}`
}

// event is the JSON of a session-revoked event about a user.
func event(user string) string {
	return `{"type":"` + sessionRevoked + `","subject":{"format":"email","email":"` + user + `@example.com"},"data":{"event_timestamp":1700000000}}`
}

// emit sends an event about a user and returns its id.
func (h *house) emit(token, user string) string {
	h.t.Helper()
	return h.must(http.StatusAccepted, http.MethodPost, "/v1/events", token, event(user)).member("id")
}

// poll polls once and returns jtis and SETs in order of the answer.
func (h *house) poll(token, stream, body string) (ids, sets []string) {
	h.t.Helper()
	a := h.must(http.StatusOK, http.MethodPost, "/ssf/poll/"+stream, token, body)
	dec := json.NewDecoder(strings.NewReader(a.member("sets")))
	if _, err := dec.Token(); err != nil {
		h.t.Fatalf("poll: got %s", a.body)
	}
	for dec.More() {
		id, err := dec.Token()
		if err != nil {
			h.t.Fatal(err)
		}
		set, err := dec.Token()
		if err != nil {
			h.t.Fatal(err)
		}
		ids, sets = append(ids, id.(string)), append(sets, set.(string))
	}
	return ids, sets
}

// until waits until done reports true.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}
