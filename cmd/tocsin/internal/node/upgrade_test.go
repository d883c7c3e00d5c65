package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// update makes the second folder, of the versions that the files have now:
//
//	go test ./cmd/tocsin/internal/node -run TestUpgradeOfAll -update
//
// A new version gets a folder of its own beside the old ones, which stay.
var update = flag.Bool("update", false, "make testdata/v2 anew")

const (
	second        = "testdata/v2"
	optOut        = "https://schemas.openid.net/secevent/risc/event-type/opt-out-effective"
	accountPurged = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
	// soon is how long a test waits for what happens behind an answer.
	soon = 20 * time.Second
)

// memo is what the second folder's maker wrote beside it.
type memo struct {
	Token, Stream, Hook  string
	Waits, Dead, Kid     string // jtis of a SET on the queue and of a dead letter; the key
	Event, Held, Erasure string
	Hold, Checkpoint     string
}

// world is a folder that is open, and asked through its APIs.
type world struct {
	t     *testing.T
	n     *node.Node
	token string
}

// ask returns an answer's body; the answer must have the status.
func (w *world) ask(status int, method, path, body string) string {
	w.t.Helper()
	return w.call(w.n.Transmitter.Handler(), status, method, path, body)
}

// operate is ask at the admin API.
func (w *world) operate(status int, method, path, body string) string {
	w.t.Helper()
	return w.call(w.n.Transmitter.SocketHandler(), status, method, path, body)
}

func (w *world) call(to http.Handler, status int, method, path, body string) string {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, "https://ssf.example"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	got := httptest.NewRecorder()
	to.ServeHTTP(got, r)
	if got.Code != status {
		w.t.Fatalf("%s %s: got %d %s, want %d", method, path, got.Code, got.Body, status)
	}
	return got.Body.String()
}

// run runs the transmitter until the function that it returns is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.n.Transmitter.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: got %v", err)
		}
	}
}

// until asks until an answer has a text.
func (w *world) until(path, text string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), soon)
	defer stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got := w.ask(http.StatusOK, http.MethodGet, path, "")
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("%s: got %s, want %s in it", path, got, text)
		}
	}
}

// emit writes an event about somebody and returns its id.
func (w *world) emit(id, eventType, who string) string {
	w.t.Helper()
	return member(w.t, w.ask(http.StatusAccepted, http.MethodPost, "/v1/events",
		`{"source_id":"`+id+`","type":"`+eventType+`","subject":`+email(who)+`,"category":"security","session":"s-`+who+`","ip_address":"203.0.113.7"}`), "id")
}

// poll polls until there is a SET and returns the jti of the first one.
func (w *world) poll(stream, body string) string {
	w.t.Helper()
	got := w.ask(http.StatusOK, http.MethodPost, "/ssf/poll/"+stream, body)
	_, after, _ := strings.Cut(got, `"sets":{"`)
	jti, _, _ := strings.Cut(after, `"`)
	if jti == "" {
		w.t.Fatalf("poll: got %s, want a SET", got)
	}
	return jti
}

func email(who string) string {
	return `{"format":"email","email":"` + who + `@example.com"}`
}

func member(t *testing.T, body, name string) string {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return fmt.Sprint(o[name])
}

