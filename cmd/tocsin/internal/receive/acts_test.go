package receive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// call makes a request as a process of user 1000 through the socket.
func call(t *testing.T, h http.Handler, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(edge.WithPeer(t.Context(), edge.Peer{UID: 1000, PID: 42}), method, target, strings.NewReader(body))
	r.RemoteAddr = "@"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func listActs(t *testing.T, h http.Handler, query string) acts.Page {
	t.Helper()
	w := call(t, h, http.MethodGet, "/admin/acts"+query, "")
	var page acts.Page
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
		t.Fatalf("GET /admin/acts%s: got %d %s, want a page", query, w.Code, w.Body)
	}
	return page
}

// Every route that changes something is an act, and is noted when it is asked for, or is
// known not to be one, and why.
func TestEveryActIsNoted(t *testing.T) {
	d := newDoors(t)
	no := map[string]string{
		"POST /admin/explain":   "changes nothing",
		"POST /sessions":        "what applications tell of their sessions, not what operators do",
		"POST /sessions/remove": "the same",
	}
	body := `{"iss":"https://idp.example","jti":"x"}`
	for name, door := range map[string]http.Handler{
		"socket": d.open["socket"],
		"pages": d.daemon.PagesHandler(func(*http.Request) (eventlog.Actor, bool) { return eventlog.Actor{Client: "jo"}, true },
			func(context.Context) error { return nil }),
		"a folder alone": d.daemon.Store.Handler(),
	} {
		for _, route := range receive.Routes(door) {
			method, path, _ := strings.Cut(route, " ")
			if method == http.MethodGet {
				continue
			}
			before := listActs(t, d.open["socket"], "?limit=1")
			call(t, door, method, path, body)
			after := listActs(t, d.open["socket"], "?limit=1")
			noted := len(after.Acts) == 1 && (len(before.Acts) == 0 || after.Acts[0].ID != before.Acts[0].ID)
			if no[route] == "" && !noted {
				t.Errorf("%s, %s: got nothing noted, and it is not excused", name, route)
			}
			if no[route] != "" && noted {
				t.Errorf("%s, %s: got %+v noted, want none: %s", name, route, after.Acts[0], no[route])
			}
		}
	}
	if routes := receive.Routes(d.open["socket"]); len(routes) < 10 {
		t.Errorf("got %q, want all routes", routes)
	}
	// Over TCP nothing is changed.
	for route := range receive.ActRoutes() {
		method, path, _ := strings.Cut(route, " ")
		if w, _ := d.ask(t, "admin", method, path, "Bearer "+adminToken, body); w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s over TCP: got %d, want that it is not there", route, w.Code)
		}
	}
}

