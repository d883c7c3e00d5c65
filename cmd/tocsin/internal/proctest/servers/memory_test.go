//go:build linux

package servers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
)

// maxPeak is what a hostile request or receiver may add to the peak of the
// resident memory of the process, in KiB. A body of 200 MiB kept whole, or a few
// endless answers, are far more.
const maxPeak = 96 << 10

// SEC-08: whatever is sent to the transmitter or answered to it, the peak of
// the resident memory of its process stays bounded, and it goes on.
func TestPeakMemory(t *testing.T) {
	h := newHostile(t)
	t.Run("200 MiB", h.hugeBodies)
	t.Run("100,000 deep", h.deepBodies)
	t.Run("endless answers", h.endlessAnswers)
	t.Run("100,000 subjects", h.manySubjects)
}

// hostile is a server under attack by a client with a good token.
type hostile struct {
	server *proctest.Server
	token  string
	client *http.Client
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{
		server: proctest.New(t, "--log-level", "error", "--push-timeout", "1s", "--push-schedule", "100ms"),
		client: &http.Client{Timeout: proctest.Patience},
	}
	if err := h.server.Start(); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.token, err = h.server.Token(t.Context(), "app", "https://app.example", "ssf.manage ssf.read events.write"); err != nil {
		t.Fatal(err)
	}
	h.emit(t, "warm@example.com") // what the first event costs is not what is measured
	return h
}

// during runs an attack and checks what it added to the peak.
func (h *hostile) during(t *testing.T, attack func()) {
	t.Helper()
	status := fmt.Sprintf("/proc/%d/", h.server.Process().Pid)
	if err := os.WriteFile(status+"clear_refs", []byte("5"), 0); err != nil { // the peak is what it is now
		t.Fatal(err)
	}
	before := peak(t, status+"status")
	attack()
	after := peak(t, status+"status")
	t.Logf("peak of resident memory: %d MiB before, %d MiB after", before>>10, after>>10)
	if after > before+maxPeak {
		t.Errorf("SEC-08: the peak of resident memory went from %d to %d MiB, want at most %d MiB more", before>>10, after>>10, maxPeak>>10)
	}
	h.emit(t, "after@example.com")
}

// peak reads VmHWM, in KiB.
func peak(t *testing.T, file string) int {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kib int
	_, line, _ := strings.Cut(string(raw), "VmHWM:")
	if _, err := fmt.Sscanf(line, "%d kB", &kib); err != nil {
		t.Fatalf("got no VmHWM in %s: %v", raw, err)
	}
	return kib
}

func (h *hostile) emit(t *testing.T, email string) {
	t.Helper()
	status, body, err := h.server.Call(t.Context(), h.client, http.MethodPost, "/v1/events", h.token,
		map[string]any{"type": caep.SessionRevokedType, "subject": map[string]string{"format": "email", "email": email}})
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("event: got %d %s %v, want 202", status, body, err)
	}
}

// stream creates a stream with the delivery and returns its id.
func (h *hostile) stream(t *testing.T, how map[string]string) string {
	t.Helper()
	status, body, err := h.server.Call(t.Context(), h.client, http.MethodPost, "/ssf/streams", h.token,
		map[string]any{"delivery": how, "events_requested": []string{caep.SessionRevokedType}})
	var made struct {
		ID string `json:"stream_id"`
	}
	if err != nil || status != http.StatusCreated || json.Unmarshal(body, &made) != nil {
		t.Fatalf("create stream: got %d %s %v, want 201", status, body, err)
	}
	return made.ID
}

// post sends a body as it comes and returns the status, or 0 where the server
// closed the connection before the body's end.
func (h *hostile) post(ctx context.Context, path string, body io.Reader) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.server.Issuer+path, body)
	if err != nil {
		return -1
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close() // its status is all that counts
	return resp.StatusCode
}

