package transmitter_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// operation is one route with one method as its caller sees it.
type operation struct {
	method, path string // {stream}, {event}, {jti} stand for ids
	body         string
	scope        string // one that is enough
	allow        string // the Allow of the path
}

// operations are all that need a token.
func operations() []operation {
	const named = `{"stream_id":"{stream}"`
	return []operation{
		{"POST", "/ssf/streams", `{}`, "ssf.manage", "DELETE, GET, PATCH, POST, PUT"},
		{"GET", "/ssf/streams", ``, "ssf.read", ""},
		{"GET", "/ssf/streams?stream_id={stream}", ``, "ssf.read", ""},
		{"PATCH", "/ssf/streams", named + `,"description":"stolen"}`, "ssf.manage", ""},
		{"PUT", "/ssf/streams", named + `,"description":"stolen"}`, "ssf.manage", ""},
		{"DELETE", "/ssf/streams?stream_id={stream}", ``, "ssf.manage", ""},
		{"GET", "/ssf/status?stream_id={stream}", ``, "ssf.read", "GET, POST"},
		{"POST", "/ssf/status", named + `,"status":"disabled"}`, "ssf.manage", ""},
		{"POST", "/ssf/subjects/add", named + `,"subject":{"format":"email","email":"x@example.com"}}`, "ssf.manage", "POST"},
		{"POST", "/ssf/subjects/remove", named + `,"subject":{"format":"email","email":"x@example.com"}}`, "ssf.manage", "POST"},
		{"POST", "/ssf/verify", named + `,"state":"s"}`, "ssf.manage", "POST"},
		{"GET", "/v1/participation?subject=%7B%22format%22:%22opaque%22,%22id%22:%221%22%7D", ``, "consents.manage", "GET"},
		{"POST", "/v1/streams/{stream}/replay", `{"from":"2026-01-02T03:04:05Z"}`, "ssf.manage", "POST"},
		{"POST", "/ssf/poll/{stream}", `{"ack":["{jti}"],"returnImmediately":true}`, "ssf.manage.poll", "POST"},
		{"POST", "/v1/events", `{}`, "events.write", "GET, POST"},
		{"GET", "/v1/events", ``, "events.read", "GET, POST"},
		{"GET", "/v1/events/{event}", ``, "events.read", "GET, PATCH"},
		{"PATCH", "/v1/events/{event}", `{"suspect":true}`, "events.annotate", "GET, PATCH"},
		{"GET", "/v1/events/{event}/annotations", ``, "events.read", "GET"},
		{"POST", "/v1/consents", `{"subject":{"format":"email","email":"x@example.com"},"decision":"grant"}`, "consents.manage", "GET, POST"},
		{"GET", "/v1/consents", ``, "consents.manage", ""},
		{"GET", "/v1/consents/gate", ``, "consents.manage", "GET, PUT"},
		{"PUT", "/v1/consents/gate", `{}`, "consents.manage", ""},
		{"GET", "/v1/streams/{stream}/dead-letters", ``, "ssf.read", "GET"},
		{"POST", "/v1/streams/{stream}/dead-letters/{jti}/resend", ``, "ssf.manage", "POST"},
		{"DELETE", "/v1/streams/{stream}/dead-letters/{jti}", ``, "ssf.manage", "DELETE"},
	}
}

// with puts ids in place.
func (o operation) with(stream, event, jti string) operation {
	put := strings.NewReplacer("{stream}", stream, "{event}", event, "{jti}", jti)
	o.path, o.body = put.Replace(o.path), put.Replace(o.body)
	return o
}

// checkError checks that an answer is an error as U15 draws it and is kept by no cache.
func checkError(t *testing.T, name string, a answer, status int) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: got %d %s, want %d", name, a.status, a.body, status)
		return
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: got Content-Type %q, want application/json", name, got)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: got Cache-Control %q, want no-store (SSF-8.1.1-08)", name, got)
	}
	if a.member("err") == "" || a.member("description") == "" {
		t.Errorf("%s: got %s, want err and description (U15)", name, a.body)
	}
}

