package servers_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// What a server did is in its folder after its end, and the next one adds to it.
func TestFiguresOverARestart(t *testing.T) {
	t.Parallel()
	s := proctest.New(t, "--log-level", "error")
	token := ""
	for life := 1; life <= 2; life++ {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		call := func(want int, method, path string, body any) []byte {
			t.Helper()
			status, got, err := s.Call(t.Context(), http.DefaultClient, method, path, token, body)
			if err != nil || status != want {
				t.Fatalf("%s %s: got %d %s %v, want %d", method, path, status, got, err, want)
			}
			return got
		}
		if token == "" {
			var err error
			if token, err = s.Token(t.Context(), "app", "https://app.example", "ssf.manage ssf.read events.write"); err != nil {
				t.Fatal(err)
			}
			call(http.StatusCreated, http.MethodPost, "/ssf/streams", map[string]any{
				"delivery": map[string]string{"method": delivery.MethodPoll}, "events_requested": []string{caep.SessionRevokedType},
			})
		}
		jo := map[string]string{"format": "email", "email": "jo@example.com"}
		for range 3 {
			call(http.StatusAccepted, http.MethodPost, "/v1/events", map[string]any{"type": caep.SessionRevokedType, "subject": jo})
		}
		var list []struct {
			ID string `json:"stream_id"`
		}
		if err := json.Unmarshal(call(http.StatusOK, http.MethodGet, "/ssf/streams", nil), &list); err != nil || len(list) != 1 {
			t.Fatalf("got %v %v, want one stream", list, err)
		}
		admin := adminapi.Server(t.Context(), s.Dir)
		proctest.Eventually(t, "the events are on the queue", func() bool {
			var stream struct{ Queued int }
			return admin.Do(t.Context(), http.MethodGet, "/admin/streams/"+list[0].ID, nil, &stream) == nil && stream.Queued == 3*life
		})
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
		call(http.StatusOK, http.MethodPost, "/ssf/poll/"+list[0].ID, map[string]any{"maxEvents": 1})
		if err := s.Process().Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		usual, _ := figures.RangeOf("")
		r := figures.New(figures.Config{
			Path: filepath.Join(s.Dir, "figures.bin"), Gatherer: prometheus.NewRegistry(), Figures: figures.Transmitter(), Logger: slog.New(slog.DiscardHandler),
		}).Read(usual)
		if got := r.Total("events"); got != float64(3*life) {
			t.Errorf("life %d: got %v events, want %d", life, got, 3*life)
		}
		if got := r.Total("polled"); got != float64(life) {
			t.Errorf("life %d: got %v SETs out, want %d", life, got, life)
		}
		if got := r.Now("waiting"); got != float64(3*life) {
			t.Errorf("life %d: got %v waiting, want %d", life, got, 3*life)
		}
	}
}