// Eight bodies of 200 MiB side by side, a JSON string each, at the route that
// takes the longest bodies and at one that takes short ones.
func (h *hostile) hugeBodies(t *testing.T) {
	h.during(t, func() {
		var all sync.WaitGroup
		for i := range 8 {
			path := []string{"/v1/events", "/ssf/streams"}[i%2]
			all.Go(func() {
				body := io.MultiReader(strings.NewReader(`{"x":"`), io.LimitReader(endless{'x'}, 200<<20), strings.NewReader(`"}`))
				if status := h.post(t.Context(), path, body); status != http.StatusRequestEntityTooLarge && status != 0 {
					t.Errorf("SEC-08 %s: got %d, want 413", path, status)
				}
			})
		}
		all.Wait()
	})
}

// endless reads as one byte for ever.
type endless struct{ b byte }

// Read fills p.
func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.b
	}
	return len(p), nil
}

func (h *hostile) deepBodies(t *testing.T) {
	const deep = 100_000
	h.during(t, func() {
		for _, one := range []string{"[", `{"data":`} {
			for _, path := range []string{"/v1/events", "/ssf/streams", "/ssf/status", "/ssf/subjects/add", "/ssf/verify"} {
				want := func(status int) bool {
					return status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge
				}
				if status := h.post(t.Context(), path, strings.NewReader(strings.Repeat(one, deep))); !want(status) {
					t.Errorf("SEC-08 %s with %s… : got %d, want 400 or 413", path, one, status)
				}
			}
		}
	})
}

// Many streams of receivers that answer without end.
func (h *hostile) endlessAnswers(t *testing.T) {
	const many = 20
	var asked atomic.Int64
	piece := []byte(strings.Repeat("x", 64<<10))
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader([]int{202, 400, 500}[asked.Add(1)%3])
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	t.Cleanup(evil.Close)
	for range many {
		h.stream(t, map[string]string{"method": delivery.MethodPush, "endpoint_url": evil.URL})
	}
	h.during(t, func() {
		for i := range 30 {
			h.emit(t, fmt.Sprintf("u%d@example.com", i))
		}
		deadline := time.Now().Add(proctest.Patience)
		for asked.Load() < 5*many {
			if time.Now().After(deadline) {
				t.Fatalf("got %d requests, want each stream's receiver asked over and over", asked.Load())
			}
			proctest.Pause(10 * time.Millisecond)
		}
	})
}

// A stream with 100,000 subjects: the server reads them at its start.
func (h *hostile) manySubjects(t *testing.T) {
	const many, lanes = 100_000, 250 // lanes share commits
	stream := h.stream(t, map[string]string{"method": delivery.MethodPoll})
	h.restart(t, func() {
		store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(h.server.Dir, "state.db")})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for lane := range lanes {
			all.Go(func() {
				for i := lane * many / lanes; i < (lane+1)*many/lanes; i++ {
					if err := store.Add(t.Context(), stream, subject.Email(fmt.Sprintf("u%d@example.com", i)), 0); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
	// What holds the subjects counts from nothing: against a server that has none.
	bare := proctest.New(t, "--log-level", "error")
	if err := bare.Start(); err != nil {
		t.Fatal(err)
	}
	none := peak(t, fmt.Sprintf("/proc/%d/status", bare.Process().Pid))
	for i := range 50 {
		h.emit(t, fmt.Sprintf("u%d@example.com", i*2000))
	}
	all := peak(t, fmt.Sprintf("/proc/%d/status", h.server.Process().Pid))
	t.Logf("peak of resident memory: %d MiB with a stream of %d subjects, %d MiB without", all>>10, many, none>>10)
	if all > none+maxPeak {
		t.Errorf("SEC-08: got a peak of %d MiB with %d subjects and of %d MiB without, want at most %d MiB more", all>>10, many, none>>10, maxPeak>>10)
	}
}

// restart ends the server, does something with its folder, and starts it again.
func (h *hostile) restart(t *testing.T, between func()) {
	t.Helper()
	if err := h.server.Process().Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-h.server.Done()
	between()
	if err := h.server.Start(); err != nil {
		t.Fatal(err)
	}
}
