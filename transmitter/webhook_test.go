package transmitter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

const hookScope = everyScope + " webhooks.manage"

// hook makes a webhook and returns its id and secret.
func (h *house) hook(token, url, more string) (id, secret string) {
	h.t.Helper()
	a := h.must(http.StatusCreated, http.MethodPost, "/v1/webhooks", token, `{"url":"`+url+`"`+more+`}`)
	return a.member("id"), a.member("secret")
}

// logOnly is a record that becomes no SET.
func logOnly(n int) string {
	return fmt.Sprintf(`{"source_id":"log-%d","format":"idme","record":{"event":"appointment.view","identifier":"u%d","email":"u%d@example.com","tracked_at":"2026-11-20T14:32:10+00:00"}}`, n, n, n)
}

// A webhook gets the event as GET /v1/events/{id} answers it, signed, also one
// that becomes no SET; by its types, and nothing from before it was made.
func TestWebhook(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	h.emit(token, "before")
	all, some := newHookSink(t, nil), newHookSink(t, nil)
	_, secret := h.hook(token, all.URL, "")
	h.hook(token, some.URL, `,"types":["idme:appointment.view"],"headers":{"x-api-key":"k1"},"auth":{"type":"basic","username":"u","password":"p"}`)
	id := h.emit(token, "jo")
	logged := h.must(http.StatusAccepted, http.MethodPost, "/v1/events", token, logOnly(1)).member("id")
	until(t, "both events", func() bool { return all.accepted() == 2 && some.accepted() == 1 })
	for _, got := range all.requests() {
		if err := got.verify(secret); err != nil {
			t.Errorf("signature: got %v", err)
		}
		want := h.must(http.StatusOK, http.MethodGet, "/v1/events/"+got.ids[0], token, "").body
		if strings.TrimSpace(want) != got.body {
			t.Errorf("body: got %s, want %s", got.body, want)
		}
		if got.header.Get("webhook-id") != got.ids[0] || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("header: got %v", got.header)
		}
	}
	if got := some.requests(); got[0].ids[0] != logged || got[0].header.Get("X-Api-Key") != "k1" || got[0].header.Get("Authorization") != "Basic dTpw" {
		t.Errorf("by type: got %+v, want %s with its headers", got[0], logged)
	}
	if all.seen[id] != 1 || all.seen[logged] != 1 {
		t.Errorf("got %v, want %s and %s once", all.seen, id, logged)
	}
}

