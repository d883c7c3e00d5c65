package transmitter_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// PATCH changes what it has; PUT sets the rest to its default. Secrets that are
// left out stay, but for another host: they must be sent again.
func TestWebhookChanges(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	sink, other := newHookSink(t, nil), newHookSink(t, nil)
	id, secret := h.hook(token, sink.URL+"/a", `,"types":["session-revoked","x"],"applications":["P"],"description":"d","format":"ndjson","batch":{"events":9},"headers":{"x-a":"1","x-b":"2"},"auth":{"type":"basic","username":"u","password":"p"}`)
	path := "/v1/webhooks/" + id
	view := func(a answer) string {
		t.Helper()
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(a.body), &all); err != nil {
			t.Fatalf("got %s", a.body)
		}
		var out []string
		for _, m := range []string{"url", "description", "types", "applications", "format", "batch", "headers", "auth", "status"} {
			if v, ok := all[m]; ok {
				out = append(out, m+"="+string(v))
			}
		}
		return strings.ReplaceAll(strings.Join(out, " "), sink.URL, "S")
	}
	for _, c := range []struct{ name, method, body, want string }{
		{"nothing", http.MethodPatch, `{}`, `url="S/a" description="d" types=["session-revoked","x"] applications=["P"] format="ndjson" batch={"events":9,"seconds":5} headers=["X-A","X-B"] auth={"type":"basic","username":"u"} status="enabled"`},
		{"headers merge", http.MethodPatch, `{"headers":{"X-A":null,"x-c":"3"},"description":null,"applications":null}`, `url="S/a" types=["session-revoked","x"] format="ndjson" batch={"events":9,"seconds":5} headers=["X-B","X-C"] auth={"type":"basic","username":"u"} status="enabled"`},
		{"a path is no other host", http.MethodPatch, `{"url":"` + sink.URL + `/b","format":"event"}`, `url="S/b" types=["session-revoked","x"] format="event" headers=["X-B","X-C"] auth={"type":"basic","username":"u"} status="enabled"`},
		{"all", http.MethodPut, `{"url":"` + sink.URL + `/c","auth":{"type":"basic","username":"u"}}`, `url="S/c" types=["*"] format="event" auth={"type":"basic","username":"u"} status="enabled"`},
		{"status", http.MethodPatch, `{"status":"paused","reason":"r","types":["*","x"]}`, `url="S/c" types=["*"] format="event" auth={"type":"basic","username":"u"} status="paused"`},
		{"all, the status stays", http.MethodPut, `{"url":"` + sink.URL + `/d","auth":{"type":"basic","username":"u"}}`, `url="S/d" types=["*"] format="event" auth={"type":"basic","username":"u"} status="paused"`},
	} {
		if got := view(h.must(http.StatusOK, c.method, path, token, c.body)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	for body, member := range map[string]string{
		`{"url":"` + other.URL + `"}`:                                             "auth",
		`{"url":"` + other.URL + `","auth":{"type":"basic","username":"u"}}`:      "auth",
		`{"auth":{"type":"basic","username":"v"}}`:                                "auth.password",
		`{"auth":{"type":"bearer"}}`:                                              "auth.token",
		`{"signing":{"type":"asymmetric"}}`:                                       "signing",
		`{"url":null}`:                                                            "url",
		`{"reason":"r"}`:                                                          "reason",
		`{"description":"kept?","status":"off"}`:                                  "status",
		`{"headers":{"x-a":"1"},"url":"` + sink.URL + `/e","auth":{"type":"no"}}`: "auth.type",
	} {
		if got := h.do(http.MethodPatch, path, token, body); got.status != http.StatusBadRequest || got.member("member") != member {
			t.Errorf("%s: got %d %s, want 400 that names %s", body, got.status, got.body, member)
		}
	}
	if got := view(h.must(http.StatusOK, http.MethodGet, path, token, "")); !strings.Contains(got, `url="S/d"`) || strings.Contains(got, "kept?") {
		t.Errorf("after what was refused: got %s, want nothing changed", got)
	}
	h.must(http.StatusOK, http.MethodPatch, path, token, `{"status":"enabled"}`)
	h.emit(token, "jo")
	until(t, "an event", func() bool { return sink.accepted() == 1 })
	got := sink.requests()[0]
	if user, pass, _ := (&http.Request{Header: got.header}).BasicAuth(); user != "u" || pass != "p" || got.verify(secret) != nil {
		t.Errorf("got %s:%s and %v, want the password and the secret as at first", user, pass, got.verify(secret))
	}
	h.must(http.StatusOK, http.MethodPatch, path, token, `{"url":"`+other.URL+`","auth":{"type":"none"}}`)
	h.emit(token, "two")
	until(t, "an event there", func() bool { return other.accepted() == 1 })
	if got := other.requests()[0].header; got.Get("Authorization") != "" || got.Get("X-A") != "" {
		t.Errorf("another host: got %v, want no secret taken along", got)
	}
	h.must(http.StatusNoContent, http.MethodDelete, path, token, "")
	if got := h.do(http.MethodGet, path, token, ""); got.status != http.StatusNotFound {
		t.Errorf("deleted: got %d, want 404", got.status)
	}
}

// A change of settings makes a webhook that backs off due at once.
func TestWebhookChangeRetriesAtOnce(t *testing.T) {
	h := open(t, func(s *setup) { s.PushSchedule = neverAgain() })
	token := h.client("shop", hookScope)
	sink := newHookSink(t, nil)
	sink.answer = func(w http.ResponseWriter, r *http.Request, _ hooked) bool {
		if r.Header.Get("Authorization") == "Bearer right" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	id, _ := h.hook(token, sink.URL, `,"auth":{"type":"bearer","token":"wrong"}`)
	h.emit(token, "jo")
	until(t, "a failure", func() bool {
		return strings.Contains(h.must(http.StatusOK, http.MethodGet, "/v1/webhooks/"+id, token, "").body, `"failures":1`)
	})
	h.must(http.StatusOK, http.MethodPatch, "/v1/webhooks/"+id, token, `{"auth":{"type":"bearer","token":"right"}}`)
	until(t, "the event", func() bool { return sink.accepted() == 1 })
}

// A client that is bound to an environment makes webhooks of that environment,
// and sees and changes no others.
func TestWebhookEnvironment(t *testing.T) {
	h := open(t)
	free := h.client("shop", hookScope)
	bound := func(environment string) string {
		t.Helper()
		scopes, err := auth.ParseScopes(hookScope)
		if err != nil {
			t.Fatal(err)
		}
		made, err := h.apps.AddClient(context.Background(), auth.Client{Application: "shop", Scopes: scopes, Static: true, Environment: environment})
		if err != nil {
			t.Fatal(err)
		}
		return made.AccessToken
	}
	prod, test := bound("prod"), bound("test")
	every, its := newHookSink(t, nil), newHookSink(t, nil)
	all, _ := h.hook(free, every.URL, "")
	one, _ := h.hook(prod, its.URL, "")
	if got := h.must(http.StatusOK, http.MethodGet, "/v1/webhooks/"+one, prod, "").member("environment"); got != "prod" {
		t.Errorf("environment: got %q, want the client's", got)
	}
	for _, c := range []struct{ method, path, token, body string }{
		{http.MethodGet, all, prod, ""},
		{http.MethodPatch, all, prod, `{"url":"` + its.URL + `"}`},
		{http.MethodGet, one, test, ""},
		{http.MethodDelete, one, test, ""},
		{http.MethodGet, all + "/dead-letters", prod, ""},
		{http.MethodGet, one + "/dead-letters", test, ""},
	} {
		if got := h.do(c.method, "/v1/webhooks/"+c.path, c.token, c.body); got.status != http.StatusNotFound {
			t.Errorf("%s %s: got %d, want 404", c.method, c.path, got.status)
		}
	}
	if got := h.must(http.StatusOK, http.MethodGet, "/v1/webhooks", prod, "").body; strings.Contains(got, all) || !strings.Contains(got, one) {
		t.Errorf("list: got %s, want its own", got)
	}
	if got := h.do(http.MethodPatch, "/v1/webhooks/"+one, prod, `{"environment":"test"}`); got.status != http.StatusBadRequest || got.member("member") != "environment" {
		t.Errorf("another environment: got %d %s, want 400", got.status, got.body)
	}
	h.emit(test, "a")
	h.emit(free, "b")
	ours := h.emit(prod, "c")
	until(t, "all", func() bool { return every.accepted() == 3 && its.accepted() == 1 })
	if got := its.requests(); len(got) != 1 || got[0].ids[0] != ours {
		t.Errorf("got %+v, want the event of its environment alone", got)
	}
}
