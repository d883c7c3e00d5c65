package transmitter_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The consent gate holds for webhooks, too: nothing leaves before the grant,
// then all that was held in its order, and after a revocation nothing more;
// also of events that become no SET.
func TestWebhookGate(t *testing.T) {
	for _, more := range []string{"", `,"format":"array","batch":{"events":10,"seconds":1}`} {
		h := open(t)
		token, free := h.client("alice", hookScope), h.client("bob", hookScope)
		sink, other := newHookSink(t, nil), newHookSink(t, nil)
		_, secret := h.hook(token, sink.URL, more)
		h.hook(free, other.URL, more)
		h.must(http.StatusOK, http.MethodPut, "/v1/consents/gate", token, `{"enabled":true}`)
		var want []string
		for range 5 {
			want = append(want, h.emit(free, "jo"))
		}
		h.emit(free, "al") // never granted
		until(t, "all without a gate", func() bool { return other.accepted() == 6 })
		if got := sink.requests(); len(got) != 0 {
			t.Errorf("before the grant: got %d requests, want none", len(got))
		}
		h.decide(http.StatusCreated, token, "grant")
		want = append(want, h.emit(free, "jo"))
		until(t, "what was held and the next", func() bool { return sink.accepted() == 6 })
		h.decide(http.StatusCreated, token, "revoke")
		h.emit(free, "jo")
		until(t, "the last without a gate", func() bool { return other.accepted() == 8 })
		var got []string
		for _, one := range sink.requests() {
			if err := one.verify(secret); err != nil {
				t.Errorf("signature: got %v", err)
			}
			got = append(got, one.ids...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", more, got, want)
		}
	}
}

// What its application said of an event meanwhile is in what its webhook gets,
// and what another said is not: the body is what a GET would answer.
func TestWebhookAnnotated(t *testing.T) {
	h := open(t)
	token, other := h.client("alice", hookScope+" events.annotate"), h.client("bob", hookScope+" events.annotate")
	sink := newHookSink(t, nil)
	id, _ := h.hook(token, sink.URL, `,"status":"paused"`)
	event := h.emit(other, "jo")
	h.must(http.StatusOK, http.MethodPatch, "/v1/events/"+event, token, `{"suspect":true,"linked_id":"case-1"}`)
	h.must(http.StatusOK, http.MethodPatch, "/v1/events/"+event, other, `{"linked_id":"theirs"}`)
	h.must(http.StatusOK, http.MethodPatch, "/v1/webhooks/"+id, token, `{"status":"enabled"}`)
	until(t, "the event", func() bool { return sink.accepted() == 1 })
	want := strings.TrimSpace(h.must(http.StatusOK, http.MethodGet, "/v1/events/"+event, token, "").body)
	if got := sink.requests()[0].body; got != want || !strings.Contains(got, `"linked_id":"case-1"`) {
		t.Errorf("got %s, want %s", got, want)
	}
}
