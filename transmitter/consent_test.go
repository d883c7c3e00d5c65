package transmitter_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const jo = `{"format":"email","email":"jo@example.com"}`

// decide notes a decision about jo.
func (h *house) decide(status int, token, decision string, more ...string) answer {
	h.t.Helper()
	return h.must(status, "POST", "/v1/consents", token,
		`{"decision":"`+decision+`","subject":`+jo+strings.Join(more, "")+`}`)
}

// The order is: made, subscribed, consented, then sent or held. What is held is
// seen nowhere; on a grant all of it comes, in its order and before what is
// later; what was released stays so.
func TestConsentGate(t *testing.T) {
	h := open(t)
	alice, bob := h.client("alice", everyScope), h.client("bob", everyScope)
	source := h.client("source", "events.write")
	stream, free := h.stream(alice, ""), h.stream(bob, "")
	h.must(200, "PUT", "/v1/consents/gate", alice, `{"enabled":true}`)
	var held []string
	for range 3 {
		held = append(held, h.emit(source, "jo"))
	}
	other := h.emit(source, "al")
	if ids, _ := h.poll(bob, free, `{"maxEvents":10}`); len(ids) == 0 {
		t.Error("an application without a gate: got nothing")
	}
	unknown := h.must(404, "GET", "/v1/events/AAAAAAAAAAAAAAAAAAAAAA", alice, "").body
	for _, id := range append(held, other) {
		if a := h.must(404, "GET", "/v1/events/"+id, alice, ""); a.body != unknown {
			t.Errorf("held: got %s, want as unknown %s", a.body, unknown)
		}
		h.must(200, "GET", "/v1/events/"+id, bob, "")
	}
	operator := h.operator(h.SocketHandler())
	if got := operator.must(200, "GET", "/admin/consents/held?application=alice", "", "").body; !strings.Contains(got, `"held":4,"dropped":0,"complete":true`) {
		t.Errorf("counts: got %s", got)
	}
	late := h.stream(alice, "") // it was not subscribed
	h.decide(201, alice, "grant")
	next := h.emit(source, "jo")
	want := append(slices.Clone(held), next)
	var got []string
	until(t, "four SETs", func() bool {
		ids, sets := h.poll(alice, stream, `{"maxEvents":10,"returnImmediately":true}`)
		if len(ids) > 0 { // what comes next waits for them
			h.poll(alice, stream, `{"maxEvents":0,"returnImmediately":true,"ack":["`+strings.Join(ids, `","`)+`"]}`)
		}
		for _, one := range sets {
			got = append(got, parse(t, one).TransactionID)
		}
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("order: got %v, want %v", got, want)
	}
	if ids, _ := h.poll(alice, late, `{"returnImmediately":true}`); len(ids) != 1 {
		t.Errorf("a stream that was made later: got %d SETs, want the next alone", len(ids))
	}
	h.decide(201, alice, "revoke")
	last := h.emit(source, "jo")
	h.must(404, "GET", "/v1/events/"+last, alice, "")
	for _, id := range want {
		h.must(200, "GET", "/v1/events/"+id, alice, "")
	}
	if a := h.must(200, "GET", "/v1/consents?subject="+url.QueryEscape(jo), alice, ""); a.member("state") != "revoked" {
		t.Errorf("state: got %s", a.body)
	}
	h.must(200, "GET", "/v1/events/"+last, h.client("ops", "admin"), "")
}

// Decisions are read page by page, newest first, by their application alone.
func TestConsentList(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	alice, bob := h.client("alice", everyScope), h.client("bob", everyScope)
	first := h.decide(201, alice, "grant", `,"source_id":"1","time":"2026-01-02T03:04:05+01:00","reason":"app"`)
	again := h.decide(200, alice, "grant", `,"source_id":"1","time":"2026-01-02T02:04:05Z","reason":"app"`)
	if first.body != again.body {
		t.Errorf("the same source_id: got %s, want %s", again.body, first.body)
	}
	h.decide(201, bob, "deny", `,"source_id":"1"`) // bob's own ids
	conflict := h.decide(409, alice, "deny", `,"source_id":"1"`)
	if !strings.Contains(conflict.body, first.member("id")) || conflict.member("member") != "source_id" {
		t.Errorf("another decision under a source_id: got %s", conflict.body)
	}
	want := []string{first.member("id")}
	for i := range 4 {
		word := []string{"deny", "revoke"}[i%2]
		want = append(want, h.decide(201, alice, word).member("id"))
	}
	slices.Reverse(want)
	for _, query := range []string{"", "&subject=" + url.QueryEscape(jo)} {
		var got []string
		for after := ""; ; {
			a := h.must(200, "GET", "/v1/consents?limit=2&after="+after+query, alice, "")
			for i := range strings.Count(a.body, `"decision":`) {
				got = append(got, strings.Split(strings.Split(a.body, `{"id":"`)[i+1], `"`)[0])
			}
			if after = a.member("next"); after == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("list %s: got %v, want %v", query, got, want)
		}
	}
	if a := h.must(200, "GET", "/v1/consents?after="+want[0], alice, ""); strings.Count(a.body, `"decision":`) != 4 {
		t.Errorf("after the newest: got %s", a.body)
	}
	checkError(t, "another's decision as a place", h.do("GET", "/v1/consents?after="+want[0], bob, ""), 400)
}

// Bad input is an error that names the parameter; nothing is noted.
func TestConsentRefusals(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	alice := h.client("alice", everyScope)
	h.client("bob", everyScope)
	staging := h.environment("alice", "staging", everyScope)
	admin := h.client("ops", "admin")
	many := strings.TrimSuffix(strings.Repeat(jo+",", 17), ",")
	for _, c := range []struct {
		name, token, method, path, body string
		status                          int
		member                          string
	}{
		{"no decision", alice, "POST", "", `{"subject":` + jo + `}`, 400, "decision"},
		{"another word", alice, "POST", "", `{"subject":` + jo + `,"decision":"allow"}`, 400, "decision"},
		{"no subject", alice, "POST", "", `{"decision":"grant"}`, 400, "subject"},
		{"no identifier", alice, "POST", "", `{"decision":"grant","subject":[]}`, 400, "subject"},
		{"many identifiers", alice, "POST", "", `{"decision":"grant","subject":[` + many + `]}`, 400, "subject"},
		{"wrong identifier", alice, "POST", "", `{"decision":"grant","subject":{"format":"email","email":"jo"}}`, 400, "subject.email"},
		{"complex", alice, "POST", "", `{"decision":"grant","subject":{"format":"complex","user":` + jo + `}}`, 400, "subject"},
		{"long reason", alice, "POST", "", `{"decision":"grant","subject":` + jo + `,"reason":"` + strings.Repeat("x", 1025) + `"}`, 400, "reason"},
		{"long source id", alice, "POST", "", `{"decision":"grant","subject":` + jo + `,"source_id":"` + strings.Repeat("x", 257) + `"}`, 400, "source_id"},
		{"wrong time", alice, "POST", "", `{"decision":"grant","subject":` + jo + `,"time":"yesterday"}`, 400, "time"},
		{"unknown member", alice, "POST", "", `{"decision":"grant","subject":` + jo + `,"until":1}`, 400, "until"},
		{"no JSON", alice, "POST", "", `grant`, 400, ""},
		{"another application", alice, "POST", "", `{"decision":"grant","subject":` + jo + `,"application":"bob"}`, 400, "application"},
		{"an application that is not there", admin, "POST", "", `{"decision":"grant","subject":` + jo + `,"application":"nobody"}`, 400, "application"},
		{"of one environment", staging, "POST", "", `{"decision":"grant","subject":` + jo + `}`, 403, ""},
		{"gate of one environment", staging, "PUT", "/gate", `{"enabled":false}`, 403, ""},
		{"gate of another application", alice, "PUT", "/gate", `{"enabled":false,"application":"bob"}`, 400, "application"},
		{"reading another's gate", alice, "GET", "/gate?application=bob", ``, 400, "application"},
		{"negative hold", alice, "PUT", "/gate", `{"enabled":true,"hold_seconds":-1}`, 400, "hold_seconds"},
		{"very long", alice, "PUT", "/gate", `{"enabled":true,"drop_after_seconds":999999999999}`, 400, "drop_after_seconds"},
		{"another refusal", alice, "PUT", "/gate", `{"enabled":true,"refused":"keep"}`, 400, "refused"},
		{"unknown parameter", alice, "GET", "?subjects=x", ``, 400, "subjects"},
		{"twice", alice, "GET", "?limit=1&limit=2", ``, 400, "limit"},
		{"limit 0", alice, "GET", "?limit=0", ``, 400, "limit"},
		{"limit 501", alice, "GET", "?limit=501", ``, 400, "limit"},
		{"no place", alice, "GET", "?after=x", ``, 400, "after"},
		{"subject is no JSON", alice, "GET", "?subject=jo", ``, 400, "subject"},
	} {
		a := h.do(c.method, "/v1/consents"+c.path, c.token, c.body)
		checkError(t, c.name, a, c.status)
		if got := a.member("member"); got != c.member {
			t.Errorf("%s: got member %q, want %q: %s", c.name, got, c.member, a.body)
		}
	}
	if n := h.kept(); n != 0 {
		t.Errorf("got %d entries, want nothing noted", n)
	}
	// An operator may decide for any application, and leave its own out.
	h.must(201, "POST", "/v1/consents", admin, `{"decision":"grant","subject":`+jo+`,"application":"bob"}`)
	h.must(200, "PUT", "/v1/consents/gate", admin, `{"application":"bob","enabled":true,"hold_seconds":60,"refused":"drop","drop_after_seconds":5}`)
	if a := h.must(200, "GET", "/v1/consents/gate?application=bob", admin, ""); a.body != `{"application":"bob","enabled":true,"hold_seconds":60,"refused":"drop","drop_after_seconds":5}`+"\n" {
		t.Errorf("settings: got %s", a.body)
	}
	if strings.Contains(h.logs.String(), "jo@example.com") {
		t.Error("a subject identifier was logged")
	}
}

// environment adds a client that is bound to an environment.
func (h *house) environment(app, environment, scope string) string {
	h.t.Helper()
	scopes, err := auth.ParseScopes(scope)
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := h.apps.AddClient(h.t.Context(), auth.Client{Application: app, Environment: environment, Scopes: scopes, Static: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return made.AccessToken
}

// A replay sends again what was delivered, under jtis of its own; bad input is
// named, and another's stream is unknown.
func TestReplay(t *testing.T) {
	h := open(t)
	alice, bob := h.client("alice", everyScope), h.client("bob", everyScope)
	stream := h.stream(alice, "")
	id := h.emit(alice, "jo")
	first, _ := h.poll(alice, stream, `{}`)
	if len(first) != 1 {
		t.Fatalf("got %d SETs, want 1", len(first))
	}
	h.poll(alice, stream, `{"ack":["`+first[0]+`"],"returnImmediately":true}`)
	path := "/v1/streams/" + stream + "/replay"
	for _, c := range []struct {
		name, token, body string
		status            int
		member            string
	}{
		{"no from", alice, `{}`, 400, "from"},
		{"no time", alice, `{"from":"yesterday"}`, 400, "from"},
		{"the future", alice, `{"from":"2999-01-01T00:00:00Z"}`, 400, "from"},
		{"unknown member", alice, `{"from":"2026-01-01T00:00:00Z","to":1}`, 400, "to"},
		{"no JSON", alice, `from`, 400, ""},
		{"another's", bob, `{"from":"2026-01-01T00:00:00Z"}`, 404, ""},
	} {
		a := h.do("POST", path, c.token, c.body)
		checkError(t, c.name, a, c.status)
		if got := a.member("member"); got != c.member {
			t.Errorf("%s: got member %q, want %q", c.name, got, c.member)
		}
	}
	a := h.must(202, "POST", path, alice, `{"from":"2026-01-01T00:00:00Z"}`)
	if a.member("id") == "" || a.member("stream_id") != stream || a.member("from") != "2026-01-01T00:00:00Z" {
		t.Errorf("got %s", a.body)
	}
	again, sets := h.poll(alice, stream, `{}`)
	if len(again) != 1 || again[0] == first[0] || parse(t, sets[0]).TransactionID != id {
		t.Errorf("replayed: got %v, want the event under another jti than %v", again, first)
	}
	h.must(200, "POST", "/ssf/status", alice, `{"stream_id":"`+stream+`","status":"disabled"}`)
	checkError(t, "disabled", h.do("POST", path, alice, `{"from":"2026-01-01T00:00:00Z"}`), 409)
	idle := open(t, func(s *setup) { s.idle = true }) // its fan-out carries out nothing
	token := idle.client("alice", everyScope)
	path = "/v1/streams/" + idle.stream(token, "") + "/replay"
	idle.must(202, "POST", path, token, `{"from":"2026-01-01T00:00:00Z"}`)
	waits := idle.do("POST", path, token, `{"from":"2026-01-01T00:00:00Z"}`)
	checkError(t, "under way", waits, 409)
	if waits.header.Get("Retry-After") == "" {
		t.Error("under way: got no Retry-After")
	}
}
