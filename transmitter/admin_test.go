package transmitter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams"
)

// operator serves a handler of the admin side and asks it.
type operator struct {
	*house
	server *httptest.Server
}

func (h *house) operator(handler http.Handler) *operator {
	server := httptest.NewServer(contractual(h.t, "", handler))
	h.t.Cleanup(server.Close)
	return &operator{h, server}
}

func (o *operator) do(method, path, token, body string) answer {
	o.t.Helper()
	return o.ask(context.Background(), method, o.server.URL+path, token, strings.NewReader(body))
}

func (o *operator) must(status int, method, path, token, body string) answer {
	o.t.Helper()
	a := o.do(method, path, token, body)
	if a.status != status {
		o.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// acts are the operations of the admin API.
func acts() []operation {
	return []operation{
		{method: "GET", path: "/metrics"},
		{method: "GET", path: "/admin/applications"},
		{method: "POST", path: "/admin/applications", body: "{}"},
		{method: "PATCH", path: "/admin/applications/x", body: "{}"},
		{method: "DELETE", path: "/admin/applications/x"},
		{method: "GET", path: "/admin/clients"},
		{method: "POST", path: "/admin/clients", body: "{}"},
		{method: "DELETE", path: "/admin/clients/x"},
		{method: "GET", path: "/admin/sources"},
		{method: "POST", path: "/admin/sources", body: "{}"},
		{method: "POST", path: "/admin/sources/x/fetch", body: "{}"},
		{method: "POST", path: "/admin/sources/x/rotate", body: "{}"},
		{method: "DELETE", path: "/admin/sources/x"},
		{method: "GET", path: "/admin/consents"},
		{method: "POST", path: "/admin/consents", body: "{}"},
		{method: "GET", path: "/admin/participation"},
		{method: "GET", path: "/admin/consents/held"},
		{method: "GET", path: "/admin/consents/gate"},
		{method: "GET", path: "/admin/consents/gates"},
		{method: "PUT", path: "/admin/consents/gate", body: "{}"},
		{method: "GET", path: "/admin/keys"},
		{method: "POST", path: "/admin/keys/rotate"},
		{method: "POST", path: "/admin/keys/x/retire", body: "{}"},
		{method: "POST", path: "/admin/keys/rewrap", body: "{}"},
		{method: "GET", path: "/admin/streams"},
		{method: "GET", path: "/admin/streams/x"},
		{method: "POST", path: "/admin/streams/x/status", body: "{}"},
		{method: "PUT", path: "/admin/streams/x/profile", body: "{}"},
		{method: "PUT", path: "/admin/streams/x/encryption", body: "{}"},
		{method: "POST", path: "/admin/streams/x/verify"},
		{method: "GET", path: "/admin/streams/x/attempts"},
		{method: "GET", path: "/admin/streams/x/subjects"},
		{method: "POST", path: "/admin/streams/x/replay", body: "{}"},
		{method: "GET", path: "/admin/streams/x/dead-letters"},
		{method: "POST", path: "/admin/streams/x/dead-letters/j/resend"},
		{method: "DELETE", path: "/admin/streams/x/dead-letters/j"},
		{method: "POST", path: "/admin/events", body: "{}"},
		{method: "GET", path: "/admin/events/x"},
		{method: "GET", path: "/admin/events/x/way"},
		{method: "POST", path: "/admin/mapping", body: "{}"},
		{method: "POST", path: "/admin/backup", body: "{}"},
		{method: "GET", path: "/admin/nothing-here"},
	}
}

// contracts.md §1: administrative acts need an admin token; health needs none.
func TestAdminNeedsToken(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.AdminHandler())
	manager := h.client("alice", everyScope)
	for _, a := range acts() {
		name := a.method + " " + a.path
		checkError(t, "no token "+name, o.do(a.method, a.path, "", a.body), http.StatusUnauthorized)
		checkError(t, "garbage "+name, o.do(a.method, a.path, "garbage", a.body), http.StatusUnauthorized)
		checkError(t, "not an admin "+name, o.do(a.method, a.path, manager, a.body), http.StatusForbidden)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := o.do("GET", path, "", ""); a.status != 200 || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("GET %s: got %d %v, want 200, no-store", path, a.status, a.header)
		}
		checkError(t, "U35 POST "+path, o.do("POST", path, "", ""), http.StatusMethodNotAllowed)
	}
	checkError(t, "no path of ours", o.do("GET", "/", "", ""), http.StatusNotFound)
	// The Unix socket asks for none: who can open it is the operator.
	socket := h.operator(h.SocketHandler())
	socket.must(200, "GET", "/admin/applications", "", "")
	socket.must(200, "GET", "/metrics", "", "")
}

