package manage_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/streams"
)

const jsonType = "application/json"

// SSF-8.1.1.1-01, SSF-8.1.1.1-02, OIDF-02, INTEROP-2.3.8.1-01.
func TestCreateStream(t *testing.T) {
	s := newServer(t, func(c *streams.CatalogConfig) {
		c.MinVerificationInterval, c.InactivityTimeout = time.Minute, time.Hour
	})
	cases := []struct{ name, body, want string }{
		{"SSF-8.1.1.1-04 {} is a poll stream", `{}`, `{"stream_id":"ID","iss":"https://tr.example","aud":"https://alice.example/",` +
			`"events_supported":["` + typeA + `","` + typeB + `"],"events_delivered":[],` +
			`"delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":"https://tr.example/ssf/poll/ID"},` +
			`"min_verification_interval":60,"inactivity_timeout":3600}`},
		{
			"push, unknown events echoed, secret kept", `{"events_requested":["` + typeB + `","x"],"description":"d","delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/","authorization_header":"Bearer SECRET"}}`,
			`{"stream_id":"ID","iss":"https://tr.example","aud":"https://alice.example/",` +
				`"events_supported":["` + typeA + `","` + typeB + `"],"events_requested":["` + typeB + `","x"],"events_delivered":["` + typeB + `"],` +
				`"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/"},` +
				`"min_verification_interval":60,"inactivity_timeout":3600,"description":"d"}`,
		},
	}
	ids := map[string]bool{}
	for _, c := range cases {
		got := s.call("alice", "POST", "/streams", c.body)
		id := s.configuration(got).StreamID
		want := answer{http.StatusCreated, jsonType, "no-store", strings.ReplaceAll(c.want, "ID", id)}
		if diff := cmp.Diff(want, got); diff != "" || id == "" || ids[id] {
			t.Errorf("%s: want - got +\n%s", c.name, diff)
		}
		ids[id] = true
		// SSF-8.1.1.2-01: reading it says the same.
		want.Status = http.StatusOK
		if diff := cmp.Diff(want, s.call("alice", "GET", "/streams?stream_id="+id, "")); diff != "" {
			t.Errorf("%s, read: want - got +\n%s", c.name, diff)
		}
		// SSF-8.1.2.1-03: new streams start enabled.
		if a := s.call("alice", "GET", "/status?stream_id="+id, ""); a.Body != `{"stream_id":"`+id+`","status":"enabled"}` {
			t.Errorf("%s: got status %+v, want enabled", c.name, a)
		}
	}
}

// SSF-8.1.1.2-02: always an array, of this receiver's streams alone.
func TestListStreams(t *testing.T) {
	s := newServer(t)
	list := func(app string) (ids []string) {
		t.Helper()
		a := s.call(app, "GET", "/streams", "")
		s.want("list", a, http.StatusOK)
		var got []streams.Configuration
		if err := json.Unmarshal([]byte(a.Body), &got); err != nil || !strings.HasPrefix(a.Body, "[") || a.ContentType != jsonType {
			t.Fatalf("got %+v, %v, want an array", a, err)
		}
		for _, c := range got {
			ids = append(ids, c.StreamID)
		}
		return ids
	}
	if got := list("alice"); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	first := s.create("alice", `{}`).StreamID
	other := s.create("bob", `{}`).StreamID
	if got := list("alice"); !cmp.Equal(got, []string{first}) {
		t.Errorf("got %v, want %s alone", got, first)
	}
	second := s.create("alice", `{}`).StreamID // SSF-8.1.1.1-03
	if got := list("alice"); !cmp.Equal(got, []string{first, second}) {
		t.Errorf("got %v, want %s and %s", got, first, second)
	}
	if got := list("bob"); !cmp.Equal(got, []string{other}) {
		t.Errorf("got %v, want %s", got, other)
	}
}

// SSF-8.1.1.1-03: where one stream only is allowed, 409.
func TestOneStream(t *testing.T) {
	s := newServer(t, func(c *streams.CatalogConfig) { c.OneStream = true })
	id := s.create("alice", `{}`).StreamID
	s.want("second", s.call("alice", "POST", "/streams", `{}`), http.StatusConflict)
	s.want("the first is there", s.call("alice", "GET", "/streams?stream_id="+id, ""), http.StatusOK)
	s.create("bob", `{}`)
}