// SSF's management knows nothing of webhooks: they are not listed, not found,
// and count against no bound. Of another application's there is no trace.
func TestWebhookIsNoStream(t *testing.T) {
	h := open(t, func(s *setup) { s.OneStream = true })
	shop, mail := h.client("shop", hookScope), h.client("mail", hookScope)
	sink := newHookSink(t, nil)
	id, secret := h.hook(shop, sink.URL, `,"auth":{"type":"bearer","token":"letmein"},"headers":{"x-key":"hush"}`)
	h.hook(shop, sink.URL, "")
	stream := h.stream(shop, "")
	if got := h.must(http.StatusOK, http.MethodGet, "/ssf/streams", shop, ""); strings.Contains(got.body, id) || !strings.Contains(got.body, stream) {
		t.Errorf("list: got %s", got.body)
	}
	for _, c := range []struct{ method, path, token, body string }{
		{http.MethodGet, "/ssf/streams?stream_id=" + id, shop, ""},
		{http.MethodPatch, "/ssf/streams", shop, `{"stream_id":"` + id + `","description":"x"}`},
		{http.MethodDelete, "/ssf/streams?stream_id=" + id, shop, ""},
		{http.MethodGet, "/ssf/status?stream_id=" + id, shop, ""},
		{http.MethodPost, "/ssf/status", shop, `{"stream_id":"` + id + `","status":"disabled"}`},
		{http.MethodPost, "/ssf/verify", shop, `{"stream_id":"` + id + `"}`},
		{http.MethodPost, "/ssf/subjects/add", shop, `{"stream_id":"` + id + `","subject":{"format":"email","email":"a@example.com"}}`},
		{http.MethodPost, "/ssf/poll/" + id, shop, `{"returnImmediately":true}`},
		{http.MethodGet, "/v1/streams/" + id + "/dead-letters", shop, ""},
		{http.MethodGet, "/v1/webhooks/" + stream, shop, ""},
		{http.MethodGet, "/v1/webhooks/" + stream + "/dead-letters", shop, ""},
		{http.MethodGet, "/v1/webhooks/" + id, mail, ""},
		{http.MethodPatch, "/v1/webhooks/" + id, mail, `{"description":"x"}`},
		{http.MethodPut, "/v1/webhooks/" + id, mail, `{"url":"` + sink.URL + `"}`},
		{http.MethodDelete, "/v1/webhooks/" + id, mail, ""},
		{http.MethodPost, "/v1/webhooks/" + id + "/rotate", mail, ""},
		{http.MethodPost, "/v1/webhooks/" + id + "/test", mail, ""},
		{http.MethodGet, "/v1/webhooks/" + id + "/dead-letters", mail, ""},
		{http.MethodPost, "/v1/webhooks/" + id + "/dead-letters/x/resend", mail, ""},
	} {
		unknown := h.do(c.method, strings.ReplaceAll(c.path, id, "nothing"), c.token, strings.ReplaceAll(c.body, id, "nothing"))
		if got := h.do(c.method, c.path, c.token, c.body); got.status != http.StatusNotFound || !strings.Contains(c.path, stream) && got.body != unknown.body {
			t.Errorf("%s %s: got %d %s, want what an unknown one gets: %s", c.method, c.path, got.status, got.body, unknown.body)
		}
	}
	if got := h.must(http.StatusOK, http.MethodGet, "/v1/webhooks", mail, "").body; strings.TrimSpace(got) != `{"webhooks":[]}` {
		t.Errorf("another's list: got %s, want none", got)
	}
	list := h.must(http.StatusOK, http.MethodGet, "/v1/webhooks", shop, "").body
	for _, hidden := range []string{secret, "letmein", "hush"} {
		if strings.Contains(list, hidden) || strings.Contains(h.logs.String(), hidden) {
			t.Errorf("got %s in a list or the log, want no secret", hidden)
		}
	}
	if !strings.Contains(list, `"X-Key"`) || !strings.Contains(list, id) {
		t.Errorf("list: got %s", list)
	}
	if got := h.do(http.MethodGet, "/v1/webhooks", h.client("shop", everyScope), ""); got.status != http.StatusForbidden {
		t.Errorf("without the scope: got %d, want 403", got.status)
	}
}

// An event for other applications is not for this one's webhooks.
func TestWebhookHearsItsOwn(t *testing.T) {
	h := open(t)
	shop, mail := h.client("shop", hookScope), h.client("mail", hookScope)
	source := h.client("sender", "events.write", sourceFor("mail"))
	ours, theirs := newHookSink(t, nil), newHookSink(t, nil)
	h.hook(shop, ours.URL, "")
	h.hook(mail, theirs.URL, "")
	for i := range 5 {
		h.must(http.StatusAccepted, http.MethodPost, "/v1/events", source, event(fmt.Sprint("u", i)))
	}
	h.emit(shop, "all")
	until(t, "the event for all, and what is theirs", func() bool { return ours.accepted() == 1 && theirs.accepted() == 6 })
	if got := len(ours.requests()); got != 1 {
		t.Errorf("got %d requests, want the one event that is for all", got)
	}
}