// An act is told with who, from where, what and its outcome, never with a secret.
func TestActsAreTold(t *testing.T) {
	d := newDoors(t)
	socket := d.open["socket"]
	call(t, socket, http.MethodPost, "/admin/dead-letters/drop", `{"iss":"https://idp.example","jti":"x"}`)
	call(t, socket, http.MethodPost, "/admin/dead-letters/retry", `{"iss":"https://idp.example","jti":"y","secret":"hunter2"}`)
	call(t, socket, http.MethodPost, "/admin/reload", "hunter2")
	jo := d.daemon.PagesHandler(func(*http.Request) (eventlog.Actor, bool) { return eventlog.Actor{Person: "jo", Sub: "s-1"}, true },
		func(context.Context) error { return nil })
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/admin/reload", http.NoBody)
	r.RemoteAddr = "192.0.2.7:9"
	jo.ServeHTTP(httptest.NewRecorder(), r)
	if err := d.daemon.ReloadBySignal(t.Context(), func(context.Context) error { return errors.New("not now") }); err == nil {
		t.Error("by a signal: got no error, want that of the reload")
	}
	if err := d.daemon.NoteSession(t.Context(), r, "console.sign_in", eventlog.Actor{Client: "admin token"}, "token"); err != nil {
		t.Fatal(err)
	}
	page := listActs(t, socket, "")
	var got []string
	for _, a := range page.Acts {
		got = append(got, fmt.Sprint(a.Act.Act, " ", a.Outcome, " ", a.By, " ", a.By.Via, " ", a.From, " ", a.Objects["dead_letter"], " ", a.Objects["node"], " ", a.Status, " ", a.Code))
		if a.Time.IsZero() {
			t.Errorf("%s: got no time", a.Act.Act)
		}
	}
	want := []string{
		"console.sign_in done admin token console 192.0.2.7   200 ",
		"configuration.reload refused node:n1  signal  n1 0 ",
		"configuration.reload done person:jo console 192.0.2.7  n1 204 ",
		"configuration.reload refused uid:1000  socket  n1 400 invalid_configuration",
		"dead_letter.resend refused uid:1000  socket y  400 invalid_request",
		"dead_letter.drop refused uid:1000  socket x  404 not_found",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := len(page.Acts); n > 0 && (page.Acts[n-1].By.PID == nil || *page.Acts[n-1].By.PID != 42 || page.Acts[n-1].Objects["issuer"] != "https://idp.example") {
		t.Errorf("got %+v, want the process and the issuer", page.Acts[n-1])
	}
	if all := call(t, socket, http.MethodGet, "/admin/acts", "").Body.String(); strings.Contains(all, "hunter2") {
		t.Errorf("got %s with a secret", all)
	}
	for query, want := range map[string]int{
		"?act=configuration.reload": 3, "?by=uid:1000": 3, "?by=person:jo": 1, "?object=x": 1, "?object=n1&act=configuration.reload&by=node:n1": 1,
		"?since=2001-01-01T00:00:00Z": 6, "?until=2001-01-01T00:00:00Z": 0,
	} {
		if got := listActs(t, socket, query); len(got.Acts) != want {
			t.Errorf("%s: got %d acts, want %d", query, len(got.Acts), want)
		}
	}
	first := listActs(t, socket, "?limit=4")
	if rest := listActs(t, socket, "?limit=4&before="+first.Next); len(first.Acts) != 4 || len(rest.Acts) != 2 || rest.Next != "" {
		t.Errorf("pages: got %d and %d acts, want 4 and 2", len(first.Acts), len(rest.Acts))
	}
	for _, query := range []string{"?limit=0", "?limit=501", "?limit=x", "?since=yesterday", "?before=-1", "?nonsense=1", "?act=a&act=b", "?by="} {
		if w := call(t, socket, http.MethodGet, "/admin/acts"+query, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d %s, want 400", query, w.Code, w.Body)
		}
	}
}

// What a command does on a folder that it opened itself is told as such, and stays for the
// daemon that has the folder next.
func TestActsByCommand(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		store, err := receive.OpenStore(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		api := adminapi.Of(store.Handler(), store.Close)
		err = api.Do(t.Context(), http.MethodPost, "/admin/dead-letters/drop", receive.LetterID{Issuer: "https://idp.example", ID: "x"}, nil)
		if refused, ok := errors.AsType[*adminapi.Error](err); !ok || refused.Status != http.StatusNotFound {
			t.Errorf("got %v, want that there is no such dead letter", err)
		}
		if err := api.Close(); err != nil {
			t.Fatal(err)
		}
	}
	store, err := receive.OpenStore(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	page := listActs(t, store.Handler(), "?act=dead_letter.drop&object=x")
	if len(page.Acts) != 2 || page.Acts[0].From != "command" || page.Acts[0].By.UID == nil || *page.Acts[0].By.UID != os.Getuid() || page.Acts[0].Outcome != eventlog.ActRefused {
		t.Errorf("got %+v, want two acts of this user by a command", page.Acts)
	}
}

// Over TCP acts are for who has the admin token; where there is none they are not there.
func TestActsOverTCP(t *testing.T) {
	d := newDoors(t)
	for header, want := range map[string]int{"Bearer " + adminToken: 200, "Bearer x": 401, "": 401} {
		if w, _ := d.ask(t, "admin", http.MethodGet, "/admin/acts", header, ""); w.Code != want {
			t.Errorf("%q: got %d, want %d", header, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	d.daemon.AdminHandler("").ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/admin/acts", http.NoBody))
	if w.Code != http.StatusNotFound {
		t.Errorf("without a token: got %d, want 404", w.Code)
	}
}

// deafActs takes no acts from the nth call on.
type deafActs struct {
	acts.Store
	from int
	n    int
}

func (s *deafActs) deaf() error {
	if s.n++; s.n >= s.from {
		return errors.New("the disk is full")
	}
	return nil
}

func (s *deafActs) Note(ctx context.Context, act *eventlog.Act) (uint64, error) {
	if err := s.deaf(); err != nil {
		return 0, err
	}
	return s.Store.Note(ctx, act)
}

func (s *deafActs) Settle(ctx context.Context, seq uint64, act *eventlog.Act) error {
	if err := s.deaf(); err != nil {
		return err
	}
	return s.Store.Settle(ctx, seq, act)
}

// What cannot be noted is not done.
func TestNoActWithoutANote(t *testing.T) {
	d := newDoors(t)
	d.daemon.Acts = &deafActs{Store: d.daemon.Acts, from: 1}
	done := 0
	reload := func(context.Context) error { done++; return nil }
	socket := d.daemon.SocketHandler(reload)
	for route := range receive.ActRoutes() {
		method, path, _ := strings.Cut(route, " ")
		w := call(t, socket, method, path, `{"iss":"https://idp.example","jti":"x"}`)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"err":"unavailable"`) || !strings.Contains(w.Body.String(), "nothing was done") {
			t.Errorf("%s: got %d %s, want 503", route, w.Code, w.Body)
		}
	}
	if err := d.daemon.ReloadBySignal(t.Context(), reload); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("by a signal: got %v, want that it cannot be noted", err)
	}
	if h := d.daemon.Health(t.Context()); !strings.Contains(h.Reload, "cannot be noted") {
		t.Errorf("health: got %q, want why the configuration was not read", h.Reload)
	}
	if done != 0 {
		t.Errorf("got %d reloads, want none", done)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/console/sign-in", http.NoBody)
	if err := d.daemon.NoteSession(t.Context(), r, "console.sign_in", eventlog.Actor{Client: "jo"}, "token"); err == nil {
		t.Error("a sign-in: got no error, want that it is not noted")
	}
}

// An act whose outcome could not be noted is done, answered, and told as open; so is the
// one of a handler that panicked, as failed.
func TestOutcomes(t *testing.T) {
	d := newDoors(t)
	store := d.daemon.Acts
	d.daemon.Acts = &deafActs{Store: store, from: 2}
	if w := call(t, d.daemon.SocketHandler(func(context.Context) error { return nil }), http.MethodPost, "/admin/reload", ""); w.Code != http.StatusNoContent {
		t.Errorf("got %d %s, want it done", w.Code, w.Body)
	}
	d.daemon.Acts = store
	func() {
		defer func() { _ = recover() }()
		call(t, d.daemon.SocketHandler(func(context.Context) error { panic("boo") }), http.MethodPost, "/admin/reload", "")
	}()
	page := listActs(t, d.open["socket"], "")
	if len(page.Acts) != 2 || page.Acts[1].Outcome != "open" || page.Acts[0].Outcome != eventlog.ActFailed || page.Acts[0].Status != 500 {
		t.Errorf("got %+v, want one that is open, and one that failed", page.Acts)
	}
}

// While Redis is away nothing is done, and it is said; receivers that share it see each
// other's acts.
func TestActsOnRedis(t *testing.T) {
	server := redistest.StartDurable(t)
	open := func(node string) *receive.Daemon {
		t.Helper()
		path := filepath.Join(t.TempDir(), "receive.yaml")
		text := "redis: redis://" + server.Addr + "\nlisten: 127.0.0.1:1\ninsecure_loopback: true\ndata: data\n" +
			"issuers:\n- {name: a, issuer: https://a.example, jwks_url: https://a.example/keys, audience: https://shop.example}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := receive.Read(path, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		daemon, err := receive.Open(t.Context(), cfg, receive.Options{Address: "http://127.0.0.1:1", Node: node, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = daemon.Close() }) // its server is gone
		return daemon
	}
	done := 0
	reload := func(context.Context) error { done++; return nil }
	one, two := open("one").SocketHandler(reload), open("two").SocketHandler(reload)
	call(t, one, http.MethodPost, "/admin/reload", "")
	call(t, two, http.MethodPost, "/admin/dead-letters/drop", `{"iss":"https://a.example","jti":"x"}`)
	page := listActs(t, one, "")
	if len(page.Acts) != 2 || page.Acts[0].Act.Act != "dead_letter.drop" || page.Acts[1].Objects["node"] != "one" || page.Acts[1].Outcome != "done" {
		t.Errorf("got %+v, want the acts of both", page.Acts)
	}
	server.Stop()
	if w := call(t, one, http.MethodPost, "/admin/reload", ""); w.Code != http.StatusServiceUnavailable || done != 1 {
		t.Errorf("without Redis: got %d %s and %d reloads, want 503 and one", w.Code, w.Body, done)
	}
}
