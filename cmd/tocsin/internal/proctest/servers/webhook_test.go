package servers_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/caep"
)

// hookStorm is the receiver of one webhook through several lives of the server.
type hookStorm struct {
	mu    sync.Mutex
	order []string // ids, by first acceptance
}

func (h *hookStorm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if rand.IntN(20) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	h.mu.Lock()
	defer h.mu.Unlock()
	for dec.More() {
		var one struct{ ID string }
		if dec.Decode(&one) != nil {
			break
		}
		if !slices.Contains(h.order, one.ID) {
			h.order = append(h.order, one.ID)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *hookStorm) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.order)
}

// A webhook's queue outlives kill -9 at any point, one by one and in batches:
// every event that was answered 202 arrives, those about one subject in their
// order, and a webhook that was answered 201 is there.
func TestWebhooksOutliveKills(t *testing.T) {
	server := proctest.New(t, "--push-schedule", "20ms")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), "shop", "https://shop.example", "events.write webhooks.manage")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Second}
	storms := map[string]*hookStorm{"event": {}, "ndjson": {}}
	for format, storm := range storms {
		sink := httptest.NewServer(storm)
		t.Cleanup(sink.Close)
		ask := map[string]any{"url": sink.URL, "format": format}
		if format == "ndjson" {
			ask["batch"] = map[string]int{"events": 5, "seconds": 1}
		}
		if status, body, err := server.Call(t.Context(), client, http.MethodPost, "/v1/webhooks", token, ask); err != nil || status != http.StatusCreated {
			t.Fatalf("%s: got %d %s %v, want 201", format, status, body, err)
		}
	}
	points := []string{
		"fanout.before-put", "fanout.after-put", "push.before-post", "push.after-post", "push.before-settle", "push.after-settle", "",
	}
	var sent []string
	for round, point := range points {
		server.Kill()
		env := []string{}
		if point != "" {
			env = append(env, fmt.Sprintf("TOCSIN_CRASH_POINT=%s:%d", point, 3))
		}
		if err := server.Start(env...); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 20; n++ {
			event := map[string]any{
				"source_id": fmt.Sprintf("%d-%d", round, n), "type": caep.SessionRevokedType,
				"subject": map[string]string{"format": "email", "email": "jo@example.com"},
			}
			status, body, err := server.Call(t.Context(), client, http.MethodPost, "/v1/events", token, event)
			if err != nil || status != http.StatusAccepted {
				if point == "" {
					t.Fatalf("got %d %s %v, want 202", status, body, err)
				}
				<-server.Done() // it has died; what was answered counts
				break
			}
			var answer struct{ ID string }
			if err := json.Unmarshal(body, &answer); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, answer.ID)
		}
		if point == "" {
			break
		}
		select {
		case <-server.Done():
		case <-time.After(proctest.Patience):
			t.Errorf("the server did not come to %s", point)
		}
	}
	for format, storm := range storms {
		deadline := time.Now().Add(proctest.Patience)
		has := func() bool {
			got := storm.got()
			return !slices.ContainsFunc(sent, func(id string) bool { return !slices.Contains(got, id) })
		}
		for !has() && time.Now().Before(deadline) {
			proctest.Pause(20 * time.Millisecond)
		}
		got := slices.DeleteFunc(storm.got(), func(id string) bool { return !slices.Contains(sent, id) }) // one that died unanswered may be there
		if !slices.Equal(got, sent) {
			t.Errorf("%s: got %d events, want the %d that were taken, in their order", format, len(got), len(sent))
		}
	}
}
