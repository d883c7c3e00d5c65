package transmitter_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// architecture.md §1: the txn is in the log lines of every step, so that one search
// shows the whole way; none of them names the subject.
func TestOneSearchShowsTheWay(t *testing.T) {
	var logs *lines
	h := open(t, func(s *setup) {
		logs = &lines{}
		s.Logger = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	token := h.client("alice", everyScope)
	sink := newSink(t)
	sink.status = func(n int) int { return []int{http.StatusInternalServerError, 0}[min(n, 1)] }
	h.stream(token, pushTo(sink.URL))
	poll := h.stream(token, "")
	txn := h.emit(token, "jo")
	ids, _ := h.poll(token, poll, `{}`)
	until(t, "pushed", func() bool { return strings.Contains(logs.String(), "verdict=delivered") })
	var steps []string
	for line := range strings.Lines(logs.String()) {
		if strings.Contains(line, "txn="+txn) && strings.Contains(line, "event_type="+sessionRevoked) {
			steps = append(steps, line)
		}
	}
	way := strings.Join(steps, "")
	for _, want := range []string{
		"event taken in", "event matched", "streams=2", "msg=pushed", "attempt=1", "verdict=failed", "attempt=2", "polled a SET", "stream_id=" + poll + " jti=" + ids[0],
	} {
		if !strings.Contains(way, want) {
			t.Errorf("got no %q with the txn, want it:\n%s", want, logs)
		}
	}
	if strings.Contains(logs.String(), "jo@example.com") {
		t.Errorf("SEC-04: got a subject in the log:\n%s", logs)
	}
}
