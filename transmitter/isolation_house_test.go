package transmitter_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/redisauth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqliteindex"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/rediskeys"
)

const (
	isolationIssuer = "https://ssf.example"
	tenantScope     = everyScope + " events.erase webhooks.manage log.read"
)

// tenants is a transmitter with two applications: alice, who has one of everything, and
// mallory, who has nothing. What requests ask of the stores is counted.
type tenants struct {
	t             *testing.T
	store         streams.Store
	apps          *auth.Store
	calls         *calls
	public, admin http.Handler
	alice         auth.Credentials
	mallory       auth.Credentials
	yours, absent *strings.Replacer // puts alice's ids, or ids of nobody's, in place
	ids           []string          // of alice's
}

// backends are the stores that a transmitter has.
func backends() map[string]func(t *testing.T, c *calls, cfg *transmitter.Config) (keys.Store, checkpoint.Store) {
	return map[string]func(*testing.T, *calls, *transmitter.Config) (keys.Store, checkpoint.Store){
		"embedded": embeddedStores, "redis": redisStores,
	}
}

func embeddedStores(t *testing.T, c *calls, cfg *transmitter.Config) (keys.Store, checkpoint.Store) {
	ctx, dir := context.Background(), t.TempDir()
	log, err := sqlitelog.Open(ctx, sqlitelog.Config{Path: filepath.Join(dir, "log.db")})
	if err != nil {
		t.Fatal(err)
	}
	state, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(dir, "state.db")})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := auth.OpenSQLite(ctx, filepath.Join(dir, "admin.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = log.Close(), state.Close(), admin.Close() })
	cfg.Log, cfg.Streams = countedLog{log, c}, countedStore{state, c}
	cfg.Applications = auth.NewStore(countedBackend{admin, c})
	db := auth.NewStore(admin).DB()
	return keys.NewStore(db), checkpoint.NewStore(db)
}

func redisStores(t *testing.T, c *calls, cfg *transmitter.Config) (keys.Store, checkpoint.Store) {
	ctx := context.Background()
	client := redistest.Start(t).Client(t)
	client.AddHook(countedWire{c})
	db, err := redisdb.Open(ctx, redisdb.Config{Client: client, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	wakes := redisdb.NewWakes(db, slog.New(slog.DiscardHandler))
	log, err := redislog.Open(ctx, redislog.Config{DB: db, Wakes: wakes})
	if err != nil {
		t.Fatal(err)
	}
	state, err := redisstore.Open(ctx, redisstore.Config{DB: db, Wakes: wakes, Node: "node", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = log.Close(), state.Close(), db.Close() })
	cfg.Log, cfg.Streams, cfg.Applications = log, state, auth.NewStore(redisauth.New(db))
	return rediskeys.New(db), redischeckpoint.New(db)
}

func newTenants(t *testing.T, stores func(*testing.T, *calls, *transmitter.Config) (keys.Store, checkpoint.Store)) *tenants {
	t.Helper()
	ctx := context.Background()
	h := &tenants{t: t, calls: new(calls)}
	cfg := transmitter.Config{
		Issuer: isolationIssuer, InsecureLoopback: true, LongPoll: time.Second, PushSchedule: neverAgain(),
		Logger: slog.New(slog.DiscardHandler),
	}
	keyStore, checkpoints := stores(t, h.calls, &cfg)
	var err error
	if cfg.Keys, err = keys.Open(ctx, keys.Config{Store: keyStore, Algorithm: jose.ES256}); err != nil {
		t.Fatal(err)
	}
	cfg.Checkpoints, err = checkpoint.Open(ctx, checkpoint.Config{Store: checkpoints, Log: cfg.Log, Origin: checkpoint.OriginOf(isolationIssuer)})
	if err != nil {
		t.Fatal(err)
	}
	index, err := sqliteindex.Open(ctx, sqliteindex.Config{Path: filepath.Join(t.TempDir(), "index.db"), Log: cfg.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	cfg.Index = countedIndex{index, h.calls}
	made, err := transmitter.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.store, h.apps, h.public, h.admin = cfg.Streams, cfg.Applications, made.Handler(), made.AdminHandler()
	h.alice, h.mallory = h.client("alice", tenantScope, nil), h.client("mallory", tenantScope, nil)
	h.furnish(made)
	return h
}

func (h *tenants) client(app, scope string, source *auth.Source) auth.Credentials {
	h.t.Helper()
	ctx, scopes := context.Background(), scopesOf(h.t, h.apps, app, scope)
	made, err := h.apps.AddClient(ctx, auth.Client{Application: app, Scopes: scopes, Static: true, Source: source})
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

// do makes a request; its answer is without what differs from one to the next.
func (h *tenants) do(to http.Handler, method, path, token, body string) answer {
	r := httptest.NewRequestWithContext(context.Background(), method, isolationIssuer+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/oauth/") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	to.ServeHTTP(w, r)
	for _, name := range []string{"Date", "X-Request-Id"} {
		w.Header().Del(name)
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}

func (h *tenants) must(status int, method, path, token, body string) answer {
	h.t.Helper()
	a := h.do(h.public, method, path, token, body)
	if a.status != status {
		h.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

const optOut = "https://schemas.openid.net/secevent/risc/event-type/opt-out-effective"

// furnish gives alice one of everything.
func (h *tenants) furnish(t *transmitter.Transmitter) {
	h.t.Helper()
	token := h.alice.AccessToken
	only := h.client("alice", "events.write", &auth.Source{Name: "hr", Applications: []string{"alice"}}).AccessToken
	stream := h.must(201, "POST", "/ssf/streams", token, `{"events_requested":["`+sessionRevoked+`"],"delivery":{"method":"urn:ietf:rfc:8936"}}`).member("stream_id")
	hook := h.must(201, "POST", "/v1/webhooks", token, `{"url":"http://127.0.0.1:1/"}`).member("id")
	event := h.must(202, "POST", "/v1/events", only, `{"type":"`+sessionRevoked+`","subject":{"format":"email","email":"jo@example.com"},"session":"s-jo"}`).member("id")
	h.must(202, "POST", "/v1/events", only, `{"type":"`+optOut+`","subject":{"format":"iss_sub","iss":"https://idp.example","sub":"jo"}}`)
	h.must(201, "POST", "/v1/consents", token, `{"subject":{"format":"email","email":"jo@example.com"},"decision":"deny"}`)
	erasure := h.must(202, "POST", "/v1/erasures", token, `{"subject":{"format":"email","email":"other@example.com"},"reason":"asked by alice"}`).member("id")
	erased := h.must(202, "POST", "/v1/erasures", token, `{"subject":{"format":"email","email":"gone@example.com"},"now":true}`).member("id")
	h.runUntil(t, func() bool {
		found := h.do(h.public, "GET", "/v1/events?subject="+url.QueryEscape(`{"format":"email","email":"jo@example.com"}`), token, "")
		proven := h.do(h.public, "GET", "/v1/events/"+event+"/proof", token, "")
		part := h.do(h.public, "GET", participation("jo"), token, "")
		carried := h.do(h.public, "GET", "/v1/erasures/"+erased, token, "")
		return strings.Contains(carried.body, `"done"`) && strings.Contains(found.body, event) && proven.status == 200 && strings.Contains(part.body, "opt-out")
	})
	_, err := h.apps.AddVendorSource(context.Background(), auth.VendorSource{Source: auth.Source{Name: "payroll"}, Kind: auth.KindIDme, Auth: auth.VendorBearer})
	if err != nil {
		h.t.Fatal(err)
	}
	h.put(stream, "queued", "dead-1", "dead-2")
	h.put(hook, "hooked-1", "hooked-2")
	h.deaden(stream, "dead-1", "dead-2")
	h.deaden(hook, "hooked-1", "hooked-2")
	const nobody = "AAAAAAAAAAAAAAAAAAAAAA"
	h.ids = []string{stream, hook, event, erasure, erased, "dead-1", "dead-2", "hooked-1", "asked by alice", "jo@example.com"}
	pairs := func(stream, hook, event, erasure, erased, jti, dead, other, letter, more, who, source, client string) *strings.Replacer {
		return strings.NewReplacer("{stream}", stream, "{hook}", hook, "{event}", event, "{erasure}", erasure, "{erased}", erased, "{jti}", jti,
			"{dead}", dead, "{dead2}", other, "{letter}", letter, "{letter2}", more, "{who}", who, "{source}", source, "{client}", client)
	}
	h.yours = pairs(stream, hook, event, erasure, erased, "queued", "dead-1", "dead-2", "hooked-1", "hooked-2", "jo", "payroll", h.alice.ClientID)
	h.absent = pairs(nobody, nobody, unknownEvent(h.t), unknownErasure(erasure), unknownErasure(erased), "queuex", "dead-x", "dead-y", "hooked-x", "hooked-y", "max", "payrolx", nobody)
}

// unknownErasure is an id of the form of another, which nobody has.
func unknownErasure(id string) string { return strings.Repeat("A", len(id)) }

func participation(who string) string {
	return "/v1/participation?subject=" + url.QueryEscape(`{"format":"iss_sub","iss":"https://idp.example","sub":"`) + who + url.QueryEscape(`"}`) // a placeholder stays one
}

// runUntil runs the transmitter until done, and returns when it has ended.
func (h *tenants) runUntil(t *transmitter.Transmitter, done func() bool) {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- t.Run(ctx) }()
	until(h.t, "alice has everything", done)
	stop()
	if err := <-ended; err != nil {
		h.t.Fatal(err)
	}
}

func (h *tenants) put(stream string, jtis ...string) {
	h.t.Helper()
	for _, jti := range jtis {
		if _, err := h.store.Put(context.Background(), streams.Item{
			Stream: stream, Lane: streams.LaneControl, ID: jti, Type: streams.TypeVerification, Payload: []byte("{}"), Added: time.Now(),
		}); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *tenants) deaden(stream string, jtis ...string) {
	h.t.Helper()
	for _, jti := range jtis {
		if _, err := h.store.Settle(context.Background(), stream, []streams.Outcome{{ID: jti, Verdict: streams.Refused, Code: "invalid_request"}}, nil); err != nil {
			h.t.Fatal(err)
		}
	}
}
