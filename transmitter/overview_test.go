package transmitter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// lookedAt is the answer of GET /admin/overview, in part.
type lookedAt struct {
	Streams  int            `json:"streams"`
	Concerns map[string]int `json:"concerns"`
	Worst    []struct {
		ID, Application, Method, Concern, Status, Reason string
		StreamID                                         string `json:"stream_id"`
		Queued, Failures                                 int
		DeadLetters                                      int    `json:"dead_letters"`
		LastError                                        string `json:"last_error"`
	} `json:"worst"`
}

// Operators see how all streams are, the worst first and as many as they ask for.
func TestOverview(t *testing.T) {
	h := open(t)
	o := h.operator(h.SocketHandler())
	token := h.client("alice", everyScope)
	sink := newSink(t)
	sink.status = func(int) int { return http.StatusInternalServerError }
	failing := h.stream(token, pushTo(sink.URL))
	var polls []string
	for range 4 {
		polls = append(polls, h.stream(token, ""))
	}
	o.must(http.StatusOK, "POST", "/admin/streams/"+polls[1]+"/status", "", `{"status":"paused","reason":"at night"}`)
	look := func(query string) (l lookedAt) {
		t.Helper()
		if err := json.Unmarshal([]byte(o.must(http.StatusOK, "GET", "/admin/overview"+query, "", "").body), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	h.emit(token, "a")
	until(t, "a push has failed, and the rest waits", func() bool {
		l := look("")
		return l.Concerns["failing"] == 1 && l.Worst[len(l.Worst)-1].Queued == 1
	})
	l := look("?worst=2")
	if got, want := fmt.Sprint(l.Streams, l.Concerns), "5 map[dead_letters:0 failing:1 fine:3 paused_by_receiver:0 stopped:1]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(l.Worst) != 2 || l.Worst[0].StreamID != failing || l.Worst[1].StreamID != polls[1] {
		t.Fatalf("got %+v, want the one that fails and the one that was stopped", l.Worst)
	}
	if w := l.Worst[0]; w.Method != "push" || w.Application == "" || w.Failures == 0 || w.LastError == "" || w.Status != "enabled" {
		t.Errorf("got %+v, want what an operator asks", w)
	}
	if w := l.Worst[1]; w.Method != "poll" || w.Reason != "at night" || w.Status != "paused" {
		t.Errorf("got %+v, want what an operator asks", w)
	}
	for _, wrong := range []string{"-1", "201", "x", "1.5"} {
		o.must(http.StatusBadRequest, "GET", "/admin/overview?worst="+wrong, "", "")
	}
}

// emptyFigures are those of a process that has done nothing.
func emptyFigures(of string) json.RawMessage {
	return json.RawMessage(`{"range":"` + of + `","title":"t","from":"2026-11-26T00:00:00Z","step_seconds":10,"points":1,"sampled_at":"2026-11-26T00:00:00Z","figures":[]}`)
}

// What the process keeps of its own past is answered as it is; there may be none.
func TestAdminFigures(t *testing.T) {
	o := open(t, func(s *setup) { s.idle = true })
	o.operator(o.SocketHandler()).must(http.StatusNotImplemented, "GET", "/admin/figures", "", "")
	h := open(t, func(s *setup) {
		s.idle = true
		s.Figures = func(of string) (any, bool) {
			return emptyFigures(of), of == "1h"
		}
	})
	op := h.operator(h.SocketHandler())
	if got := op.must(http.StatusOK, "GET", "/admin/figures?range=1h", "", "").member("range"); got != "1h" {
		t.Errorf("got %q, want the range that was asked", got)
	}
	op.must(http.StatusBadRequest, "GET", "/admin/figures?range=1y", "", "")
}