// The admin API from an application to its end.
func TestAdminActs(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.AdminHandler())
	admin := h.client("operators", "admin")
	app := o.must(201, "POST", "/admin/applications", admin, `{"id":"shop","audience":["https://shop.example"],"created":"9999-12-31T23:59:59-23:59"}`)
	if got := app.member("created"); strings.HasPrefix(got, "9999") || got == "" {
		t.Errorf("created: got %s, want the store's own time", got)
	}
	if list := o.must(200, "GET", "/admin/applications", admin, "").body; !strings.Contains(list, `"shop"`) {
		t.Errorf("applications: got %s", list)
	}
	made := o.must(201, "POST", "/admin/clients", admin, `{"id":"shop-1","audience":"https://shop.example","scope":"ssf.manage ssf.read","static":true}`)
	token := made.member("access_token")
	if made.member("client_secret") == "" || token == "" || made.header.Get("Cache-Control") != "no-store" {
		t.Errorf("client: got %s %v, want secrets and no-store", made.body, made.header)
	}
	if list := o.must(200, "GET", "/admin/clients?application=shop", admin, "").body; !strings.Contains(list, "shop-1") || strings.Contains(list, token) || strings.Contains(list, made.member("client_secret")) {
		t.Errorf("SEC-04 clients: got %s, want shop-1 without secrets", list)
	}
	// A client for an audience that nobody has makes the application.
	if o.must(201, "POST", "/admin/clients", admin, `{"audience":"https://new.example","scope":"events.write"}`); len(o.must(200, "GET", "/admin/applications", admin, "").body) == 0 {
		t.Error("no applications")
	}
	if _, err := h.apps.ApplicationFor(t.Context(), "https://new.example"); err != nil {
		t.Errorf("application of a new audience: got %v", err)
	}
	stream := h.stream(token, "")
	o.streamActs(t, admin, token, stream)
	kid := o.must(201, "POST", "/admin/keys/rotate", admin, "").member("kid")
	if list := o.must(200, "GET", "/admin/keys", admin, "").body; !strings.Contains(list, kid) || strings.Contains(list, `"d"`) {
		t.Errorf("SEC-04 keys: got %s, want %s and nothing private", list, kid)
	}
	id := o.must(202, "POST", "/admin/events", admin, event("a")).member("id")
	if got := o.must(200, "GET", "/admin/events/"+id, admin, "").member("source"); got != "operator" {
		t.Errorf("event: got source %q, want operator", got)
	}
	o.must(204, "DELETE", "/admin/applications/shop", admin, "")
	if a := h.do("GET", "/ssf/streams", token, ""); a.status != http.StatusUnauthorized {
		t.Errorf("token of a removed application: got %d, want 401", a.status)
	}
	if _, err := h.store.Stream(t.Context(), stream); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("stream of a removed application: got %v, want ErrNotFound", err)
	}
}

// streamActs: U17, what an operator imposes the receiver may not lift.
func (o *operator) streamActs(t *testing.T, admin, token, stream string) {
	t.Helper()
	at := "/admin/streams/" + stream
	if got := o.must(200, "GET", "/admin/streams?application=shop", admin, "").body; !strings.Contains(got, stream) {
		t.Errorf("streams: got %s", got)
	}
	if got := o.must(200, "POST", at+"/status", admin, `{"status":"paused","reason":"audit"}`); got.member("status") != "paused" || got.member("reason") != "audit" {
		t.Errorf("pause: got %s", got.body)
	}
	checkError(t, "U17", o.house.do("POST", "/ssf/status", token, `{"stream_id":"`+stream+`","status":"enabled"}`), http.StatusForbidden)
	if got := o.must(200, "POST", at+"/status", admin, `{"status":"enabled"}`).member("status"); got != "enabled" {
		t.Errorf("resume: got %s", got)
	}
	o.house.must(200, "POST", "/ssf/status", token, `{"stream_id":"`+stream+`","status":"paused"}`)
	checkError(t, "the receiver chose the status", o.do("POST", at+"/status", admin, `{"status":"enabled"}`), http.StatusConflict)
	dead := o.deadLetter(stream)
	if got := o.must(200, "GET", at+"/dead-letters", admin, "").body; !strings.Contains(got, dead) {
		t.Errorf("dead letters: got %s", got)
	}
	if got := o.must(200, "GET", at, admin, ""); got.member("dead_letters") != "1" || got.member("application") != "shop" {
		t.Errorf("stream: got %s", got.body)
	}
	o.must(202, "POST", at+"/dead-letters/"+dead+"/resend", admin, "")
	checkError(t, "it is no dead letter any more", o.do("DELETE", at+"/dead-letters/"+dead, admin, ""), http.StatusNotFound)
}