// U35: a method that a path does not have is 405 with Allow, for anybody; a
// path that is not ours is 404, and so is what metadata does not offer
// (SSF-8.1.3-04).
func TestMethodsAndPaths(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	token := h.client("alice", everyScope)
	methods := []string{"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"}
	allowed := map[string]string{
		"/oauth/token": "POST", "/oauth/revoke": "POST", "/jwks.json": "GET",
		"/.well-known/ssf-configuration": "GET",
	}
	for _, o := range operations() {
		path, _, _ := strings.Cut(o.with("s", "e", "j").path, "?")
		if o.allow != "" {
			allowed[path] = o.allow
		}
	}
	for path, allow := range allowed {
		for _, method := range methods {
			if strings.Contains(allow, method) {
				continue
			}
			a := h.do(method, path, token, "")
			if method == "HEAD" { // no body to look at
				if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
					t.Errorf("U35 HEAD %s: got %d, Allow %q, want 405 with Allow", path, a.status, a.header.Get("Allow"))
				}
				continue
			}
			checkError(t, "U35 "+method+" "+path, a, http.StatusMethodNotAllowed)
			if got := sorted(a.header.Get("Allow")); got != sorted(allow) {
				t.Errorf("U35 %s %s: got Allow %q, want %q", method, path, got, allow)
			}
		}
	}
	for _, path := range []string{
		"/", "/ssf", "/ssf/", "/ssf/streams/", "/ssf/streams/x", "/ssf/poll", "/ssf/poll/", "/v1", "/v1/event-types/x",
		"/v1/streams", "/v1/streams/x", "/admin/applications", "/metrics", "/healthz", "/.well-known/risc-configuration", "/a%00b", "/%ff", "//ssf/streams",
	} {
		checkError(t, "SSF-8.1.3-04 GET "+path, h.do("GET", path, token, ""), http.StatusNotFound)
		checkError(t, "SSF-8.1.3-04 POST "+path, h.do("POST", path, token, "{}"), http.StatusNotFound)
	}
}

func sorted(allow string) string {
	list := strings.Split(allow, ", ")
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// SSF-8-01, POLL-3-01, INTEROP-2.7.3-01..03, SET-4-01: whatever is not one good
// token is 401 with WWW-Authenticate, judged before the body.
func TestTokens(t *testing.T) {
	now := time.Now()
	h := open(t, func(s *setup) { s.idle = true; s.Now = func() time.Time { return now } })
	made := h.credentials("alice", everyScope)
	stream := h.stream(made.AccessToken, "")
	other := open(t, func(s *setup) { s.idle = true })
	foreign := other.jwt(other.credentials("alice", everyScope))
	expired := h.jwt(made)
	now = now.Add(61 * time.Minute)
	removed := h.credentials("alice", everyScope)
	if err := h.apps.RemoveClient(t.Context(), removed.ClientID); err != nil {
		t.Fatal(err)
	}
	event, err := set.Builder{
		Issuer: h.issuer, ID: "x", Audience: []string{h.issuer}, IssuedAt: now,
		Subject: subject.Email("a@example.com"), Event: set.Event{Type: sessionRevoked},
	}.Sign(h.keys.Signer())
	if err != nil {
		t.Fatal(err)
	}
	good := made.AccessToken
	cases := []struct {
		name   string
		header []string // Authorization
		query  string
		code   string // of RFC 6750 §3.1; "": none
	}{
		{"none", nil, "", ""},
		{"INTEROP-2.7.3-01 in the query", nil, "access_token=" + good, ""},
		{"Basic", []string{"Basic YWxpY2U6eA=="}, "", ""},
		{"empty", []string{""}, "", ""},
		{"scheme alone", []string{"Bearer"}, "", "invalid_token"},
		{"garbage", []string{"Bearer garbage"}, "", "invalid_token"},
		{"not token68", []string{"Bearer a b"}, "", "invalid_token"},
		{"quotes", []string{`Bearer "a"`}, "", "invalid_token"},
		{"latin 1", []string{"Bearer \xe9\xff"}, "", "invalid_token"},
		{"tab", []string{"Bearer \ta"}, "", "invalid_token"},
		{"three dots", []string{"Bearer ..."}, "", "invalid_token"},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, "", "invalid_token"},
		{"very long", []string{"Bearer " + strings.Repeat("a", 900<<10)}, "", "invalid_token"},
		{"one letter more", []string{"Bearer " + good + "a"}, "", "invalid_token"},
		{"alg none", []string{"Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."}, "", "invalid_token"},
		{"SET-4-01 a SET", []string{"Bearer " + event}, "", "invalid_token"},
		{"INTEROP-2.7.3-02 expired", []string{"Bearer " + expired}, "", "invalid_token"},
		{"INTEROP-2.7.3-02 foreign issuer", []string{"Bearer " + foreign}, "", "invalid_token"},
		{"INTEROP-2.7.3-02 removed client", []string{"Bearer " + removed.AccessToken}, "", "invalid_token"},
	}
	for _, o := range operations() {
		o = o.with(stream, "e", "j")
		for _, c := range cases {
			name := c.name + " " + o.method + " " + o.path
			path := o.path
			if c.query != "" && strings.Contains(path, "?") {
				path += "&" + c.query
			} else if c.query != "" {
				path += "?" + c.query
			}
			var headers []string
			for _, v := range c.header {
				headers = append(headers, "Authorization", v)
			}
			// A body that is wrong in each way: it must not be looked at.
			a := h.do(o.method, path, "", "\xff not json", append(headers, "Content-Type", "text/html")...)
			checkError(t, name, a, http.StatusUnauthorized)
			challenge := a.header.Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("POLL-3-01 %s: got WWW-Authenticate %q, want Bearer", name, challenge)
			}
			if got := strings.Contains(challenge, `error="`); got != (c.code != "") || !strings.Contains(challenge, c.code) {
				t.Errorf("INTEROP-2.7.3-03 %s: got WWW-Authenticate %q, want code %q", name, challenge, c.code)
			}
			if strings.Contains(a.body, good) || strings.Contains(challenge, good) {
				t.Errorf("SEC-04 %s: the answer holds the token", name)
			}
		}
		// The scheme's name is not case-sensitive (RFC 9110 §11.1).
		if a := h.do(o.method, o.path, "", o.body, "Authorization", "bEARER "+good); a.status == http.StatusUnauthorized {
			t.Errorf("lower-case bearer %s %s: got 401", o.method, o.path)
		}
		// Beside a good token in the header one in the query is an error (RFC 6750 §3.1).
		sep := "?"
		if strings.Contains(o.path, "?") {
			sep = "&"
		}
		a := h.do(o.method, o.path+sep+"access_token=x", good, o.body)
		checkError(t, "INTEROP-2.7.3-03 two ways "+o.method+" "+o.path, a, http.StatusBadRequest)
	}
	if logged := h.logs.String(); strings.Contains(logged, good) || strings.Contains(logged, expired) {
		t.Error("SEC-04: a token was logged")
	}
}