// What a receiver answers decides as it does for a push: what may pass is tried
// again, under the same webhook-id and a new timestamp, and what is refused is
// set aside, read by the event's id, and sent again on request.
func TestWebhookRetries(t *testing.T) {
	h := open(t, func(s *setup) { s.PushSchedule = []time.Duration{1100 * time.Millisecond} })
	token := h.client("shop", hookScope)
	tries := map[string]int{}
	var refuse bool
	sink := newHookSink(t, nil)
	sink.answer = func(w http.ResponseWriter, r *http.Request, got hooked) bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		n := tries[got.ids[0]]
		tries[got.ids[0]]++
		switch {
		case refuse:
			w.WriteHeader(http.StatusUnprocessableEntity)
		case n == 0:
			w.WriteHeader(http.StatusInternalServerError)
		case n == 1:
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		default:
			return false
		}
		return true
	}
	id, secret := h.hook(token, sink.URL, "")
	event := h.emit(token, "jo")
	until(t, "the third try", func() bool { return sink.accepted() == 1 })
	got := sink.requests()
	if len(got) != 3 {
		t.Fatalf("got %d requests, want 3 and no redirect followed", len(got))
	}
	stamps := map[string]bool{}
	for _, one := range got {
		if err := one.verify(secret); err != nil || one.header.Get("webhook-id") != event {
			t.Errorf("got %v, id %s, want a good signature and %s", err, one.header.Get("webhook-id"), event)
		}
		stamps[one.header.Get("webhook-timestamp")] = true
	}
	if len(stamps) != 3 {
		t.Errorf("got timestamps %v, want one for each try", stamps)
	}
	sink.mu.Lock()
	refuse = true
	sink.mu.Unlock()
	bad := h.emit(token, "bad")
	letters := "/v1/webhooks/" + id + "/dead-letters"
	until(t, "a dead letter", func() bool {
		return strings.Contains(h.must(http.StatusOK, http.MethodGet, letters, token, "").body, `"jti":"`+bad+`"`)
	})
	sink.mu.Lock()
	refuse = false
	tries[bad] = 2
	sink.mu.Unlock()
	h.must(http.StatusAccepted, http.MethodPost, letters+"/"+bad+"/resend", token, "")
	until(t, "the resent event", func() bool { return sink.accepted() == 2 })
	if got := h.must(http.StatusOK, http.MethodGet, letters, token, "").body; strings.Contains(got, bad) {
		t.Errorf("dead letters: got %s, want none", got)
	}
}

// 410 pauses at once; its owner enables it again, and what waited goes out.
func TestWebhookGone(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	gone := true
	sink := newHookSink(t, nil)
	sink.answer = func(w http.ResponseWriter, _ *http.Request, _ hooked) bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if gone {
			w.WriteHeader(http.StatusGone)
		}
		return gone
	}
	id, _ := h.hook(token, sink.URL, "")
	h.emit(token, "jo")
	path := "/v1/webhooks/" + id
	until(t, "the pause", func() bool {
		return h.must(http.StatusOK, http.MethodGet, path, token, "").member("status") == "paused"
	})
	h.emit(token, "held")
	before := len(sink.requests())
	sink.mu.Lock()
	gone = false
	sink.mu.Unlock()
	h.must(http.StatusOK, http.MethodPatch, path, token, `{"status":"enabled"}`)
	until(t, "both", func() bool { return sink.accepted() == 2 })
	if before != 1 {
		t.Errorf("got %d requests before, want 1 and no word of the pause", before)
	}
}

