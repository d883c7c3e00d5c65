package servers_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// What was answered with success is there after a kill -9 that follows at once
// (contracts.md §7): management of streams, clients and keys.
func TestKilledAfterAnswer(t *testing.T) {
	s := proctest.New(t, "--default-subjects", "NONE", "--log-level", "error")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	again := func() {
		t.Helper()
		s.Kill()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	token, err := s.Token(t.Context(), "app", "https://app.example", "ssf.manage ssf.read events.write")
	if err != nil {
		t.Fatal(err)
	}
	call := func(want int, method, path string, body any) string {
		t.Helper()
		status, got, err := s.Call(t.Context(), http.DefaultClient, method, path, token, body)
		if err != nil || status != want {
			t.Fatalf("%s %s: got %d %s %v, want %d", method, path, status, got, err, want)
		}
		return string(got)
	}
	again() // the client stays
	var made struct {
		ID string `json:"stream_id"`
	}
	created := call(http.StatusCreated, http.MethodPost, "/ssf/streams", map[string]any{
		"delivery": map[string]string{"method": delivery.MethodPoll}, "events_requested": []string{caep.SessionRevokedType},
	})
	if err := json.Unmarshal([]byte(created), &made); err != nil {
		t.Fatal(err)
	}
	again()
	call(http.StatusOK, http.MethodPatch, "/ssf/streams", map[string]string{"stream_id": made.ID, "description": "changed"})
	again()
	if got := call(http.StatusOK, http.MethodGet, "/ssf/streams?stream_id="+made.ID, nil); !strings.Contains(got, `"changed"`) {
		t.Errorf("after a change: got %s", got)
	}
	jo := map[string]string{"format": "email", "email": "jo@example.com"}
	call(http.StatusOK, http.MethodPost, "/ssf/subjects/add", map[string]any{"stream_id": made.ID, "subject": jo})
	again()
	call(http.StatusOK, http.MethodPost, "/ssf/status", map[string]string{"stream_id": made.ID, "status": "paused"})
	again()
	if got := call(http.StatusOK, http.MethodGet, "/ssf/status?stream_id="+made.ID, nil); !strings.Contains(got, `"paused"`) {
		t.Errorf("after a pause: got %s", got)
	}
	call(http.StatusOK, http.MethodPost, "/ssf/status", map[string]string{"stream_id": made.ID, "status": "enabled"})
	call(http.StatusAccepted, http.MethodPost, "/v1/events", map[string]any{"type": caep.SessionRevokedType, "subject": jo})
	again()
	if got := call(http.StatusOK, http.MethodPost, "/ssf/poll/"+made.ID, map[string]any{}); !strings.Contains(got, `:"ey`) {
		t.Errorf("an event about the added subject: got %s, want its SET", got)
	}
	rotated, err := s.Command(t.Context(), "key", "rotate", "--data", s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	again()
	var key struct {
		ID string `json:"kid"`
	}
	if err := json.Unmarshal(rotated, &key); err != nil || !strings.Contains(call(http.StatusOK, http.MethodGet, "/jwks.json", nil), key.ID) {
		t.Errorf("after a rotation to %q (%v): got no such key in the JWKS", key.ID, err)
	}
	call(http.StatusNoContent, http.MethodDelete, "/ssf/streams?stream_id="+made.ID, nil)
	again()
	call(http.StatusNotFound, http.MethodGet, "/ssf/streams?stream_id="+made.ID, nil)
	if _, err := s.Command(t.Context(), "client", "remove", "--data", s.Dir, "app"); err != nil {
		t.Fatal(err)
	}
	again()
	call(http.StatusUnauthorized, http.MethodGet, "/ssf/streams", nil)
}