// contracts.md §7, as TestUpgrade, with all that a folder can hold: events and
// what was said of them, entries of each kind, streams, a webhook, a queue, a
// dead letter, what a gate holds, what was erased and what must not be,
// checkpoints, a source, an application that was removed; and the search index.
func TestUpgradeOfAll(t *testing.T) {
	if *update {
		makeFolder(t, second)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(second)); err != nil {
		t.Fatal(err)
	}
	var m memo
	if raw, err := os.ReadFile(filepath.Join(dir, "memo.json")); err != nil || json.Unmarshal(raw, &m) != nil {
		t.Fatalf("memo: %s, %v", raw, err)
	}
	n, err := node.Open(t.Context(), dated(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	w := &world{t: t, n: n, token: m.Token}
	defer w.run()()
	if got := n.Keys.Signer().KeyID(); got != m.Kid {
		t.Errorf("got key %s, want %s", got, m.Kid)
	}
	has := func(what, got string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Errorf("%s: got %s, want %s in it", what, got, text)
			}
		}
	}
	get := func(path string) string { t.Helper(); return w.ask(http.StatusOK, http.MethodGet, path, "") }
	has("the event", get("/v1/events/"+m.Event), `"suspect":true`, `"plan":"gold"`, "s-jo")
	has("what was said of it", get("/v1/events/"+m.Event+"/annotations"), `"suspect":true`)
	has("search", get("/v1/events?start=1&suspect=true&session=s-jo"), m.Event)
	has("search behind the gate", w.operate(http.StatusOK, http.MethodGet, "/admin/events?start=1&session=s-ann", ""), m.Held)
	has("the checkpoint", get("/v1/log/checkpoint"), strings.SplitN(m.Checkpoint, "\n", 2)[0])
	has("its proof", get("/v1/events/"+m.Event+"/proof"), "c2sp.org")
	has("the webhook", get("/v1/webhooks/"+m.Hook), "https://hooks.example/in")
	has("the gate", get("/v1/consents/gate"), `"enabled":true`)
	has("opted out", get("/v1/participation?subject="+url.QueryEscape(email("leo"))), `"opt-out"`)
	has("the erasure", get("/v1/erasures/"+m.Erasure), `"done"`, `"records":1`)
	has("the hold", w.operate(http.StatusOK, http.MethodGet, "/admin/holds", ""), m.Hold)
	w.ask(http.StatusConflict, http.MethodPost, "/v1/erasures", `{"subject":`+email("may")+`}`)
	has("the source", w.operate(http.StatusOK, http.MethodGet, "/admin/sources", ""), `"name":"idme"`)
	has("an id that was used", w.operate(http.StatusConflict, http.MethodPost, "/admin/applications", `{"id":"old","audience":["https://new.example"]}`), "was removed")
	if again := w.emit("1", sessionRevoked, "jo"); again != m.Event {
		t.Errorf("the same event again: got id %s, want %s", again, m.Event)
	}

	// Deliveries go on: what waited, a dead letter sent again, what a grant frees.
	if got := w.poll(m.Stream, `{"maxEvents":1}`); got != m.Waits {
		t.Errorf("poll: got SET %s, want %s", got, m.Waits)
	}
	has("dead letters", get("/v1/streams/"+m.Stream+"/dead-letters"), m.Dead)
	w.ask(http.StatusAccepted, http.MethodPost, "/v1/streams/"+m.Stream+"/dead-letters/"+m.Dead+"/resend", "")
	w.ask(http.StatusNotFound, http.MethodGet, "/v1/events/"+m.Held, "")
	w.ask(http.StatusCreated, http.MethodPost, "/v1/consents", `{"decision":"grant","subject":`+email("ann")+`}`)
	has("what was held", get("/v1/events/"+m.Held), "s-ann")
	w.ask(http.StatusOK, http.MethodPost, "/ssf/poll/"+m.Stream, `{"maxEvents":0,"ack":["`+m.Waits+`"]}`)
	rest := map[string]bool{}
	for deadline := time.Now().Add(soon); len(rest) < 4 && time.Now().Before(deadline); {
		got := w.ask(http.StatusOK, http.MethodPost, "/ssf/poll/"+m.Stream, `{"returnImmediately":true}`)
		var page struct{ Sets map[string]string }
		if err := json.Unmarshal([]byte(got), &page); err != nil {
			t.Fatal(err)
		}
		for jti := range page.Sets {
			rest[jti] = true
		}
	}
	if len(rest) != 4 || !rest[m.Dead] { // besides: two of a replay, one that was held
		t.Errorf("got %v, want four SETs, %s among them", rest, m.Dead)
	}
}

