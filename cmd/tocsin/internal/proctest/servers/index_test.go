//go:build linux

package servers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// A server that is killed (kill -9) while it indexes finds every event that it
// has answered for, once: before the index has come to it, after, and after the
// index was built anew.
func TestIndexKilled(t *testing.T) {
	s := newStation(t)
	reader, err := s.server.Token(t.Context(), "reader", "https://reader.example", "events.read")
	if err != nil {
		t.Fatal(err)
	}
	var answered []string
	send := func(n int) bool {
		body := []map[string]any{}
		for i := range 10 {
			body = append(body, map[string]any{
				"type": "session.revoked", "source_id": fmt.Sprint(n, "-", i), "session": "s1",
				"subject": map[string]string{"format": "email", "email": "jo@example.com"},
			})
		}
		status, answer, err := s.server.Call(t.Context(), http.DefaultClient, http.MethodPost, "/v1/events", s.source, body)
		var got struct{ Results []struct{ ID string } }
		if err != nil || status != http.StatusAccepted || json.Unmarshal(answer, &got) != nil {
			return false
		}
		for _, r := range got.Results {
			answered = append(answered, r.ID)
		}
		return true
	}
	n := 0
	for _, point := range []string{"index.before-commit:1", "index.after-commit:1", "index.before-commit:3", "index.after-commit:2"} {
		s.server.Kill()
		if err := s.server.Start("TOCSIN_CRASH_POINT=" + point); err != nil {
			t.Fatal(err)
		}
		for end, alive := time.Now().Add(proctest.Patience), true; alive; n++ {
			send(n)
			select {
			case <-s.server.Done():
				alive = false
			default:
				if time.Now().After(end) {
					t.Fatalf("%s: the server still lives", point)
				}
			}
		}
	}
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
	if !send(n) {
		t.Fatal("the last life: got no answer, want one")
	}
	check := func(what string) {
		t.Helper()
		out, err := s.server.Command(t.Context(), "event", "search", "--data", s.server.Dir, "--all", "--json", "--fields", "id", "--session", "s1")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for line := range bytes.Lines(out) {
			var e struct{ ID string }
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			seen[e.ID]++
		}
		for _, id := range answered {
			if seen[id] != 1 {
				t.Errorf("%s: got event %s %d times, want once", what, id, seen[id])
			}
		}
		if status, body, err := s.server.Call(t.Context(), http.DefaultClient, http.MethodGet, "/v1/events?limit=1&session=s1&total_hits=1000", reader, nil); err != nil || status != http.StatusOK {
			t.Errorf("%s: an application's search: got %d %s %v, want 200", what, status, body, err)
		}
	}
	if len(answered) < 40 || len(slices.Compact(slices.Sorted(slices.Values(answered)))) != len(answered) {
		t.Errorf("got %d answers, want at least 40 different ones", len(answered))
	}
	check("after the kills")
	if _, err := s.server.Command(t.Context(), "event", "reindex", "--data", s.server.Dir); err != nil {
		t.Fatal(err)
	}
	check("built anew")
}