// Events about one subject arrive in their order, one by one and in batches.
func TestWebhookOrder(t *testing.T) {
	for _, more := range []string{"", `,"format":"array","batch":{"events":7,"seconds":1}`, `,"format":"ndjson","batch":{"events":7,"seconds":1}`} {
		h := open(t)
		token := h.client("shop", hookScope)
		n := 0
		sink := newHookSink(t, nil)
		sink.answer = func(w http.ResponseWriter, _ *http.Request, _ hooked) bool {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			n++
			if n%3 == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n%3 == 0
		}
		_, secret := h.hook(token, sink.URL, more)
		var want []string
		for range 40 {
			want = append(want, h.emit(token, "jo"))
		}
		until(t, "all "+more, func() bool { return sink.accepted() == len(want) })
		var got []string
		for _, one := range sink.requests() {
			if err := one.verify(secret); err != nil {
				t.Errorf("%s: signature: got %v", more, err)
			}
			for _, id := range one.ids {
				if !slices.Contains(got, id) {
					got = append(got, id)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got another order", more)
		}
	}
}

// The answer to bad input names the member and changes nothing.
func TestWebhookRefuses(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	url := `"url":"https://hook.example/x"`
	for _, c := range []struct{ body, member string }{
		{`{}`, "url"},
		{`{"url":"http://hook.example/"}`, "url"},
		{`{"url":"https://10.0.0.1/"}`, "url"},
		{`{"url":"https://169.254.169.254/latest"}`, "url"},
		{`{"url":7}`, "url"},
		{`{` + url + `,"unknown":1}`, "unknown"},
		{`{` + url + `,` + url + `}`, "url"},
		{`{` + url + `,"application":"mail"}`, "application"},
		{`{` + url + `,"types":[]}`, "types"},
		{`{` + url + `,"types":[""]}`, "types"},
		{`{` + url + `,"format":"xml"}`, "format"},
		{`{` + url + `,"batch":{"events":10}}`, "batch"},
		{`{` + url + `,"format":"array","batch":{"events":1001}}`, "batch.events"},
		{`{` + url + `,"format":"array","batch":{"seconds":0}}`, "batch.seconds"},
		{`{` + url + `,"headers":{"Host":"x"}}`, "headers.Host"},
		{`{` + url + `,"headers":{"webhook-id":"x"}}`, "headers.webhook-id"},
		{`{` + url + `,"headers":{"x y":"x"}}`, "headers.x y"},
		{`{` + url + `,"headers":{"x":"a\r\nb"}}`, "headers.x"},
		{`{` + url + `,"headers":{"authorization":"x"},"auth":{"type":"bearer","token":"t"}}`, "headers.Authorization"},
		{`{` + url + `,"auth":{"type":"digest"}}`, "auth.type"},
		{`{` + url + `,"auth":{"type":"basic","username":"u"}}`, "auth.password"},
		{`{` + url + `,"auth":{"type":"basic","username":"u:v","password":"p"}}`, "auth.username"},
		{`{` + url + `,"auth":{"type":"bearer","token":"t","password":"p"}}`, "auth.password"},
		{`{` + url + `,"auth":{"type":"oauth2","token_url":"https://127.0.0.2.example:0/","client_id":"c","client_secret":"s"}}`, "auth.token_url"},
		{`{` + url + `,"auth":{"type":"oauth2","token_url":"https://10.1.2.3/t","client_id":"c","client_secret":"s"}}`, "auth.token_url"},
		{`{` + url + `,"auth":{"type":"oauth2","token_url":"https://as.example/t","client_id":"c"}}`, "auth.client_secret"},
		{`{` + url + `,"signing":{"type":"rsa"}}`, "signing.type"},
		{`{` + url + `,"signing":{"secret":"whsec_c2hvcnQ="}}`, "signing.secret"},
		{`{` + url + `,"status":"off"}`, "status"},
		{`[1]`, ""},
		{`{`, ""},
		{`null`, ""},
	} {
		got := h.do(http.MethodPost, "/v1/webhooks", token, c.body)
		if got.status != http.StatusBadRequest || got.member("member") != c.member {
			t.Errorf("%s: got %d %s, want 400 that names %q", c.body, got.status, got.body, c.member)
		}
	}
	var list struct{ Webhooks []json.RawMessage }
	got := h.must(http.StatusOK, http.MethodGet, "/v1/webhooks", token, "").body
	if err := json.Unmarshal([]byte(got), &list); err != nil || len(list.Webhooks) != 0 {
		t.Errorf("afterwards: got %s, want none", got)
	}
}

func sourceFor(applications ...string) *auth.Source {
	return &auth.Source{Name: "src", Applications: applications}
}