// Each wrong request of an operator has its status and body.
func TestAdminRefusals(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.AdminHandler())
	admin := h.client("operators", "admin")
	stream := h.stream(h.client("shop", everyScope), "")
	kid := h.keys.Signer().KeyID()
	old := kid
	if _, err := h.keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kid = h.keys.Signer().KeyID()
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		err, member              string
	}{
		{"no JSON", "POST", "/admin/applications", "x", 400, "invalid_request", ""},
		{"unknown member", "POST", "/admin/applications", `{"audience":["https://a"],"aud":1}`, 400, "invalid_request", ""},
		{"a member twice", "POST", "/admin/applications", `{"id":"a","id":"b"}`, 400, "invalid_request", ""},
		{"too large", "POST", "/admin/applications", `{"id":"` + strings.Repeat("a", 70<<10) + `"}`, 413, "body_too_large", ""},
		{"no audience", "POST", "/admin/applications", `{"id":"a"}`, 400, "invalid_request", "audience"},
		{"bad id", "POST", "/admin/applications", `{"id":"a/b","audience":["https://a"]}`, 400, "invalid_request", "id"},
		{"id taken", "POST", "/admin/applications", `{"id":"shop","audience":["https://a"]}`, 409, "exists", ""},
		{"audience taken", "POST", "/admin/applications", `{"id":"a","audience":["https://shop.example"]}`, 409, "exists", ""},
		{"unknown application", "DELETE", "/admin/applications/nobody", "", 404, "not_found", ""},
		{"unknown scope", "POST", "/admin/clients", `{"application":"shop","scope":"everything"}`, 400, "invalid_request", "scope"},
		{"malformed scope", "POST", "/admin/clients", `{"application":"shop","scope":"\u0001"}`, 400, "invalid_request", "scope"},
		{"no scope", "POST", "/admin/clients", `{"application":"shop","scope":""}`, 400, "invalid_request", "scope"},
		{"neither application nor audience", "POST", "/admin/clients", `{"scope":"ssf.read"}`, 400, "invalid_request", "audience"},
		{"client of an unknown application", "POST", "/admin/clients", `{"application":"nobody","scope":"ssf.read"}`, 404, "not_found", ""},
		{"unknown client", "DELETE", "/admin/clients/nobody", "", 404, "not_found", ""},
		{"unknown key", "POST", "/admin/keys/nobody/retire", "{}", 404, "not_found", ""},
		{"current key", "POST", "/admin/keys/" + kid + "/retire", "{}", 409, "conflict", ""},
		{"contracts.md §6 too soon", "POST", "/admin/keys/" + old + "/retire", "{}", 409, "conflict", ""},
		{"streams of no status", "GET", "/admin/streams?status=on", "", 400, "invalid_request", "status"},
		{"streams of no method", "GET", "/admin/streams?method=webhook", "", 400, "invalid_request", "method"},
		{"streams that have nothing known", "GET", "/admin/streams?has=luck", "", 400, "invalid_request", "has"},
		{"too many streams", "GET", "/admin/streams?limit=201", "", 400, "invalid_request", "limit"},
		{"streams from nowhere", "GET", "/admin/streams?after=x", "", 400, "invalid_request", "after"},
		{"streams for too long a text", "GET", "/admin/streams?q=" + strings.Repeat("a", 257), "", 400, "invalid_request", "q"},
		{"unknown stream", "GET", "/admin/streams/nobody", "", 404, "not_found", ""},
		{"status of an unknown stream", "POST", "/admin/streams/nobody/status", `{"status":"paused"}`, 404, "not_found", ""},
		{"no status", "POST", "/admin/streams/" + stream + "/status", `{}`, 400, "invalid_request", "status"},
		{"no cursor", "GET", "/admin/streams/" + stream + "/dead-letters?after=x", "", 400, "invalid_request", "after"},
		{"too many dead letters", "GET", "/admin/streams/" + stream + "/dead-letters?limit=501", "", 400, "invalid_request", "limit"},
		{"verification of an unknown stream", "POST", "/admin/streams/nobody/verify", "", 404, "not_found", ""},
		{"attempts of an unknown stream", "GET", "/admin/streams/nobody/attempts", "", 404, "not_found", ""},
		{"subjects of an unknown stream", "GET", "/admin/streams/nobody/subjects", "", 404, "not_found", ""},
		{"subjects from nowhere", "GET", "/admin/streams/" + stream + "/subjects?after=x", "", 400, "invalid_request", "after"},
		{"dead letter of an unknown stream", "POST", "/admin/streams/nobody/dead-letters/j/resend", "", 404, "not_found", ""},
		{"unknown dead letter", "POST", "/admin/streams/" + stream + "/dead-letters/j/resend", "", 404, "not_found", ""},
		{"no event id", "GET", "/admin/events/x", "", 400, "invalid_request", "id"},
		{"no event", "POST", "/admin/events", "[]", 400, "invalid_request", ""},
		{"where to", "POST", "/admin/backup", "{}", 400, "invalid_request", "dir"},
		{"not offered", "POST", "/admin/backup", `{"dir":"/x"}`, 501, "not_offered", ""},
	} {
		a := o.do(c.method, c.path, admin, c.body)
		checkError(t, c.name, a, c.status)
		if a.member("err") != c.err || a.member("member") != c.member {
			t.Errorf("%s: got %s, want err %q, member %q", c.name, a.body, c.err, c.member)
		}
	}
	if a := o.do("POST", "/admin/keys/"+old+"/retire", admin, `{"force":true}`); a.status != http.StatusNoContent {
		t.Errorf("a key that leaked: got %d %s, want 204", a.status, a.body)
	}
}

