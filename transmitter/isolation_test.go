package transmitter_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	ctx := context.Background()
	if _, err := h.apps.Application(ctx, app); err != nil {
		if _, err := h.apps.AddApplication(ctx, auth.Application{ID: app, Audience: []string{audience(app)}}); err != nil {
			h.t.Fatal(err)
		}
	}
	scopes, err := auth.ParseScopes(scope)
	if err != nil {
		h.t.Fatal(err)
	}
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
	h.runUntil(t, func() bool {
		found := h.do(h.public, "GET", "/v1/events?subject="+url.QueryEscape(`{"format":"email","email":"jo@example.com"}`), token, "")
		proven := h.do(h.public, "GET", "/v1/events/"+event+"/proof", token, "")
		part := h.do(h.public, "GET", participation("jo"), token, "")
		return strings.Contains(found.body, event) && proven.status == 200 && strings.Contains(part.body, "opt-out")
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
	h.ids = []string{stream, hook, event, erasure, "dead-1", "dead-2", "hooked-1", "asked by alice", "jo@example.com"}
	pairs := func(stream, hook, event, erasure, jti, dead, other, letter, more, who, source, client string) *strings.Replacer {
		return strings.NewReplacer("{stream}", stream, "{hook}", hook, "{event}", event, "{erasure}", erasure, "{jti}", jti,
			"{dead}", dead, "{dead2}", other, "{letter}", letter, "{letter2}", more, "{who}", who, "{source}", source, "{client}", client)
	}
	h.yours = pairs(stream, hook, event, erasure, "queued", "dead-1", "dead-2", "hooked-1", "hooked-2", "jo", "payroll", h.alice.ClientID)
	h.absent = pairs(nobody, nobody, unknownEvent(h.t), unknownErasure(erasure), "queuex", "dead-x", "dead-y", "hooked-x", "hooked-y", "max", "payrolx", nobody)
}

// unknownErasure is an id of the form of another, which nobody has.
func unknownErasure(id string) string { return strings.Repeat("A", len(id)) }

func participation(who string) string {
	return "/v1/participation?subject=" + url.QueryEscape(`{"format":"iss_sub","iss":"https://idp.example","sub":"`+who+`"}`)
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

// reach is how a route may come at what is another's: path (below the route's, "": the
// route's own) and body have ids in them. none says why there is nothing of another's to
// name; unowned, that its owner does not get at it by this request alone.
type reach struct {
	path, body, none string
	unowned          bool
}

// reaches has a line for every route of the issuer.
func reaches() map[string]reach {
	const (
		named  = `{"stream_id":"{stream}"`
		stream = "/v1/streams/{stream}"
		hook   = "/v1/webhooks/{hook}"
		same   = "the same for everybody"
		own    = "only of its caller"
	)
	return map[string]reach{
		"GET /ssf/streams":                                      {path: "/ssf/streams?stream_id={stream}"},
		"PATCH /ssf/streams":                                    {body: named + `,"description":"taken"}`},
		"PUT /ssf/streams":                                      {body: named + `,"description":"taken","delivery":{"method":"urn:ietf:rfc:8936"}}`},
		"DELETE /ssf/streams":                                   {path: "/ssf/streams?stream_id={stream}"},
		"POST /ssf/streams":                                     {none: own},
		"GET /ssf/status":                                       {path: "/ssf/status?stream_id={stream}"},
		"POST /ssf/status":                                      {body: named + `,"status":"paused"}`},
		"POST /ssf/subjects/add":                                {body: named + `,"subject":{"format":"email","email":"x@example.com"}}`},
		"POST /ssf/subjects/remove":                             {body: named + `,"subject":{"format":"email","email":"x@example.com"}}`},
		"POST /ssf/verify":                                      {body: named + `,"state":"s"}`},
		"POST /ssf/poll/:stream_id":                             {path: "/ssf/poll/{stream}", body: `{"ack":["{jti}"],"returnImmediately":true}`},
		"POST /v1/streams/:stream_id/replay":                    {path: stream + "/replay", body: `{"from":"2026-01-02T03:04:05Z"}`},
		"GET /v1/streams/:stream_id/dead-letters":               {path: stream + "/dead-letters"},
		"POST /v1/streams/:stream_id/dead-letters/:jti/resend":  {path: stream + "/dead-letters/{dead}/resend"},
		"DELETE /v1/streams/:stream_id/dead-letters/:jti":       {path: stream + "/dead-letters/{dead2}"},
		"GET /v1/participation":                                 {path: participation("{who}")},
		"POST /v1/events":                                       {none: "a source is the credential's"},
		"GET /v1/events":                                        {path: "/v1/events?subject=" + url.QueryEscape(`{"format":"iss_sub","iss":"https://idp.example","sub":"`) + "{who}" + url.QueryEscape(`"}`)},
		"GET /v1/events/:id":                                    {path: "/v1/events/{event}"},
		"PATCH /v1/events/:id":                                  {path: "/v1/events/{event}", body: `{"suspect":true}`},
		"GET /v1/events/:id/annotations":                        {path: "/v1/events/{event}/annotations"},
		"GET /v1/events/:id/proof":                              {path: "/v1/events/{event}/proof"},
		"GET /v1/event-types":                                   {none: same},
		"POST /v1/consents":                                     {none: own},
		"GET /v1/consents":                                      {none: own},
		"GET /v1/consents/gate":                                 {none: own},
		"PUT /v1/consents/gate":                                 {none: own},
		"POST /v1/erasures":                                     {none: own},
		"GET /v1/erasures":                                      {none: own},
		"GET /v1/erasures/:id":                                  {path: "/v1/erasures/{erasure}"},
		"POST /v1/webhooks":                                     {none: own},
		"GET /v1/webhooks":                                      {none: own},
		"GET /v1/webhooks/:stream_id":                           {path: hook},
		"PATCH /v1/webhooks/:stream_id":                         {path: hook, body: `{"description":"taken"}`},
		"PUT /v1/webhooks/:stream_id":                           {path: hook, body: `{"url":"http://127.0.0.1:2/"}`},
		"DELETE /v1/webhooks/:stream_id":                        {path: hook},
		"POST /v1/webhooks/:stream_id/rotate":                   {path: hook + "/rotate", body: `{}`},
		"POST /v1/webhooks/:stream_id/test":                     {path: hook + "/test"},
		"POST /v1/webhooks/:stream_id/replay":                   {path: hook + "/replay", body: `{"from":"2026-01-02T03:04:05Z"}`},
		"GET /v1/webhooks/:stream_id/dead-letters":              {path: hook + "/dead-letters"},
		"POST /v1/webhooks/:stream_id/dead-letters/:jti/resend": {path: hook + "/dead-letters/{letter}/resend"},
		"DELETE /v1/webhooks/:stream_id/dead-letters/:jti":      {path: hook + "/dead-letters/{letter2}"},
		"GET /v1/log/proof":                                     {path: "/v1/log/proof?id={event}"},
		"GET /v1/log/checkpoint":                                {none: same},
		"GET /v1/log/tile/*":                                    {none: same},
		"POST /v1/log/cosignatures":                             {none: same},
		"POST /v1/sources/:name":                                {path: "/v1/sources/{source}", body: `{}`, unowned: true},
		"POST /oauth/token":                                     {body: "grant_type=client_credentials&client_id={client}&client_secret=x", unowned: true},
		"POST /oauth/revoke":                                    {body: "token=x&client_id={client}&client_secret=x", unowned: true},
		"GET /jwks.json":                                        {none: same},
	}
}

// request is one of a route.
type request struct{ method, path, body string }

// walk returns a request for each route of the issuer that names something, the ones that
// read first and those that delete last, and the routes that name nothing.
func (h *tenants) walk() (naming []request, unowned map[request]bool, nothing []string) {
	h.t.Helper()
	lines := reaches()
	unowned = map[request]bool{}
	for _, route := range routesOf(h.t, h.public) {
		line, known := lines[route]
		method, path, _ := strings.Cut(route, " ")
		switch {
		case strings.HasPrefix(path, "/.well-known/"):
		case !known:
			h.t.Errorf("%s: got a route without a line in reaches, want one", route)
		case line.none != "":
			nothing = append(nothing, route)
		default:
			if line.path == "" {
				line.path = path
			}
			r := request{method, line.path, line.body}
			naming = append(naming, r)
			unowned[r] = line.unowned
		}
		delete(lines, route)
	}
	for route := range lines {
		h.t.Errorf("%s: got a line and no route", route)
	}
	slices.SortStableFunc(naming, func(a, b request) int {
		place := func(r request) int { return strings.Index("GET POST PATCH PUT DELETE", r.method) }
		if a.method == http.MethodDelete && b.method == a.method {
			return strings.Compare(b.path, a.path) // what is below another first
		}
		return place(a) - place(b)
	})
	return naming, unowned, nothing
}

// with puts ids in place.
func (r request) with(ids *strings.Replacer) request {
	return request{r.method, ids.Replace(r.path), ids.Replace(r.body)}
}

func (h *tenants) ask(to http.Handler, r request, token string) answer {
	return h.do(to, r.method, r.path, token, r.body)
}

// SSF-8-03, contracts.md §1: whatever another application has answers exactly as what does
// not exist, by every route, on each store, and asks as much of the stores. A new route
// needs a line in reaches.
func TestIsolation(t *testing.T) {
	for name, stores := range backends() {
		t.Run(name, func(t *testing.T) {
			h := newTenants(t, stores)
			naming, unowned, nothing := h.walk()
			token := h.mallory.AccessToken
			for _, r := range naming {
				what := r.method + " " + r.path
				want, got := h.ask(h.public, r.with(h.absent), token), h.ask(h.public, r.with(h.yours), token)
				if diff := cmp.Diff(h.blank(want), h.blank(got), cmp.AllowUnexported(answer{})); diff != "" {
					t.Errorf("SSF-8-03 %s: not there - another's +\n%s", what, diff)
				}
				if want, got := h.cost(r.with(h.absent), token), h.cost(r.with(h.yours), token); want != got {
					t.Errorf("SSF-8-03 %s: got %d calls of the stores for another's, want %d as for what is not there", what, got, want)
				}
			}
			for _, route := range nothing {
				method, path, _ := strings.Cut(route, " ")
				if a := h.do(h.public, method, path, token, ""); method == http.MethodGet {
					h.silent(route, a)
				}
			}
			h.adminIsShut()
			// The owner has it all, still.
			for _, r := range naming {
				if unowned[r] {
					continue
				}
				a := h.ask(h.public, r.with(h.yours), h.alice.AccessToken)
				if a.status >= 400 {
					t.Errorf("%s %s by its owner: got %d %s, want it there", r.method, r.path, a.status, a.body)
				}
			}
		})
	}
}

// blank hides the ids of either kind in an answer.
func (h *tenants) blank(a answer) answer {
	hide := make([]string, 0, 32)
	for _, id := range []string{"{stream}", "{hook}", "{event}", "{erasure}", "{jti}", "{dead}", "{letter}", "{source}", "{client}"} {
		hide = append(hide, h.yours.Replace(id), "ID", h.absent.Replace(id), "ID")
	}
	put := strings.NewReplacer(hide...)
	header := http.Header{}
	for name, values := range a.header {
		for _, value := range values {
			header.Add(name, put.Replace(value))
		}
	}
	return answer{a.status, header, put.Replace(a.body)}
}

// cost is how often a request asks the stores: the least of some, since some of what is
// asked is remembered for a moment.
func (h *tenants) cost(r request, token string) int64 {
	least := int64(1 << 62)
	for range 3 {
		before := h.calls.n.Load()
		h.ask(h.public, r, token)
		least = min(least, h.calls.n.Load()-before)
	}
	return least
}

// silent checks that nothing of alice's is in an answer.
func (h *tenants) silent(what string, a answer) {
	h.t.Helper()
	for _, id := range h.ids {
		if strings.Contains(a.body, id) || strings.Contains(fmt.Sprint(a.header), id) {
			h.t.Errorf("SSF-8-03 %s: got %d %s, want nothing of another's: %s", what, a.status, a.body, id)
		}
	}
}

// adminIsShut checks that the admin API tells who has no admin token nothing, by any route.
func (h *tenants) adminIsShut() {
	h.t.Helper()
	ids := strings.NewReplacer(":stream_id", "{stream}", ":jti", "{dead}", ":name", "{source}", ":kid", "{client}", ":id", "{event}", "*", "{event}")
	for _, route := range routesOf(h.t, h.admin) {
		method, path, _ := strings.Cut(route, " ")
		if path == "/healthz" || path == "/readyz" {
			continue
		}
		r := request{method, ids.Replace(path), `{}`}
		for token, status := range map[string]int{h.mallory.AccessToken: http.StatusForbidden, "": http.StatusUnauthorized} {
			want, got := h.ask(h.admin, r.with(h.absent), token), h.ask(h.admin, r.with(h.yours), token)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" || got.status != status {
				h.t.Errorf("%s: got %d, want %d; not there - another's +\n%s", route, got.status, status, diff)
			}
		}
	}
}

// What is not there and what is another's take the same time, roughly: the median of the
// one is within half of the other's (TOCSIN_TEST_LONG=1).
func TestIsolationTakesTheSameTime(t *testing.T) {
	if os.Getenv("TOCSIN_TEST_LONG") != "1" {
		t.Skip("long: TOCSIN_TEST_LONG=1 runs it")
	}
	for name, stores := range backends() {
		t.Run(name, func(t *testing.T) {
			h := newTenants(t, stores)
			naming, _, _ := h.walk()
			for _, r := range naming {
				const rounds = 300
				var absent, yours [rounds]time.Duration
				for i := range rounds { // in turn, so that both meet the same machine
					absent[i], yours[i] = h.took(r.with(h.absent)), h.took(r.with(h.yours))
				}
				slices.Sort(absent[:])
				slices.Sort(yours[:])
				there, other := absent[rounds/2], yours[rounds/2]
				if ratio := float64(other) / float64(there); ratio < 0.5 || ratio > 2 {
					t.Errorf("%s %s: got a median of %v for another's and of %v for what is not there, want them alike", r.method, r.path, other, there)
				}
			}
		})
	}
}

func (h *tenants) took(r request) time.Duration {
	start := time.Now()
	h.ask(h.public, r, h.mallory.AccessToken)
	return time.Since(start)
}
