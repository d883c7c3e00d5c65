package transmitter_test

import (
	"net/http"
	"strings"
	"testing"
)

// wrong is a request that is refused for its content.
type wrong struct {
	name, body  string
	contentType string // "": application/json
	status      int
	err, member string
}

// broken are bodies that no route with a JSON object takes.
func broken() []wrong {
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	return []wrong{
		{name: "OIDF-03 empty", status: 400, err: "invalid_request"},
		{name: "OIDF-03 not JSON", body: "{", status: 400, err: "invalid_request"},
		{name: "OIDF-03 text", body: "hello", status: 400, err: "invalid_request"},
		{name: "null", body: "null", status: 400, err: "invalid_request"},
		{name: "a number", body: "1", status: 400, err: "invalid_request"},
		{name: "not UTF-8", body: "{\"stream_id\":\"\xff\"}", status: 400, err: "invalid_request"},
		{name: "SET-2.2-03 a name twice", body: `{"stream_id":"a","stream_id":"b"}`, status: 400, err: "invalid_request"},
		{name: "something behind it", body: `{} {}`, status: 400, err: "invalid_request"},
		{name: "nested 40 deep", body: strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), status: 400, err: "invalid_request"},
		{name: "nested 100,000 deep", body: deep, status: 413, err: "body_too_large"},
		{name: "U15 a form", body: `{}`, contentType: "application/x-www-form-urlencoded", status: 415, err: "unsupported_media_type"},
		{name: "U15 text", body: `{}`, contentType: "text/plain", status: 415, err: "unsupported_media_type"},
		{name: "U15 malformed", body: `{}`, contentType: "///", status: 415, err: "unsupported_media_type"},
	}
}