// jwt gets an access token from the token endpoint.
func (h *house) jwt(c auth.Credentials) string {
	h.t.Helper()
	a := h.must(http.StatusOK, "POST", "/oauth/token", "", "grant_type=client_credentials&client_id="+c.ClientID+"&client_secret="+c.Secret,
		"Content-Type", "application/x-www-form-urlencoded")
	return a.member("access_token")
}

// Control bytes in a header never reach a handler: net/http answers 400 by
// itself. What reaches it all the same (another server in front) is 401.
func TestTokenWithControlBytes(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	for b := range 256 {
		if b > 0x20 && b < 0x7f {
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", h.issuer+"/ssf/streams", nil)
		r.Header["Authorization"] = []string{"Bearer a" + string([]byte{byte(b)}) + "b"}
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		checkError(t, fmt.Sprintf("SSF-8-01 byte %#x", b), answer{w.Code, w.Header(), w.Body.String()}, http.StatusUnauthorized)
	}
}

// A refusal for want of a token does not wait for the body.
func TestRefusedBeforeTheBody(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	for _, o := range operations() {
		if o.body == "" {
			continue
		}
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", h.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		// The body is announced and never comes.
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n", o.method, o.with("s", "e", "j").path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s %s: got %v, want an answer before the body", o.method, o.path, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("SSF-8-01 %s %s: got %d, want 401 before the body", o.method, o.path, resp.StatusCode)
		}
		_ = conn.Close()
	}
}

// INTEROP-2.7.2-02, OIDF-09, U29: each operation with a scope that is not
// enough is 403 and says which is; with one that is enough it goes on.
func TestScopes(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	owner := h.client("alice", everyScope)
	stream := h.stream(owner, "")
	tokens := map[string]string{}
	for _, o := range operations() {
		if tokens[o.scope] == "" {
			tokens[o.scope] = h.client("alice", o.scope)
		}
	}
	for _, o := range operations() {
		o = o.with(stream, "e", "j")
		weak := tokens["events.write"]
		if o.scope == "events.write" {
			weak = tokens["ssf.read"]
		}
		a := h.do(o.method, o.path, weak, "\xff", "Content-Type", "text/html")
		checkError(t, "SSF-8.1.1.1-04 "+o.method+" "+o.path, a, http.StatusForbidden)
		if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope"`) || !strings.Contains(got, "scope=") {
			t.Errorf("INTEROP-2.7.3-03 %s %s: got WWW-Authenticate %q", o.method, o.path, got)
		}
		if o.method == "DELETE" && strings.HasPrefix(o.path, "/ssf/streams") {
			continue // the others need the stream
		}
		if a := h.do(o.method, o.path, tokens[o.scope], o.body); a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
			t.Errorf("U29 %s %s with %s: got %d", o.method, o.path, o.scope, a.status)
		}
	}
}