// SSF-8.1.1.3-02, SSF-8.1.1.3-03, SSF-8.1.1.3-04, SSF-8.1.1.4-02, OIDF-04.
func TestUpdateAndReplaceStream(t *testing.T) {
	s := newServer(t)
	before := s.create("alice", `{"events_requested":["`+typeA+`"],"description":"old"}`)
	other := s.create("alice", `{"description":"other"}`)
	id := before.StreamID

	a := s.call("alice", "PATCH", "/streams", `{"stream_id":"`+id+`","events_requested":["`+typeB+`"],"events_delivered":["`+typeA+`"]}`)
	want := before
	want.EventsRequested, want.EventsDelivered = []string{typeB}, []string{typeB}
	if diff := cmp.Diff(want, s.configuration(a)); a.Status != 200 || a.ContentType != jsonType || diff != "" {
		t.Errorf("PATCH: got %+v, want - got +\n%s", a, diff)
	}
	// OIDF-04, U10: what was read can be sent back whole.
	s.want("PATCH back", s.call("alice", "PATCH", "/streams", a.Body), http.StatusOK)
	if again := s.call("alice", "PUT", "/streams", a.Body); again.Body != a.Body {
		t.Errorf("PUT back: got %s, want %s", again.Body, a.Body)
	}
	mismatch := s.call("alice", "PATCH", "/streams", `{"stream_id":"`+id+`","description":"new","aud":"x"}`)
	s.want("SSF-8.1.1.3-03", mismatch, http.StatusBadRequest)
	if got := s.call("alice", "GET", "/streams?stream_id="+id, ""); got.Body != a.Body {
		t.Errorf("SSF-8.1.1.3-04: got %s, want it unchanged: %s", got.Body, a.Body)
	}

	a = s.call("alice", "PUT", "/streams", `{"stream_id":"`+id+`"}`)
	want.EventsRequested, want.EventsDelivered, want.Description = nil, []string{}, ""
	if diff := cmp.Diff(want, s.configuration(a)); a.Status != 200 || diff != "" {
		t.Errorf("PUT: got %+v, want - got +\n%s", a, diff)
	}
	if got := s.configuration(s.call("alice", "GET", "/streams?stream_id="+other.StreamID, "")); !cmp.Equal(got, other) {
		t.Errorf("SSF-8.1.1-10: got %+v, want the other stream as it was: %+v", got, other)
	}
}

// U13: a change of delivery, or a PUT, keeps status, subjects and queue.
func TestChangeKeepsQueue(t *testing.T) {
	s := newServer(t)
	id := s.create("alice", `{"events_requested":["`+typeA+`"]}`).StreamID
	s.put(id, 1, "jti1")
	s.want("subject", s.call("alice", "POST", "/remove", `{"stream_id":"`+id+`","subject":{"format":"email","email":"a@b.c"}}`), http.StatusNoContent)
	s.want("PUT", s.call("alice", "PUT", "/streams", `{"stream_id":"`+id+`","delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example"}}`), http.StatusOK)
	if n, err := s.store.SubjectCount(t.Context(), id); err != nil || n != 1 {
		t.Errorf("SSF-8.1.1.4-03: got %d subjects, %v, want 1", n, err)
	}
	s.wantQueue("U13", id, "session-revoked")
}

// SSF-8.1.1.5-01, SSF-8.1.1.5-02, OIDF-03: deleted is as if it never was.
func TestDeleteStream(t *testing.T) {
	s := newServer(t)
	id := s.create("alice", `{}`).StreamID
	kept := s.create("alice", `{}`).StreamID
	s.put(id, 1, "jti1")
	a := s.call("alice", "DELETE", "/streams?stream_id="+id, "")
	if diff := cmp.Diff(answer{Status: http.StatusNoContent, Cache: "no-store"}, a); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
	for name, again := range everywhere(s, "alice", id) {
		s.want(name+" a deleted stream", again, http.StatusNotFound)
	}
	if _, err := s.store.Depth(t.Context(), id); err != streams.ErrNotFound { //nolint:errorlint // exactly
		t.Errorf("SSF-8.1.1.5-02: got %v, want no queue", err)
	}
	s.want("the other one", s.call("alice", "GET", "/streams?stream_id="+kept, ""), http.StatusOK)
	s.want("U14 no stream_id", s.call("alice", "DELETE", "/streams", ""), http.StatusBadRequest)
	s.want("U14 empty stream_id", s.call("alice", "DELETE", "/streams?stream_id=", ""), http.StatusBadRequest)
	s.want("two stream_ids", s.call("alice", "DELETE", "/streams?stream_id="+kept+"&stream_id=x", ""), http.StatusBadRequest)
	s.want("broken query", s.call("alice", "DELETE", "/streams?stream_id="+kept+"&a=%zz", ""), http.StatusBadRequest)
	s.want("nothing more was deleted", s.call("alice", "GET", "/streams?stream_id="+kept, ""), http.StatusOK)
}