// Each wrong request has its status and its body (SSF-8.1.1.1-04,
// SSF-8.1.2.2-02, SSF-8.1.3.2-04, SSF-8.1.4.2-01, POLL-2.5.1-01, U14, U15).
func TestWrongBodies(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	push := h.stream(token, pushTo("https://r.example/events"))
	const bad, big = 400, 413
	id := `"stream_id":"` + stream + `"`
	long := strings.Repeat("x", 70<<10)
	cases := map[string][]wrong{
		"POST /ssf/streams": {
			{name: "events_requested text", body: `{"events_requested":"x"}`, status: bad, member: "events_requested"},
			{name: "events_requested numbers", body: `{"events_requested":[1]}`, status: bad, member: "events_requested"},
			{name: "events_requested null", body: `{"events_requested":null}`, status: bad, member: "events_requested"},
			{name: "delivery text", body: `{"delivery":"push"}`, status: bad, member: "delivery"},
			{name: "delivery without method", body: `{"delivery":{}}`, status: bad, member: "delivery.method"},
			{name: "SSF-8.1.1.1-02 unknown method", body: `{"delivery":{"method":"urn:x"}}`, status: bad, member: "delivery.method"},
			{name: "push without endpoint", body: `{"delivery":{"method":"urn:ietf:rfc:8935"}}`, status: bad, member: "delivery.endpoint_url"},
			{name: "push to no URL", body: `{"delivery":` + pushTo("::") + `}`, status: bad, member: "delivery.endpoint_url"},
			{name: "SEC-01 push by http", body: `{"delivery":` + pushTo("http://r.example/") + `}`, status: bad, member: "delivery.endpoint_url"},
			{name: "SEC-01 push to a file", body: `{"delivery":` + pushTo("file:///etc/passwd") + `}`, status: bad, member: "delivery.endpoint_url"},
			{name: "SEC-01 push to a private address", body: `{"delivery":` + pushTo("https://10.0.0.1/") + `}`, status: bad, member: "delivery.endpoint_url"},
			{name: "SEC-01 push to the metadata service", body: `{"delivery":` + pushTo("https://169.254.169.254/") + `}`, status: bad, member: "delivery.endpoint_url"},
			{name: "push with user information", body: `{"delivery":` + pushTo("https://u:p@r.example/") + `}`, status: bad, member: "delivery.endpoint_url"},
			{name: "SEC-07 header injection", body: `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example","authorization_header":"a\r\nX: y"}}`, status: bad, member: "delivery.authorization_header"},
			{name: "description number", body: `{"description":1}`, status: bad, member: "description"},
		},
		"PATCH /ssf/streams": {
			{name: "SSF-8.1.1.3-01 no stream_id", body: `{}`, status: bad, member: "stream_id"},
			{name: "SSF-8.1.1.3-01 unknown", body: `{"stream_id":"nobody"}`, status: 404, err: "not_found"},
			{name: "SSF-8.1.1.3-03 iss", body: `{` + id + `,"iss":"https://x.example"}`, status: bad, member: "iss"},
			{name: "SSF-8.1.1.3-03 aud", body: `{` + id + `,"aud":"https://x.example"}`, status: bad, member: "aud"},
			{name: "SSF-8.1.1.3-03 events_delivered", body: `{` + id + `,"events_delivered":[]}`, status: bad, member: "events_delivered"},
			{name: "U10 the poll endpoint", body: `{` + id + `,"delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":"https://x.example"}}`, status: bad, member: "delivery.endpoint_url"},
			{name: "U15 merge patch is for PATCH", body: `{}`, contentType: "application/merge-patch+json", status: bad, member: "stream_id"},
		},
		"PUT /ssf/streams": {
			{name: "SSF-8.1.1.3-01 no stream_id", body: `{}`, status: bad, member: "stream_id"},
			{name: "unknown", body: `{"stream_id":"nobody"}`, status: 404, err: "not_found"},
			{name: "U15 merge patch", body: `{` + id + `}`, contentType: "application/merge-patch+json", status: 415, err: "unsupported_media_type"},
		},
		"POST /ssf/status": {
			{name: "no stream_id", body: `{"status":"paused"}`, status: bad, member: "stream_id"},
			{name: "no status", body: `{` + id + `}`, status: bad, member: "status"},
			{name: "SSF-8.1.2.1-02 upper case", body: `{` + id + `,"status":"Paused"}`, status: bad, member: "status"},
			{name: "reason number", body: `{` + id + `,"status":"paused","reason":1}`, status: bad, member: "reason"},
			{name: "unknown", body: `{"stream_id":"nobody","status":"paused"}`, status: 404, err: "not_found"},
		},
		"POST /ssf/subjects/add": {
			{name: "no stream_id", body: `{"subject":{"format":"email","email":"a@b.c"}}`, status: bad, member: "stream_id"},
			{name: "no subject", body: `{` + id + `}`, status: bad, member: "subject"},
			{name: "subject text", body: `{` + id + `,"subject":"a"}`, status: bad, member: "subject"},
			{name: "SUBJ-3-01 no format", body: `{` + id + `,"subject":{"email":"a@b.c"}}`, status: bad, member: "subject"},
			{name: "SUBJ-3-01 no member", body: `{` + id + `,"subject":{"format":"email"}}`, status: bad, member: "subject"},
			{name: "U3 a member too many", body: `{` + id + `,"subject":{"format":"email","email":"a@b.c","x":1}}`, status: bad, member: "subject"},
			{name: "verified text", body: `{` + id + `,"subject":{"format":"email","email":"a@b.c"},"verified":"true"}`, status: bad, member: "verified"},
			{name: "unknown stream", body: `{"stream_id":"nobody","subject":{"format":"email","email":"a@b.c"}}`, status: 404, err: "not_found"},
		},
		"POST /ssf/subjects/remove": {
			{name: "no subject", body: `{` + id + `}`, status: bad, member: "subject"},
			{name: "unknown stream", body: `{"stream_id":"nobody","subject":{"format":"email","email":"a@b.c"}}`, status: 404, err: "not_found"},
		},
		"POST /ssf/verify": {
			{name: "SSF-8.1.4.2-01 no stream_id", body: `{}`, status: bad, member: "stream_id"},
			{name: "SSF-8.1.4.2-01 state number", body: `{` + id + `,"state":1}`, status: bad, member: "state"},
			{name: "state too long", body: `{` + id + `,"state":"` + strings.Repeat("s", 5000) + `"}`, status: bad, member: "state"},
			{name: "SSF-8.1.4.2-01 unknown", body: `{"stream_id":"nobody"}`, status: 404, err: "not_found"},
		},
		"POST /ssf/poll/" + stream: {
			{name: "POLL-2.5.1-01 negative", body: `{"maxEvents":-1}`, status: bad},
			{name: "POLL-2.5.1-01 fraction", body: `{"maxEvents":1.5}`, status: bad},
			{name: "POLL-2.5.1-01 text", body: `{"returnImmediately":"yes"}`, status: bad},
			{name: "POLL-2.5.1-01 ack text", body: `{"ack":"a"}`, status: bad},
			{name: "POLL-2.5.1-01 setErrs array", body: `{"setErrs":[]}`, status: bad},
		},
		"POST /ssf/poll/nobody":                    {{name: "unknown", body: `{}`, status: 404, err: "not_found"}},
		"POST /ssf/poll/" + push:                   {{name: "a push stream", body: `{}`, status: 404, err: "not_found"}},
		"GET /ssf/streams?stream_id=nobody":        {{name: "SSF-8.1.1.2-01", status: 404, err: "not_found"}},
		"GET /ssf/streams?stream_id=":              {{name: "empty id", status: 404, err: "not_found"}},
		"GET /ssf/streams?stream_id=a&stream_id=b": {{name: "two ids", status: bad, member: "stream_id"}},
		"GET /ssf/streams?stream_id=a;b":           {{name: "malformed query", status: bad}},
		"GET /ssf/status":                          {{name: "U14", status: bad, member: "stream_id"}},
		"GET /ssf/status?stream_id=nobody":         {{name: "SSF-8.1.2.1-01", status: 404, err: "not_found"}},
		"DELETE /ssf/streams":                      {{name: "U14", status: bad, member: "stream_id"}},
		"DELETE /ssf/streams?stream_id=":           {{name: "U14 empty", status: bad, member: "stream_id"}},
		"DELETE /ssf/streams?stream_id=nobody":     {{name: "SSF-8.1.1.5-01", status: 404, err: "not_found"}},
		"GET /v1/events/short":                     {{name: "no id", status: bad, member: "id"}},
		"GET /v1/events/AAAAAAAAAAAAAAAAAAAAAA":    {{name: "unknown", status: 404, err: "not_found"}},
		"GET /v1/streams/nobody/dead-letters":      {{name: "unknown", status: 404, err: "not_found"}},

		"GET /v1/streams/" + stream + "/dead-letters?limit=0":   {{name: "limit 0", status: bad, member: "limit"}},
		"GET /v1/streams/" + stream + "/dead-letters?limit=501": {{name: "limit 501", status: bad, member: "limit"}},
		"GET /v1/streams/" + stream + "/dead-letters?limit=x":   {{name: "limit x", status: bad, member: "limit"}},

		"GET /v1/streams/" + stream + "/dead-letters?after=" + strings.Repeat("a", 300): {{name: "long after", status: bad, member: "after"}},
		"GET /v1/streams/" + stream + "/dead-letters?after=nowhere":                     {{name: "no place", status: bad, member: "after"}},
		"POST /v1/streams/" + stream + "/dead-letters/none/resend":                      {{name: "unknown", status: 404, err: "not_found"}},
		"DELETE /v1/streams/" + stream + "/dead-letters/none":                           {{name: "unknown", status: 404, err: "not_found"}},
	}
	for _, route := range []string{"POST /ssf/streams", "PATCH /ssf/streams", "PUT /ssf/streams", "POST /ssf/status", "POST /ssf/subjects/add", "POST /ssf/subjects/remove", "POST /ssf/verify"} {
		cases[route] = append(cases[route], broken()...)
		cases[route] = append(cases[route], wrong{name: "too large", body: `{"x":"` + long + `"}`, status: big, err: "body_too_large"})
	}
	for route, list := range cases {
		method, path, _ := strings.Cut(route, " ")
		for _, c := range list {
			h.refused(t, method, path, token, c)
		}
	}
	if a := h.must(200, "GET", "/ssf/streams?stream_id="+stream, token, ""); a.member("description") != "" {
		t.Errorf("a refused request changed the stream: %s", a.body)
	}
	if a := h.must(200, "GET", "/ssf/status?stream_id="+stream, token, ""); a.member("status") != "enabled" {
		t.Errorf("a refused request changed the status: %s", a.body)
	}
}

