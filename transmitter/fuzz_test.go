package transmitter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// target is a transmitter whose handlers a fuzzer may ask for anything.
type target struct {
	*house
	handler, admin http.Handler
	put            *strings.Replacer
	token          string
	client, secret string // for the token endpoint
	hook           string // id of a webhook, where there is one
	*workshop
}

func newTarget(t testing.TB, change ...func(*setup)) *target {
	h := open(t, append(change, func(s *setup) {
		s.idle = true
		s.LongPoll = 1 // a nanosecond: polls answer at once
		s.Figures = func(of string) (any, bool) { return emptyFigures(of), of == "" || of == "1h" }
	})...)
	made := h.credentials("alice", everyScope+" webhooks.manage events.erase admin")
	x := &target{house: h, handler: h.Handler(), admin: h.AdminHandler(), token: made.AccessToken, secret: made.Secret, client: made.ClientID}
	x.renew()
	return x
}

// renew deletes all streams and makes new ones: requests before may have
// deleted them.
func (x *target) renew() {
	ctx := context.Background()
	list, err := x.store.Streams(ctx, "alice")
	if err != nil {
		x.t.Fatal(err)
	}
	for _, s := range list {
		if err := x.store.Delete(ctx, s.ID); err != nil {
			x.t.Fatal(err)
		}
	}
	stream, push := x.stream(x.token, ""), x.stream(x.token, pushTo("https://r.example/events"))
	x.house.put(stream, "queued")
	x.put = strings.NewReplacer("{stream}", stream, "{push}", push, "{event}", x.emit(x.token, "a"), "{jti}", x.deadLetter(stream), "{client}", x.client)
}

// ask makes one request and fails on 5xx. A request that no HTTP server would
// hand on is left out.
func (x *target) ask(t *testing.T, method, target, contentType, header, body string) {
	t.Helper()
	target, body = x.put.Replace(target), x.put.Replace(body)
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") || !isToken(method) || !isFieldValue(contentType) || !isFieldValue(header) {
		return
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))
	r.Method, r.URL, r.RequestURI = method, u, target
	r.Header.Set("Authorization", "Bearer "+x.token)
	if strings.Contains(target, "/oauth/") {
		r.Header.Del("Authorization")
		r.SetBasicAuth(x.put.Replace("{client}"), x.secret)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("Accept", header)
	r.Header.Set("If-None-Match", header)
	r.Header.Set("X-Forwarded-For", header)
	r.Header.Set("Content-Encoding", header)
	handler := x.handler
	if strings.HasPrefix(u.Path, "/admin") || strings.HasPrefix(u.Path, "/metrics") || strings.HasSuffix(u.Path, "z") {
		handler = x.admin
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code >= 500 && w.Code != http.StatusNotImplemented {
		t.Errorf("%s %q (%s, %q) with %q: got %d %s\n%s", method, target, contentType, header, body, w.Code, w.Body, tail(x.logs.String()))
	}
	if logged := x.logs.String(); strings.Contains(logged, "panicked") {
		t.Errorf("%s %q (%s, %q) with %q: %s", method, target, contentType, header, body, tail(logged))
	}
}

func tail(s string) string {
	if len(s) > 600 {
		s = s[len(s)-600:]
	}
	return s
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) })
}