// Labels are bounded: neither paths nor methods that a caller invents make a
// series.
func TestMetricsLabels(t *testing.T) {
	h := open(t)
	o := h.operator(h.SocketHandler())
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	h.emit(token, "a")
	ids, _ := h.poll(token, stream, `{}`)
	h.poll(token, stream, `{"ack":["`+ids[0]+`"],"maxEvents":0}`)
	for i := range 50 {
		h.do("GET", fmt.Sprintf("/invented/%d", i), token, "")
		h.do("GET", fmt.Sprintf("/ssf/invented-%d", i), token, "")
		h.do("GET", fmt.Sprintf("/ssf/streams/invented-%d", i), token, "")
		h.do("GET", fmt.Sprintf("/v1/events/invented-%d", i), token, "")
		h.do("POST", fmt.Sprintf("/ssf/poll/invented-%d", i), token, "{}")
		h.do(fmt.Sprintf("INVENT%d", i), "/ssf/streams", token, "")
	}
	text := o.must(200, "GET", "/metrics", "", "").body
	if strings.Contains(strings.ToLower(text), "invented-") || strings.Contains(text, "INVENT") || strings.Contains(text, "invented/") {
		t.Errorf("a label holds what a caller invented:\n%s", text)
	}
	if n := strings.Count(text, "tocsin_http_requests_total{"); n > 20 {
		t.Errorf("got %d series of requests, want a bounded few", n)
	}
	for _, want := range []string{
		`tocsin_events_total{outcome="accepted"} 1`, `tocsin_delivery_seconds_count{method="poll"} 1`,
		`tocsin_http_requests_total{method="POST",route="/ssf/poll/:stream_id",status="404"} 50`,
		`tocsin_http_requests_total{method="other",`, "tocsin_queue_depth 0", "tocsin_dead_letters 0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %s in\n%s", want, grep(text, "tocsin_"))
		}
	}
	if strings.Contains(text, "alice") || strings.Contains(text, "example.com") {
		t.Error("SEC-04: metrics name an application or a subject")
	}
}

func grep(text, prefix string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) && !strings.Contains(line, "_bucket") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// Readiness turns when the transmitter is about to stop, and polls that wait
// are answered.
func TestRefuse(t *testing.T) {
	h := open(t, func(s *setup) { s.LongPoll = patience })
	o := h.operator(h.AdminHandler())
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	waiting := make(chan answer)
	go func() { waiting <- h.do("POST", "/ssf/poll/"+stream, token, "{}") }()
	o.must(200, "GET", "/readyz", "", "")
	h.Refuse()
	h.Refuse() // again does nothing
	if a := <-waiting; a.status != 200 || a.body != `{"sets":{}}` {
		t.Errorf("POLL-2.5-01 a waiting poll: got %d %s, want an answer without SETs", a.status, a.body)
	}
	if a := o.do("GET", "/readyz", "", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("readyz: got %d, want 503", a.status)
	}
	o.must(200, "GET", "/healthz", "", "")
	a := h.do("POST", "/v1/events", token, event("a"))
	checkError(t, "new events", a, http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") == "" {
		t.Error("new events: got no Retry-After")
	}
	h.must(200, "GET", "/ssf/streams?stream_id="+stream, token, "") // all else goes on
}