// refused makes a wrong request and compares the answer.
func (h *house) refused(t *testing.T, method, path, token string, c wrong) {
	t.Helper()
	name := method + " " + path + ": " + c.name
	contentType := c.contentType
	if contentType == "" {
		contentType = "application/json"
	}
	a := h.do(method, path, token, c.body, "Content-Type", contentType)
	checkError(t, name, a, c.status)
	if c.err == "" {
		c.err = "invalid_request"
	}
	if got := a.member("err"); got != c.err {
		t.Errorf("%s: got err %q, want %q", name, got, c.err)
	}
	if got := a.member("member"); got != c.member {
		t.Errorf("%s: got member %q, want %q", name, got, c.member)
	}
}

// POST /v1/events refuses a body as a whole, or items of it (U15's shape in
// each); one good item among wrong ones is taken.
func TestWrongEvents(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	token := h.client("source", "events.write")
	many := "[" + strings.Repeat(`{},`, 1000) + `{}]`
	for _, c := range []wrong{
		{name: "empty", status: 400},
		{name: "text", body: "hello", status: 400},
		{name: "number", body: "1", status: 400},
		{name: "null", body: "null", status: 400},
		{name: "no event", body: "[]", status: 400},
		{name: "cut off", body: `[{}`, status: 400},
		{name: "something behind it", body: `[{}] x`, status: 400},
		{name: "1001 events", body: many, status: 400},
		{name: "nested 100,000 deep", body: strings.Repeat(`[`, 100_000), status: 400},
		{name: "an object nested 100,000 deep", body: strings.Repeat(`{"a":`, 100_000), status: 400},
		{name: "U15 a form", body: `{}`, contentType: "application/x-www-form-urlencoded", status: 415, err: "unsupported_media_type"},
		{name: "too large", body: "[" + strings.Repeat(" ", 4<<20) + "]", status: 413, err: "body_too_large"},
		{name: "no line", body: "\n\n", contentType: "application/x-ndjson", status: 400},
	} {
		h.refused(t, "POST", "/v1/events", token, c)
	}
	subject := `"subject":{"format":"email","email":"a@example.com"}`
	for _, c := range []struct{ name, item, member string }{
		{"not JSON", `{"type":}`, ""},
		{"no type", `{` + subject + `}`, "type"},
		{"unknown type name", `{"type":"no.such.event",` + subject + `}`, "type"},
		{"control event", `{"type":"https://schemas.openid.net/secevent/ssf/event-type/verification",` + subject + `}`, "type"},
		{"no subject", `{"type":"` + sessionRevoked + `"}`, "subject"},
		{"subject text", `{"type":"` + sessionRevoked + `","subject":"x"}`, "subject"},
		{"no subjects", `{"type":"` + sessionRevoked + `","subject":[]}`, "subject"},
		{"unknown member", `{"type":"` + sessionRevoked + `",` + subject + `,"tyep":1}`, "tyep"},
		{"a member twice", `{"type":"` + sessionRevoked + `","type":"x",` + subject + `}`, "type"},
		{"data text", `{"type":"` + sessionRevoked + `",` + subject + `,"data":"x"}`, "data"},
		{"time text", `{"type":"` + sessionRevoked + `",` + subject + `,"time":"yesterday"}`, "time"},
		{"time in the future", `{"type":"` + sessionRevoked + `",` + subject + `,"time":"2999-01-01T00:00:00Z"}`, "time"},
		{"unknown format", `{"format":"nobody","record":{}}`, "format"},
		{"record without format", `{"record":{}}`, "format"},
	} {
		a := h.do("POST", "/v1/events", token, c.item)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, `"code":"invalid_event"`) || c.member != "" && !strings.Contains(a.body, `"member":"`+c.member) {
			t.Errorf("%s: got %d %s, want 400 invalid_event, member %q", c.name, a.status, a.body, c.member)
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: got Cache-Control %q", c.name, got)
		}
		a = h.do("POST", "/v1/events", token, "["+event("a")+","+c.item+"]")
		if c.item[len(c.item)-2] != ':' && (a.status != http.StatusAccepted || strings.Count(a.body, `"id"`) != 1 || strings.Count(a.body, `"error"`) != 1) {
			t.Errorf("%s among good ones: got %d %s, want 202 with one id and one error", c.name, a.status, a.body)
		}
	}
}