func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// seeds are requests that do something, one for each route at least.
func seeds() [][4]string {
	var out [][4]string
	for _, o := range operations() {
		out = append(out, [4]string{o.method, o.path, "application/json", o.body})
	}
	const form = "application/x-www-form-urlencoded"
	subject := `"subject":{"format":"complex","user":{"format":"iss_sub","iss":"https://i.example","sub":"1"},"tenant":{"format":"opaque","id":"t"}}`
	return append(out, [][4]string{
		{"POST", "/ssf/streams", "", `{"events_requested":["` + sessionRevoked + `"],"delivery":` + pushTo("https://r.example/e") + `,"description":"d"}`},
		{"PATCH", "/ssf/streams", "application/merge-patch+json", `{"stream_id":"{push}","description":null,"iss":1,"aud":["x"],"min_verification_interval":1e999,"inactivity_timeout":-1}`},
		{"PATCH", "/ssf/streams", "application/json", `{"stream_id":"{stream}","delivery":` + pushTo("https://r.example/") + `}`},
		{"POST", "/ssf/subjects/add", "", `{"stream_id":"{stream}",` + subject + `,"verified":false}`},
		{"POST", "/ssf/subjects/remove", "", `{"stream_id":"{stream}",` + subject + `}`},
		{"POST", "/ssf/subjects/add", "", `{"stream_id":"{stream}","subject":{"format":"aliases","identifiers":[{"format":"phone_number","phone_number":"+12065550100"}]}}`},
		{"POST", "/ssf/poll/{stream}", "", `{"maxEvents":3,"setErrs":{"{jti}":{"err":"invalid_request","description":"d"}},"ack":["queued","","\u0000"],"returnImmediately":true}`},
		{"POST", "/ssf/poll/{push}", "", `{}`},
		{"POST", "/v1/events", "application/json", event("a")},
		{"POST", "/v1/events", "application/x-ndjson", event("a") + "\n" + event("b")},
		{"POST", "/v1/events", "", `[` + event("a") + `,{"type":"session.revoked","time":"2024-02-29T23:59:60.5+23:59",` + subject + `,"source_id":"s"}]`},
		{"POST", "/v1/events", "", `{"format":"idme","record":{"event":"status.suspension.applied","identifier":"a1b2","email":"jo@example.com","session":"s","tracked_at":"2024-01-01T00:00:00Z"}}`},
		{"POST", "/v1/events", "", `{"format":"onelogin","record":{"id":1,"created_at":"0000-01-01T00:00:00Z","account_id":1,"user_id":2,"event_type_id":19}}`},
		{"POST", "/v1/events", "", `{"format":"onelogin","record":{"id":1e400,"created_at":"9999-12-31T23:59:59-23:59","account_id":-1,"user_id":0,"event_type_id":5}}`},
		{"GET", "/v1/streams/{stream}/dead-letters?after=zzz&limit=500", "", ""},
		{"GET", "/v1/streams/{stream}/dead-letters?after=%00%ff", "", ""},
		{"POST", "/oauth/token", form, "grant_type=client_credentials&scope=ssf.read"},
		{"POST", "/oauth/revoke", form, "token=tocsin_static_x"},
		{"GET", "/.well-known/ssf-configuration", "", ""},
		{"GET", "/jwks.json", "", ""},
		{"GET", "/admin/applications", "", ""},
		{"POST", "/admin/applications", "", `{"id":"b","audience":["https://b"],"created":"9999-12-31T23:59:59-23:59"}`},
		{"POST", "/admin/clients", "", `{"audience":"https://c","scope":"ssf.read","source":{"name":"n","event_types":[],"subject_issuers":null,"applications":["x"]}}`},
		{"GET", "/admin/clients?application=%00", "", ""},
		{"DELETE", "/admin/applications/nobody", "", ""},
		{"DELETE", "/admin/clients/..%2f", "", ""},
		{"GET", "/admin/keys", "", ""},
		{"POST", "/admin/keys/none/retire", "", `{"force":true}`},
		{"GET", "/admin/streams?application=alice", "", ""},
		{"GET", "/admin/streams/{stream}", "", ""},
		{"POST", "/admin/streams/{stream}/status", "", `{"status":"paused","reason":"r"}`},
		{"GET", "/admin/streams/{stream}/dead-letters?after=x", "", ""},
		{"POST", "/admin/events", "", event("c")},
		{"GET", "/admin/events/{event}", "", ""},
		{"GET", "/admin/events/{event}/way", "", ""},
		{"POST", "/admin/mapping?stream_id={stream}", "", event("d")},
		{"GET", "/metrics", "", ""},
		{"GET", "/readyz", "", ""},
	}...)
}

// FuzzRoutes: no request with a valid token makes a 5xx or a panic.
func FuzzRoutes(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s[0], s[1], s[2], "", s[3])
	}
	x := newTarget(f)
	f.Fuzz(func(t *testing.T, method, target, contentType, header, body string) {
		x.ask(t, method, target, contentType, header, body)
	})
}

// A bounded number of the same requests at random: pieces of the seeds in
// strange places.
func TestRandomRequests(t *testing.T) {
	x := newTarget(t)
	// The same requests each time; -fuzz looks further.
	rnd := rand.New(rand.NewPCG(8935, 8936))
	list := seeds()
	odd := []string{
		"", "null", "[]", "{}", "0", "-1", "1e999", "9999999999999999999999", `""`, `"\ud800"`, "\"\x00\"", `"\u0000"`, "\xff", "true", strings.Repeat("[", 20), strings.Repeat("x", 5000),
		`{"format":"complex"}`, `{"format":"opaque","id":""}`, "{stream}", "{jti}", "%00", "%2F", "..", ";", "&", "?stream_id={stream}", "\n", "\u2028", "é",
	}
	pick := func(n int) int { return rnd.IntN(n) }
	for i := range 6000 {
		if i%100 == 99 {
			x.renew()
		}
		a, b := list[pick(len(list))], list[pick(len(list))]
		method, path, kind, body := a[0], a[1], a[2], a[3]
		switch pick(6) {
		case 0:
			body = b[3]
		case 1:
			method = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "FOO"}[pick(8)]
		case 2:
			at := pick(len(path) + 1)
			path = path[:at] + url.PathEscape(odd[pick(len(odd))]) + path[at:]
		case 3:
			path += []string{"?", "&", "/"}[pick(3)] + odd[pick(len(odd))]
		case 4:
			kind = b[2]
		}
		for range pick(3) {
			body = mutate(body, odd[pick(len(odd))], pick)
		}
		x.ask(t, method, path, kind, odd[pick(len(odd))], body)
		if t.Failed() {
			t.Fatalf("request %d", i)
		}
	}
}

// mutate puts a piece into the body, in place of a JSON value where it can.
func mutate(body, piece string, pick func(int) int) string {
	if len(body) == 0 {
		return piece
	}
	at := pick(len(body))
	if colon := strings.IndexByte(body[at:], ':'); colon >= 0 && pick(3) > 0 {
		from := at + colon + 1
		to := from + strings.IndexAny(body[from:]+",", ",}]")
		return body[:from] + piece + body[min(to, len(body)):]
	}
	for !utf8.RuneStart(body[at]) {
		at--
	}
	return fmt.Sprint(body[:at], piece, body[at:])
}
