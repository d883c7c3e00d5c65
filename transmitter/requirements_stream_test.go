package transmitter_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/caep"
)

// SSF-8.1.1.5-02: after 204 no push begins, polls and all else answer 404, what was
// queued does not come back, and the id does not either; other streams go on
// (SSF-8.1.1-10).
func TestNothingLeavesADeletedStream(t *testing.T) {
	h := open(t, func(s *setup) { s.PushSchedule = []time.Duration{10 * time.Millisecond} })
	token := h.client("alice", everyScope)
	gone, other := newSink(t), newSink(t)
	gone.status = func(int) int { return http.StatusServiceUnavailable } // so that its SETs stay queued
	pushed, polled := h.stream(token, pushTo(gone.URL)), h.stream(token, "")
	h.stream(token, pushTo(other.URL))
	h.emit(token, "a")
	until(t, "an attempt", func() bool { return len(gone.requests()) > 0 })
	for _, stream := range []string{pushed, polled} {
		h.must(http.StatusNoContent, http.MethodDelete, "/ssf/streams?stream_id="+stream, token, "")
	}
	// A request that was in flight when the stream went may still have arrived.
	settled := -1
	until(t, "what was in flight", func() bool {
		before := settled
		settled = len(gone.requests())
		return before == settled
	})
	last := h.emit(token, "a")
	until(t, "the other stream", func() bool { return slices.Contains(other.transactions(), last) })
	if got := len(gone.requests()); got > settled {
		t.Errorf("SSF-8.1.1.5-02: got %d pushes after 204, want none", got-settled)
	}
	checkError(t, "SSF-8.1.1.5-02 poll", h.do(http.MethodPost, "/ssf/poll/"+polled, token, `{}`), http.StatusNotFound)
	checkError(t, "SSF-8.1.1.5-02 status", h.do(http.MethodGet, "/ssf/status?stream_id="+pushed, token, ""), http.StatusNotFound)
	checkError(t, "SSF-8.1.1.5-01 again", h.do(http.MethodDelete, "/ssf/streams?stream_id="+pushed, token, ""), http.StatusNotFound)
	if again := h.stream(token, ""); again == pushed || again == polled {
		t.Errorf("SSF-8.1.1.5-02: got id %s a second time", again)
	}
}

// SSF-8.1.1-01, SSF-8.1.1.3-04: what events_delivered says after a change is what is
// sent from then on.
func TestEventsDeliveredIsTrue(t *testing.T) {
	h := open(t)
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	subject := `{"format":"email","email":"a@example.com"}`
	requested := func(eventType string) {
		a := h.must(http.StatusOK, http.MethodPatch, "/ssf/streams", token, `{"stream_id":"`+stream+`","events_requested":["`+eventType+`"]}`)
		if got, want := a.member("events_delivered"), `["`+eventType+`"]`; got != want {
			t.Fatalf("SSF-8.1.1.3-04: got %s, want %s", got, want)
		}
	}
	requested(caep.CredentialChangeType)
	h.post(token, about(sessionRevoked, subject)) // not delivered any more
	first := h.post(token, about(caep.CredentialChangeType, subject))
	if got := h.received(token, stream, first); len(got) != 0 {
		t.Errorf("SSF-8.1.1-01: got %v, want nothing that is not in events_delivered", got)
	}
	requested(sessionRevoked)
	h.post(token, about(caep.CredentialChangeType, subject))
	second := h.post(token, about(sessionRevoked, subject))
	if got := h.received(token, stream, second); len(got) != 0 {
		t.Errorf("SSF-8.1.1-01: got %v, want nothing that is not in events_delivered", got)
	}
}

// SSF-8.1.5-01, SSF-8.1.2-01, PUSH-4-01, U17, U18: a stream that the transmitter
// pauses because its receiver says 410 tells so by stream-updated, which alone leaves
// it; the receiver may enable it again, and what was held is delivered then.
func TestPausedByTheTransmitter(t *testing.T) {
	h := open(t, func(s *setup) { s.PushSchedule = []time.Duration{10 * time.Millisecond} })
	token := h.client("alice", everyScope)
	sink := newSink(t)
	sink.status = func(n int) int {
		if n == 0 {
			return http.StatusGone
		}
		return 0
	}
	stream := h.stream(token, pushTo(sink.URL))
	held := h.emit(token, "a")
	until(t, "the stream-updated", func() bool { return len(sink.requests()) > 1 })
	reason := h.must(http.StatusOK, http.MethodGet, "/ssf/status?stream_id="+stream, token, "")
	if reason.member("status") != "paused" || reason.member("reason") == "" {
		t.Fatalf("SSF-8.1.5-01: got %s, want it paused for a reason", reason.body)
	}
	checkUpdated(t, h, sink.requests()[1].compact, stream, `{"status":"paused","reason":"`+reason.member("reason")+`"}`)
	h.must(http.StatusOK, http.MethodPost, "/ssf/status", token, `{"stream_id":"`+stream+`","status":"enabled"}`)
	until(t, "the held event", func() bool { return slices.Contains(sink.transactions(), held) })
	if got := len(sink.requests()); got != 3 { // SSF-8.1.2-01: no event of what the receiver asked for
		t.Errorf("SSF-8.1.2-01: got %d pushes, want the refused one, stream-updated and the held event", got)
	}
}