// makeFolder makes a folder by a real run of everything.
func makeFolder(t *testing.T, to string) {
	t.Helper()
	cfg := dated(t.TempDir())
	cfg.Algorithm = jose.ES256
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"shop", "old"} {
		if _, err := n.Applications.AddApplication(t.Context(), auth.Application{ID: id, Audience: []string{"https://" + id + ".example"}}); err != nil {
			t.Fatal(err)
		}
	}
	scopes, err := auth.ParseScopes("ssf.manage events.write events.read events.annotate events.erase consents.manage webhooks.manage log.read")
	if err != nil {
		t.Fatal(err)
	}
	client, err := n.Applications.AddClient(t.Context(), auth.Client{
		Application: "shop", Scopes: scopes, Static: true, Source: &auth.Source{Name: "hr", Applications: []string{"shop"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, n: n, token: client.AccessToken}
	stop := w.run()
	m := memo{Token: w.token, Kid: n.Keys.Signer().KeyID()}
	w.operate(http.StatusNoContent, http.MethodDelete, "/admin/applications/old", "")
	w.operate(http.StatusCreated, http.MethodPost, "/admin/sources", `{"name":"idme","kind":"idme","auth":"bearer","applications":["shop"]}`)
	m.Stream = member(t, w.ask(http.StatusCreated, http.MethodPost, "/ssf/streams", `{"delivery":{"method":"urn:ietf:rfc:8936"},"events_requested":["`+sessionRevoked+`"]}`), "stream_id")
	m.Hook = member(t, w.ask(http.StatusCreated, http.MethodPost, "/v1/webhooks", `{"url":"https://hooks.example/in"}`), "id")

	w.emit("0", sessionRevoked, "eve")
	m.Dead = w.poll(m.Stream, `{}`)
	w.ask(http.StatusOK, http.MethodPost, "/ssf/poll/"+m.Stream, `{"maxEvents":0,"setErrs":{"`+m.Dead+`":{"err":"invalid_request","description":"no"}}}`)
	m.Event = w.emit("1", sessionRevoked, "jo")
	m.Waits = w.poll(m.Stream, `{}`)
	w.ask(http.StatusOK, http.MethodPatch, "/v1/events/"+m.Event, `{"suspect":true,"tags":{"plan":"gold"}}`)
	w.emit("2", optOut, "leo")
	w.emit("3", accountPurged, "gone")
	w.until("/v1/participation?subject="+url.QueryEscape(email("leo")), `"opt-out"`)
	m.Erasure = member(t, w.ask(http.StatusAccepted, http.MethodPost, "/v1/erasures", `{"subject":`+email("gone")+`,"now":true}`), "id")
	w.until("/v1/erasures/"+m.Erasure, `"done"`)
	m.Hold = member(t, w.operate(http.StatusCreated, http.MethodPost, "/admin/holds", `{"subject":`+email("may")+`,"reason":"case 7"}`), "id")
	w.ask(http.StatusAccepted, http.MethodPost, "/v1/streams/"+m.Stream+"/replay", `{"from":"2026-11-24T00:00:00Z"}`)
	w.ask(http.StatusOK, http.MethodPut, "/v1/consents/gate", `{"enabled":true}`)
	w.ask(http.StatusCreated, http.MethodPost, "/v1/consents", `{"decision":"deny","subject":`+email("al")+`}`)
	m.Held = w.emit("4", sessionRevoked, "ann")
	if got := w.operate(http.StatusOK, http.MethodGet, "/admin/consents/held?application=shop", ""); !strings.Contains(got, `"held":1`) {
		t.Fatalf("held: got %s, want one", got)
	}
	m.Checkpoint = w.ask(http.StatusOK, http.MethodGet, "/v1/log/checkpoint", "")
	if err := n.Index.Wait(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	stop()
	whole, err := filepath.Abs(to)
	text, wrong := json.MarshalIndent(m, "", "  ")
	index := filepath.Join(cfg.Dir, "index.db")
	if err := errors.Join(err, wrong, os.RemoveAll(to), n.Backup(t.Context(), whole), n.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(index)
	if err := errors.Join(err, os.WriteFile(filepath.Join(to, "index.db"), raw, 0o600), os.WriteFile(filepath.Join(to, "memo.json"), append(text, '\n'), 0o600)); err != nil {
		t.Fatal(err)
	}
}
