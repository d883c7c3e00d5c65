package transmitter_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
)

// Each bound that is reached says which one it is.
func TestFullAnswers(t *testing.T) {
	h := open(t, func(s *setup) { s.idle, s.DefaultSubjects, s.MaxSubjects = true, "NONE", 20 })
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	add := func(subject string) answer {
		return h.do(http.MethodPost, "/ssf/subjects/add", token, `{"stream_id":"`+stream+`","subject":`+subject+`}`)
	}
	full := func(name, text string, ask func(i int) answer) {
		t.Helper()
		for i := range 2000 {
			a := ask(i)
			if a.status == http.StatusOK || a.status == http.StatusNoContent {
				continue
			}
			checkError(t, name, a, http.StatusTooManyRequests)
			if !strings.Contains(a.member("description"), text) || a.header.Get("Retry-After") == "" {
				t.Errorf("%s: got %s, Retry-After %q; want a text with %q", name, a.body, a.header.Get("Retry-After"), text)
			}
			return
		}
		t.Errorf("%s: got no bound", name)
	}
	full("verifications", "too many verifications wait", func(int) answer {
		return h.do(http.MethodPost, "/ssf/verify", token, `{"stream_id":"`+stream+`"}`)
	})
	full("sets of names", "sets of member names", func(i int) answer {
		return add(fmt.Sprintf(`{"format":"complex","x%d":{"format":"opaque","id":"1"}}`, i))
	})
	full("subjects", "as many subjects", func(i int) answer {
		return add(fmt.Sprintf(`{"format":"opaque","id":"%d"}`, i))
	})
	// Another application has all of its own.
	other := h.client("bob", everyScope)
	h.must(http.StatusOK, http.MethodPost, "/ssf/subjects/add", other,
		`{"stream_id":"`+h.stream(other, "")+`","subject":{"format":"complex","y":{"format":"opaque","id":"1"}}}`)
	if sqlitestore.MaxNameSetsOfOwner >= sqlitestore.MaxNameSets {
		t.Error("one application may use up all sets of names")
	}
}

// contracts.md §5: a full queue pauses its stream, once, however much comes
// that it cannot keep.
func TestFullQueueIsToldOnce(t *testing.T) {
	h := open(t, func(s *setup) { s.maxDepth = 2 })
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	told := func() int { return strings.Count(h.logs.String(), "pausing a stream") }
	for i := range 10 {
		h.emit(token, fmt.Sprint("u", i))
	}
	h.emit(h.client("hr", "events.write"), "last")
	o := h.operator(h.SocketHandler())
	until(t, "all are counted", func() bool {
		return strings.Contains(o.must(200, "GET", "/metrics", "", "").body, "tocsin_queue_not_kept_total 9")
	})
	if got := told(); got != 1 {
		t.Errorf("got %d pauses told, want 1:\n%s", got, h.logs)
	}
	if a := h.must(200, "GET", "/ssf/status?stream_id="+stream, token, ""); a.member("status") != "paused" || !strings.Contains(a.member("reason"), "full") {
		t.Errorf("status: got %s, want paused with the reason", a.body)
	}
}
