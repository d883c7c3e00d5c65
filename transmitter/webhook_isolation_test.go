package transmitter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Webhooks that hang, fail, refuse, trickle or have a bad certificate cost
// push streams and other webhooks nothing, and lose nothing: what waits, waits.
func TestWebhooksAreIsolated(t *testing.T) {
	h := open(t, func(s *setup) { s.PushTimeout = 3 * time.Second; s.PushSchedule = neverAgain() })
	token := h.client("shop", hookScope)
	release := make(chan struct{})
	hang := newHookSink(t, func(_ http.ResponseWriter, r *http.Request, _ hooked) bool {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return true
	})
	defer close(release)
	trickle := newHookSink(t, func(w http.ResponseWriter, r *http.Request, _ hooked) bool {
		w.WriteHeader(http.StatusInternalServerError)
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 1<<10))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-release:
				return true
			case <-time.After(10 * time.Millisecond):
			}
		}
		return true
	})
	fail := newHookSink(t, func(w http.ResponseWriter, _ *http.Request, _ hooked) bool { w.WriteHeader(500); return true })
	badTLS := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(badTLS.Close)
	bad := map[string]string{}
	for name, url := range map[string]string{"hang": hang.URL, "trickle": trickle.URL, "fail": fail.URL, "tls": badTLS.URL, "closed": "http://127.0.0.1:1/"} {
		bad[name], _ = h.hook(token, url, "")
	}
	good, stream := newHookSink(t, nil), newSink(t)
	h.hook(token, good.URL, "")
	h.stream(token, pushTo(stream.URL))
	const n = 200
	start := time.Now()
	for i := range n {
		h.emit(token, fmt.Sprint("u", i))
	}
	until(t, "all at the good ones", func() bool { return good.accepted() == n && len(stream.transactions()) == n })
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("got %v, want no wait for those that hang", took)
	}
	for name, id := range bad {
		until(t, "the failure of "+name, func() bool {
			got := h.must(http.StatusOK, http.MethodGet, "/v1/webhooks/"+id, token, "").body
			return strings.Contains(got, fmt.Sprintf(`"queued":%d`, n)) && strings.Contains(got, `"failures":1`)
		})
	}
	if got := h.must(http.StatusOK, http.MethodGet, "/v1/webhooks/"+bad["tls"], token, "").body; !strings.Contains(got, "certificate") {
		t.Errorf("bad certificate: got %s", got)
	}
}

// The removal of an application takes its webhooks with it: another one's go on alone.
func TestWebhooksGoWithTheirApplication(t *testing.T) {
	h := open(t)
	shop, other := h.client("shop", hookScope), h.client("other", hookScope)
	sink := newHookSink(t, nil)
	id, _ := h.hook(shop, sink.URL, "")
	admin := httptest.NewServer(h.SocketHandler())
	t.Cleanup(admin.Close)
	ask := func(method, path, body string) answer {
		t.Helper()
		return h.ask(t.Context(), method, admin.URL+path, "", strings.NewReader(body))
	}
	if got := ask(http.MethodGet, "/admin/webhooks?application=shop", ""); !strings.Contains(got.body, id) {
		t.Errorf("before: got %s, want %s", got.body, id)
	}
	if got := ask(http.MethodGet, "/admin/streams/"+id, ""); got.status != http.StatusNotFound {
		t.Errorf("as a stream: got %d, want 404", got.status)
	}
	if got := ask(http.MethodPost, "/admin/streams/"+id+"/status", `{"status":"disabled"}`); got.status != http.StatusNotFound {
		t.Errorf("as a stream: got %d, want 404", got.status)
	}
	if got := ask(http.MethodDelete, "/admin/applications/shop", ""); got.status != http.StatusNoContent {
		t.Fatalf("remove: got %d %s", got.status, got.body)
	}
	again := h.client("market", hookScope)
	h.emit(other, "jo")
	made := newHookSink(t, nil)
	h.hook(again, made.URL, "")
	h.emit(other, "two")
	until(t, "the new one's event", func() bool { return made.accepted() == 1 })
	if got := len(sink.requests()); got != 0 {
		t.Errorf("the old one: got %d requests, want none", got)
	}
	if got := ask(http.MethodGet, "/admin/webhooks/"+id, ""); got.status != http.StatusNotFound {
		t.Errorf("afterwards: got %d, want 404", got.status)
	}
}

// What an operator imposes only an operator lifts.
func TestWebhookPolicy(t *testing.T) {
	h := open(t)
	token := h.client("shop", hookScope)
	sink := newHookSink(t, nil)
	id, _ := h.hook(token, sink.URL, "")
	admin := httptest.NewServer(h.SocketHandler())
	t.Cleanup(admin.Close)
	status := func(body string) answer {
		t.Helper()
		return h.ask(t.Context(), http.MethodPatch, admin.URL+"/admin/webhooks/"+id, "", strings.NewReader(body))
	}
	if got := status(`{"status":"paused","reason":"abuse"}`); got.member("status") != "paused" || got.member("reason") != "abuse" {
		t.Fatalf("got %d %s, want paused", got.status, got.body)
	}
	if got := h.do(http.MethodPatch, "/v1/webhooks/"+id, token, `{"status":"enabled"}`); got.status != http.StatusForbidden {
		t.Errorf("its owner: got %d %s, want 403", got.status, got.body)
	}
	h.emit(token, "held")
	if got := status(`{"status":"enabled"}`); got.member("status") != "enabled" {
		t.Fatalf("got %d %s, want enabled", got.status, got.body)
	}
	until(t, "what was held", func() bool { return sink.accepted() == 1 })
}