// SSF-8-03, SSF-8.1.1.2-01, SSF-8.1.1-10: for every operation, what belongs to
// another application answers byte for byte as what does not exist, and stays
// untouched.
func TestTwoApplications(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	alice := h.client("alice", everyScope)
	onlyAlice := h.client("source", "events.write", &auth.Source{Name: "hr", Applications: []string{"alice"}})
	mallory := h.client("mallory", everyScope)
	stream := h.stream(alice, "")
	secret := h.emit(onlyAlice, "secret")
	jti, dead := h.queued(stream), h.deadLetter(stream)
	before := h.snapshot(stream)

	unknown := "AAAAAAAAAAAAAAAAAAAAAA"
	for _, o := range operations() {
		if !strings.Contains(o.path+o.body, "{") || o.path == "/v1/events" || strings.HasPrefix(o.path, "/v1/consents") || o.path == "/ssf/streams" && o.method != "PATCH" && o.method != "PUT" {
			continue // names nothing
		}
		for _, id := range []string{jti, dead} {
			got := h.do(o.method, o.with(stream, secret, id).path, mallory, o.with(stream, secret, id).body)
			want := h.do(o.method, o.with(unknown, unknownEvent(t), id).path, mallory, o.with(unknown, secret, id).body)
			got.header.Del("Date")
			want.header.Del("Date")
			if want.status != http.StatusNotFound {
				t.Errorf("%s %s: got %d for what does not exist, want 404", o.method, o.path, want.status)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
				t.Errorf("SSF-8-03 %s %s: unknown - not yours +\n%s", o.method, o.path, diff)
			}
		}
	}
	if a := h.must(200, "GET", "/ssf/streams", mallory, ""); strings.TrimSpace(a.body) != "[]" {
		t.Errorf("SSF-8.1.1.2-02: got %s, want []", a.body)
	}
	if diff := cmp.Diff(before, h.snapshot(stream)); diff != "" {
		t.Errorf("SSF-8.1.1-10: alice's stream changed: %s", diff)
	}
	// The owner still has it all.
	h.must(200, "GET", "/v1/events/"+secret, alice, "")
	h.must(200, "GET", "/ssf/streams?stream_id="+stream, alice, "")
	h.must(202, "POST", "/v1/streams/"+stream+"/dead-letters/"+dead+"/resend", alice, "")
	if ids, _ := h.poll(alice, stream, `{"returnImmediately":true}`); !slices.Contains(ids, jti) || !slices.Contains(ids, dead) {
		t.Errorf("got %v, want the SETs %s and %s", ids, jti, dead)
	}
}

// unknownEvent is an id of the right form that no log of ours gave out.
func unknownEvent(t *testing.T) string {
	t.Helper()
	other := open(t, func(s *setup) { s.idle = true })
	return other.emit(other.client("x", "events.write"), "x")
}

// queued puts a control SET on the queue and returns its jti.
func (h *house) queued(stream string) string {
	h.t.Helper()
	h.put(stream, "queued-1")
	return "queued-1"
}

func (h *house) put(stream, jti string) {
	h.t.Helper()
	if _, err := h.store.Put(context.Background(), streams.Item{
		Stream: stream, Lane: streams.LaneControl, ID: jti, Type: streams.TypeVerification, Payload: []byte("{}"), Added: time.Now(),
	}); err != nil {
		h.t.Fatal(err)
	}
}

// deadLetter makes a dead letter and returns its jti.
func (h *house) deadLetter(stream string) string {
	h.t.Helper()
	h.put(stream, "dead-1")
	if _, err := h.store.Settle(context.Background(), stream, []streams.Outcome{{ID: "dead-1", Verdict: streams.Refused, Code: "invalid_request"}}, nil); err != nil {
		h.t.Fatal(err)
	}
	return "dead-1"
}

// snapshot is all that is kept about a stream.
func (h *house) snapshot(stream string) []any {
	h.t.Helper()
	ctx := context.Background()
	s, err := h.store.Stream(ctx, stream)
	if err != nil {
		h.t.Fatal(err)
	}
	s.Active = time.Time{} // any call of the owner counts (SSF-8.1.1-04)
	depth, err := h.store.Depth(ctx, stream)
	if err != nil {
		h.t.Fatal(err)
	}
	dead, _, err := h.store.DeadLetters(ctx, stream, "", 10)
	if err != nil {
		h.t.Fatal(err)
	}
	return []any{s, depth, dead}
}
