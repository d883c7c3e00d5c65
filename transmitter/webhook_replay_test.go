package transmitter_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// A replay of a webhook sends again what was recorded from a time on: the same
// events under the webhook-id that they had, in order, and to nobody else. What
// is among its dead letters is among it, and stays there until it is delivered.
func TestWebhookReplay(t *testing.T) {
	h := open(t)
	alice, bob := h.client("alice", hookScope), h.client("bob", hookScope)
	var refused atomic.Bool
	refused.Store(true)
	sink := newHookSink(t, func(w http.ResponseWriter, _ *http.Request, h hooked) bool {
		if refused.Load() && strings.Contains(h.body, "appointment.view") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return true
		}
		return false
	})
	other := newHookSink(t, nil)
	hook, secret := h.hook(alice, sink.URL, "")
	h.hook(alice, other.URL, "")
	stream := h.stream(alice, "")
	set := h.emit(alice, "jo")
	logged := h.must(http.StatusAccepted, http.MethodPost, "/v1/events", alice, logOnly(1)).member("id")
	letters := "/v1/webhooks/" + hook + "/dead-letters"
	until(t, "one delivered, one set aside", func() bool {
		return sink.accepted() == 1 && other.accepted() == 2 && strings.Contains(h.must(http.StatusOK, http.MethodGet, letters, alice, "").body, logged)
	})
	before := len(sink.requests())
	refused.Store(false)

	path := "/v1/webhooks/" + hook + "/replay"
	const all = `{"from":"2026-01-01T00:00:00Z"}`
	for _, c := range []struct {
		name, path, token, body string
		status                  int
	}{
		{"another's", path, bob, all, 404},
		{"a stream", "/v1/webhooks/" + stream + "/replay", alice, all, 404},
		{"as a stream", "/v1/streams/" + hook + "/replay", alice, all, 404},
		{"no from", path, alice, `{}`, 400},
		{"the future", path, alice, `{"from":"2999-01-01T00:00:00Z"}`, 400},
		{"no scope", path, h.client("carl", everyScope), all, 403},
	} {
		checkError(t, c.name, h.do(http.MethodPost, c.path, c.token, c.body), c.status)
	}
	if a := h.must(http.StatusAccepted, http.MethodPost, path, alice, all); a.member("id") == "" || a.member("stream_id") != hook {
		t.Errorf("got %s, want an order for the webhook", a.body)
	}
	until(t, "both again", func() bool { return len(sink.requests()) == before+2 })
	var ids []string
	for _, got := range sink.requests()[before:] {
		if err := got.verify(secret); err != nil || got.header.Get("webhook-id") != got.ids[0] {
			t.Errorf("got webhook-id %s, %v, want the event's id, signed", got.header.Get("webhook-id"), err)
		}
		ids = append(ids, got.ids...)
	}
	if slices.Sort(ids); !slices.Equal(ids, slices.Sorted(slices.Values([]string{set, logged}))) {
		t.Errorf("got %v, want %s and %s", ids, set, logged)
	}
	h.must(http.StatusAccepted, http.MethodPost, letters+"/"+logged+"/resend", alice, "")
	until(t, "the dead letter", func() bool { return len(sink.requests()) == before+3 && sink.requests()[before+2].ids[0] == logged })
	if got := len(other.requests()); got != 2 {
		t.Errorf("another webhook: got %d requests, want 2", got)
	}
	h.must(http.StatusOK, http.MethodPatch, "/v1/webhooks/"+hook, alice, `{"status":"disabled"}`)
	checkError(t, "disabled", h.do(http.MethodPost, path, alice, all), 409)
}
