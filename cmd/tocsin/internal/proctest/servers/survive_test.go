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
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// unlimited is RLIM_INFINITY as the kernel has it.
const unlimited = ^uint64(0)

// station is a server with one push stream and a source.
type station struct {
	server *proctest.Server
	source string
	mu     sync.Mutex
	got    map[string]int // deliveries by txn
	answer func() int
}

func newStation(t *testing.T, args ...string) *station {
	t.Helper()
	s := &station{
		server: proctest.New(t, append(args, "--log-level", "error", "--push-schedule", "20ms,50ms")...),
		got:    map[string]int{}, answer: func() int { return http.StatusAccepted },
	}
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
	sink := httptest.NewServer(http.HandlerFunc(s.sink))
	t.Cleanup(sink.Close)
	var err error
	if s.source, err = s.server.Token(t.Context(), "source", "https://source.example", "events.write"); err != nil {
		t.Fatal(err)
	}
	token, err := s.server.Token(t.Context(), "sink", "https://sink.example", "ssf.manage")
	if err != nil {
		t.Fatal(err)
	}
	status, body, err := s.server.Call(t.Context(), http.DefaultClient, http.MethodPost, "/ssf/streams", token, map[string]any{
		"delivery":         map[string]string{"method": delivery.MethodPush, "endpoint_url": sink.URL},
		"events_requested": []string{caep.SessionRevokedType},
	})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("create stream: got %d %s %v, want 201", status, body, err)
	}
	return s
}

func (s *station) sink(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if status := s.answer(); status != http.StatusAccepted {
		w.WriteHeader(status)
		return
	}
	token, err := set.Parse(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.got[token.TransactionID]++
	s.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// emit sends the n-th event and returns the answer's status, the event's id
// and the Retry-After header.
func (s *station) emit(ctx context.Context, n int) (status int, id, retryAfter string, err error) {
	raw, err := json.Marshal(map[string]any{
		"source_id": fmt.Sprint(n), "type": caep.SessionRevokedType,
		"subject": map[string]string{"format": "email", "email": fmt.Sprintf("u%d@example.com", n)},
		"data":    map[string]any{"reason_admin": map[string]string{"en": strings.Repeat("x", 2000)}},
	})
	if err != nil {
		return 0, "", "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.Issuer+"/v1/events", strings.NewReader(string(raw)))
	if err != nil {
		return 0, "", "", err
	}
	req.Header.Set("Authorization", "Bearer "+s.source)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close() // read to its end
	var answer struct{ ID string }
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == http.StatusAccepted {
		err = json.Unmarshal(body, &answer)
	}
	return resp.StatusCode, answer.ID, resp.Header.Get("Retry-After"), err
}

// arrives waits until every event was delivered.
func (s *station) arrives(t *testing.T, ids []string) {
	t.Helper()
	deadline := time.Now().Add(proctest.Patience)
	for {
		missing := 0
		s.mu.Lock()
		for _, id := range ids {
			if s.got[id] == 0 {
				missing++
			}
		}
		s.mu.Unlock()
		if missing == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d events %d were not delivered", len(ids), missing)
		}
		proctest.Pause(10 * time.Millisecond)
	}
}

// A full disk (a limit on the size of files): 503 with Retry-After, nothing
// half done; once there is room, all goes on.
func TestFullDisk(t *testing.T) {
	s := newStation(t)
	var ids []string
	status, id, _, err := s.emit(t.Context(), 0)
	if err != nil || status != http.StatusAccepted {
		t.Fatalf("before: got %d %v, want 202", status, err)
	}
	ids = append(ids, id)
	limitFiles(t, s.server.Process().Pid, largest(t, s.server.Dir)+64<<10)
	refused := 0
	n := 1
	for ; n < 500 && refused < 10; n++ {
		status, id, retry, err := s.emit(t.Context(), n)
		switch {
		case err != nil:
			t.Fatalf("event %d: %v; the process must live on", n, err)
		case status == http.StatusAccepted:
			ids = append(ids, id)
		case status == http.StatusServiceUnavailable && retry != "":
			refused++
		default:
			t.Fatalf("event %d: got %d with Retry-After %q, want 202, or 503 with one", n, status, retry)
		}
	}
	if refused == 0 {
		t.Fatal("the disk never filled: the test proves nothing")
	}
	limitFiles(t, s.server.Process().Pid, unlimited)
	for again := range n { // all of them, by their source_id
		status, id, _, err := s.emit(t.Context(), again)
		if err != nil || status != http.StatusAccepted {
			t.Fatalf("event %d after the disk has room: got %d %v, want 202", again, status, err)
		}
		ids = append(ids, id)
	}
	distinct := map[string]bool{}
	for _, id := range ids {
		distinct[id] = true
	}
	if len(distinct) != n {
		t.Errorf("ids: got %d, want %d, one for each event", len(distinct), n)
	}
	s.arrives(t, ids)
}

func largest(t *testing.T, dir string) uint64 {
	t.Helper()
	var most uint64
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			most = max(most, uint64(info.Size()))
		}
	}
	return most
}

// limitFiles sets RLIMIT_FSIZE of a running process.
func limitFiles(t *testing.T, pid int, size uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: size, Max: unlimited}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

// SIGTERM under load: refuse, drain, save, exit 0 within the deadline; what
// was answered 202 is delivered, after the next start where need be.
func TestTerminate(t *testing.T) {
	s := newStation(t, "--shutdown-timeout", "10s")
	var (
		mu  sync.Mutex
		ids []string
	)
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			for n := sender; ; n += 4 {
				status, id, _, err := s.emit(context.WithoutCancel(t.Context()), n)
				if err != nil || status != http.StatusAccepted {
					return // it refuses, or is gone
				}
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	proctest.Pause(300 * time.Millisecond)
	if err := s.server.Process().Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.server.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the server did not end within its deadline")
	}
	senders.Wait()
	if code := s.server.ExitCode(); code != 0 {
		t.Errorf("exit code: got %d, want 0", code)
	}
	if len(ids) == 0 {
		t.Fatal("no event was accepted: the test proves nothing")
	}
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
	s.arrives(t, ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.got {
		if n != 1 {
			t.Errorf("%s: got %d deliveries, want 1: a graceful end forgets no answer", id, n)
		}
	}
}