// everywhere calls every operation that names a stream with id.
func everywhere(s *server, app, id string) map[string]answer {
	subject := `{"stream_id":"` + id + `","subject":{"format":"email","email":"a@b.c"}}`
	return map[string]answer{
		"GET":           s.call(app, "GET", "/streams?stream_id="+id, ""),
		"PATCH":         s.call(app, "PATCH", "/streams", `{"stream_id":"`+id+`","description":"x"}`),
		"PUT":           s.call(app, "PUT", "/streams", `{"stream_id":"`+id+`"}`),
		"DELETE":        s.call(app, "DELETE", "/streams?stream_id="+id, ""),
		"GET status":    s.call(app, "GET", "/status?stream_id="+id, ""),
		"POST status":   s.call(app, "POST", "/status", `{"stream_id":"`+id+`","status":"disabled"}`),
		"add":           s.call(app, "POST", "/add", subject),
		"remove":        s.call(app, "POST", "/remove", subject),
		"verify":        s.call(app, "POST", "/verify", `{"stream_id":"`+id+`"}`),
		"bad PATCH":     s.call(app, "PATCH", "/streams", `{"stream_id":"`+id+`","iss":"x"}`),
		"bad delivery":  s.call(app, "PUT", "/streams", `{"stream_id":"`+id+`","delivery":{"method":"fax"}}`),
		"own subject":   s.call(app, "POST", "/remove", `{"stream_id":"`+id+`","subject":{"format":"opaque","id":"`+id+`"}}`),
		"verify, state": s.call(app, "POST", "/verify", `{"stream_id":"`+id+`","state":"x"}`),
	}
}

// SSF-8.1.1.2-01, SSF-8-03, SSF-8-01: another receiver's stream and one that
// never was get the same answer, byte for byte.
func TestForeignStreams(t *testing.T) {
	s := newServer(t)
	id := s.create("alice", `{"description":"mine"}`).StreamID
	before := s.call("alice", "GET", "/streams?stream_id="+id, "").Body
	unknown := everywhere(s, "bob", "AAAAAAAAAAAAAAAAAAAAAA")
	for name, got := range everywhere(s, "bob", id) {
		s.want(name, got, http.StatusNotFound)
		if diff := cmp.Diff(unknown[name], got); diff != "" {
			t.Errorf("%s: unknown - foreign +\n%s", name, diff)
		}
	}
	if got := s.call("alice", "GET", "/streams?stream_id="+id, "").Body; got != before {
		t.Errorf("got %s, want it untouched: %s", got, before)
	}
	s.wantQueue("nothing was put", id)
}

// SSF-8-01: without a principal nothing is answered.
func TestNobody(t *testing.T) {
	s := newServer(t)
	for name, got := range everywhere(s, "", "x") {
		s.want(name, got, http.StatusUnauthorized)
	}
	s.want("create", s.call("", "POST", "/streams", `{}`), http.StatusUnauthorized)
	s.want("list", s.call("", "GET", "/streams", ""), http.StatusUnauthorized)
}

// SSF-8.1.1.1-04, SSF-8.1.2.2-02, SSF-8.1.3.2-04, SSF-8.1.4.2-01, OIDF-03,
// SSF-8.1.1-09, U15: what all requests with a body have in common.
func TestBodies(t *testing.T) {
	s := newServer(t)
	id := s.create("alice", `{}`).StreamID
	operations := []struct {
		method, path, good string
		success            int
	}{
		{"POST", "/streams", `{}`, 201},
		{"PATCH", "/streams", `{"stream_id":"` + id + `"}`, 200},
		{"PUT", "/streams", `{"stream_id":"` + id + `"}`, 200},
		{"POST", "/status", `{"stream_id":"` + id + `","status":"enabled"}`, 200},
		{"POST", "/add", `{"stream_id":"` + id + `","subject":{"format":"email","email":"a@b.c"}}`, 200},
		{"POST", "/remove", `{"stream_id":"` + id + `","subject":{"format":"email","email":"a@b.c"}}`, 204},
		{"POST", "/verify", `{"stream_id":"` + id + `"}`, 204},
	}
	for _, op := range operations {
		name := op.method + " " + op.path
		send := func(body string, header ...string) answer {
			return s.call("alice", op.method, op.path, body, header...)
		}
		patch := map[bool]int{true: op.success, false: http.StatusUnsupportedMediaType}[op.method == "PATCH"]
		s.want(name+" without Content-Type", send(op.good), op.success)
		s.want(name+" JSON", send(op.good, "Content-Type", "application/json; charset=UTF-8"), op.success)
		s.want(name+" merge patch", send(op.good, "Content-Type", "application/merge-patch+json"), patch)
		s.want(name+" form", send(op.good, "Content-Type", "application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType)
		s.want(name+" malformed", send(op.good+"}"), http.StatusBadRequest)
		s.want(name+" empty", send(""), http.StatusBadRequest)
		s.want(name+" twice", send(strings.Replace(op.good, "{", `{"x":1,"x":2,`, 1)), http.StatusBadRequest)
		s.want(name+" deep", send(`{"x":`+strings.Repeat("[", 1000)), http.StatusBadRequest)
		s.want(name+" too large", send(`{"x":"`+strings.Repeat("a", streams.MaxBodyBytes)+`"}`), http.StatusRequestEntityTooLarge)
		if op.path != "/streams" || op.method != "POST" {
			s.want(name+" without stream_id", send(strings.Replace(op.good, "stream_id", "id", 1)), http.StatusBadRequest)
		}
	}
}
