package transmitter_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// value returns the value of a series in the text of /metrics, -1 if there is none.
func value(text, series string) float64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			if v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
				return v
			}
		}
	}
	return -1
}

// What operators watch: depth and age of the queues, pushes by verdict, the time
// from an event to its delivery, the batches of commits.
func TestMetrics(t *testing.T) {
	h := open(t)
	o := h.operator(h.SocketHandler())
	token := h.client("alice", everyScope)
	sink := newSink(t)
	sink.status = func(n int) int {
		return []int{http.StatusInternalServerError, 0, http.StatusRequestEntityTooLarge}[min(n, 2)]
	}
	push := h.stream(token, pushTo(sink.URL))
	h.emit(token, "a")
	until(t, "one failure, one delivery", func() bool { return len(sink.requests()) == 2 })
	h.emit(token, "b")
	poll := h.stream(token, "")
	waiting := h.emit(token, "c")
	h.Commit("log", 3, 2*time.Millisecond)
	var text string
	scraped := func() bool {
		text = o.must(http.StatusOK, "GET", "/metrics", "", "").body
		return value(text, "tocsin_queue_depth") == 1 && value(text, "tocsin_dead_letters") == 2
	}
	until(t, "one SET waits, two are refused", scraped)
	for series, want := range map[string]float64{
		`tocsin_push_attempts_total{verdict="delivered"}`:     1,
		`tocsin_push_attempts_total{verdict="failed"}`:        1,
		`tocsin_push_attempts_total{verdict="refused"}`:       2,
		"tocsin_push_attempt_seconds_count":                   4,
		`tocsin_delivery_seconds_count{method="push"}`:        1,
		`tocsin_stream_queue_depth{stream_id="` + poll + `"}`: 1,
		`tocsin_stream_queue_depth{stream_id="` + push + `"}`: -1,
		`tocsin_commit_batch_size_count{store="log"}`:         1,
		`tocsin_commit_batch_size_sum{store="log"}`:           3,
		`tocsin_commit_seconds_sum{store="log"}`:              0.002,
		`tocsin_events_total{outcome="accepted"}`:             3,
		"tocsin_queue_not_kept_total":                         0,
		"tocsin_queue_expired_total":                          0,
	} {
		if got := value(text, series); got != want {
			t.Errorf("%s: got %v, want %v\n%s", series, got, want, grep(text, "tocsin_"))
		}
	}
	if took := value(text, `tocsin_delivery_seconds_sum{method="push"}`); took < 0.01 || took > patience.Seconds() {
		t.Errorf("delivery: got %v s, want the retry in it", took) // it came after 20 ms, give or take
	}
	age := value(text, "tocsin_queue_oldest_seconds")
	until(t, "what waits grows older", func() bool {
		return value(o.must(http.StatusOK, "GET", "/metrics", "", "").body, "tocsin_queue_oldest_seconds") > age
	})
	if age <= 0 || age > patience.Seconds() {
		t.Errorf("oldest: got %v s, want the age of event %s", age, waiting)
	}
}

// Only the longest queues have a series of their own, however many there are.
func TestMetricsOfManyStreams(t *testing.T) {
	const many, most = 30, 20
	h := open(t)
	o := h.operator(h.SocketHandler())
	token := h.client("alice", everyScope)
	for range many {
		h.stream(token, "")
	}
	h.emit(token, "a")
	var text string
	until(t, fmt.Sprintf("%d SETs wait", many), func() bool {
		text = o.must(http.StatusOK, "GET", "/metrics", "", "").body
		return value(text, "tocsin_queue_depth") == many
	})
	if got := strings.Count(text, "tocsin_stream_queue_depth{"); got != most {
		t.Errorf("got %d streams with a depth of their own, want %d", got, most)
	}
}

// What a gate holds back and releases, and what of the log is signed.
func TestMetricsOfTheLog(t *testing.T) {
	var made *setup
	h := open(t, func(s *setup) { s.checkpoints, made = true, s })
	o := h.operator(h.SocketHandler())
	alice := h.client("alice", everyScope)
	h.stream(alice, "")
	h.must(http.StatusOK, "PUT", "/v1/consents/gate", alice, `{"enabled":true}`)
	source := h.client("source", "events.write")
	for range 3 {
		h.emit(source, "jo")
	}
	shows := func(series string, want float64) func() bool {
		return func() bool { return value(o.must(http.StatusOK, "GET", "/metrics", "", "").body, series) == want }
	}
	until(t, "three are held", shows(`tocsin_consent_gate_total{outcome="held"}`, 3))
	h.decide(http.StatusCreated, alice, "grant")
	until(t, "three are released", shows(`tocsin_consent_gate_total{outcome="released"}`, 3))
	head, err := h.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Checkpoints.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := o.must(http.StatusOK, "GET", "/metrics", "", "").body
	if got := value(text, "tocsin_checkpoint_size"); got != float64(head) {
		t.Errorf("signed: got %v, want %d", got, head)
	}
	if got := value(text, "tocsin_checkpoint_timestamp_seconds"); got < float64(time.Now().Add(-patience).Unix()) {
		t.Errorf("signed at: got %v, want now", got)
	}
}

// SETs of polls are counted, and the time to their acknowledgement begins when the
// event was recorded: what a gate held back was long under way.
func TestMetricsOfPolls(t *testing.T) {
	c := &clock{}
	h := open(t, c.use)
	o := h.operator(h.SocketHandler())
	token := h.client("alice", everyScope)
	stream := h.stream(token, "")
	h.must(http.StatusOK, "PUT", "/v1/consents/gate", token, `{"enabled":true}`)
	h.emit(h.client("source", "events.write"), "jo")
	metric := func(series string) float64 {
		return value(o.must(http.StatusOK, "GET", "/metrics", "", "").body, series)
	}
	until(t, "it is held", func() bool { return metric(`tocsin_consent_gate_total{outcome="held"}`) == 1 })
	c.move(time.Hour)
	h.decide(http.StatusCreated, token, "grant")
	ids, _ := h.poll(token, stream, `{}`)
	if len(ids) != 1 {
		t.Fatalf("got %v, want the event that was held", ids)
	}
	h.emit(token, "jo")
	more, _ := h.poll(token, stream, `{"ack":["`+ids[0]+`"]}`)
	if len(more) != 1 {
		t.Fatalf("got %v, want the second event", more)
	}
	h.poll(token, stream, `{"returnImmediately":true,"setErrs":{"`+more[0]+`":{"err":"invalid_request","description":"no"}}}`)
	for series, want := range map[string]float64{
		`tocsin_poll_sets_total{outcome="sent"}`:         2,
		`tocsin_poll_sets_total{outcome="acknowledged"}`: 1,
		`tocsin_poll_sets_total{outcome="refused"}`:      1,
		`tocsin_delivery_seconds_count{method="poll"}`:   1,
	} {
		if got := metric(series); got != want {
			t.Errorf("%s: got %v, want %v", series, got, want)
		}
	}
	if took := metric(`tocsin_delivery_seconds_sum{method="poll"}`); took < time.Hour.Seconds() || took > (time.Hour+patience).Seconds() {
		t.Errorf("got %v s, want the hour in it for which it was held", took)
	}
}
