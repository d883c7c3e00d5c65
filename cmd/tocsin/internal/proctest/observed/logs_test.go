package observed_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// line is one of a log.
type line struct{ msg, text string }

var message = regexp.MustCompile(`msg=("[^"]*"|\S+)`)

// lines returns those of a log that have all words.
func lines(log *journal, words ...string) (found []line) {
	for text := range strings.Lines(log.String()) {
		if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			continue
		}
		if m := message.FindStringSubmatch(text); m != nil {
			found = append(found, line{strings.Trim(m[1], `"`), text})
		}
	}
	return found
}

// inOrder reports whether the lines have these messages in this order, others between.
func inOrder(found []line, messages ...string) bool {
	for _, l := range found {
		if len(messages) > 0 && l.msg == messages[0] {
			messages = messages[1:]
		}
	}
	return len(messages) == 0
}

// One search for the txn of an event shows every step of its way through both halves, by
// push and by poll, in their order, and each request is one line.
func testLogs(t *testing.T, w *world) {
	txn := w.emit(t, "logged", "logged@example.com", "X-Request-Id", "the-request-of-the-event")
	whole := func() bool {
		serve, search := lines(w.idpLog, "txn="+txn), func(words ...string) []line {
			return lines(w.appLog, append(words, "txn="+txn)...)
		}
		return len(lines(w.idpLog, "txn="+txn, `msg="event taken in"`, "request_id=the-request-of-the-event")) == 1 &&
			inOrder(serve, "event matched", "pushed") && inOrder(serve, "event matched", "polled a SET") &&
			inOrder(search("issuer=pushed"), "SET received", "event handled") && inOrder(search("issuer=polled"), "SET received", "event handled") &&
			inOrder(search(), "SET received", "hook asked", "event handled") && len(search(`msg="hook asked"`, "hook=tell", "verdict=done")) == 2
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the lines of %s:\nserve: %q\nreceive: %q", txn, lines(w.idpLog, txn), lines(w.appLog, txn))
		}
	})
	proctest.Eventually(t, "the whole way of an event in the logs", whole)

	for half, log := range map[string]*journal{"serve": w.idpLog, "receive": w.appLog} {
		seen := map[string]bool{}
		for _, l := range lines(log, "msg=request ") {
			id := regexp.MustCompile(`request_id=(\S+)`).FindString(l.text)
			if id == "" || seen[id] {
				t.Errorf("%s: got a second line of a request, or one without its id: %s", half, l.text)
			}
			seen[id] = true
			for _, field := range []string{"method=", "route=", "status=", "bytes=", "took=", "listener="} {
				if !strings.Contains(l.text, field) {
					t.Errorf("%s: got no %s in %s", half, field, l.text)
				}
			}
		}
		if len(seen) == 0 {
			t.Errorf("%s: got no line of a request", half)
		}
	}
	if got := lines(w.idpLog, "msg=request ", "request_id=the-request-of-the-event"); len(got) != 1 || !strings.Contains(got[0].text, "route=/v1/events status=202") {
		t.Errorf("the request that brought the event: got %q, want one line", got)
	}
	for _, log := range []*journal{w.idpLog, w.appLog} {
		if strings.Contains(log.String(), "logged@example.com") {
			t.Error("a log tells of whom an event is")
		}
	}
}
