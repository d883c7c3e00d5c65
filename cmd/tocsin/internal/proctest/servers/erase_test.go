//go:build linux

package servers_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// An erasure that a kill -9 interrupts, right after it was ordered, once it is
// reported what goes, and when the log has forgotten it but the index has not,
// ends with nothing of the subject in any file; others stay, and so do all proofs.
func TestKilledErase(t *testing.T) {
	s := newStation(t)
	token, err := s.server.Token(t.Context(), "shop", "https://shop.example", "events.write events.read events.erase admin")
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path string, body any) (int, []byte, error) {
		return s.server.Call(t.Context(), http.DefaultClient, method, path, token, body)
	}
	emit := func(who string) {
		t.Helper()
		if status, got, err := call(http.MethodPost, "/v1/events", map[string]any{
			"type": "session.revoked", "session": "s-" + who, "subject": map[string]string{"format": "email", "email": who + "@erase.example"},
		}); err != nil || status != http.StatusAccepted {
			t.Fatalf("emit: got %d %s %v", status, got, err)
		}
	}
	emit("stays")
	for i, point := range []string{"erase.after-order", "erase.after-report", "erase.after-erase"} {
		who := fmt.Sprint("gone", i)
		emit(who)
		s.server.Kill()
		if err := s.server.Start("TOCSIN_CRASH_POINT=" + point); err != nil {
			t.Fatal(err)
		}
		// The answer to the order may not come.
		_, _, _ = call(http.MethodPost, "/v1/erasures", map[string]any{
			"subject": map[string]string{"format": "email", "email": who + "@erase.example"}, "now": true, "reason": "ticket",
		})
		s.server.Crashed(t, point)
		if err := s.server.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(proctest.Patience); traced(t, s.server.Dir, who); proctest.Pause(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: got a trace of the subject in the files, want none", point)
			}
		}
		status, got, err := call(http.MethodGet, "/v1/events?session=s-"+who, nil)
		if err != nil || status != http.StatusOK || bytes.Contains(got, []byte(who)) || !bytes.Contains(got, []byte(`"events":[]`)) {
			t.Errorf("%s: search: got %d %s %v, want nothing", point, status, got, err)
		}
		if status, got, err = call(http.MethodGet, "/v1/erasures", nil); err != nil || status != http.StatusOK || !bytes.Contains(got, []byte(`"erasures":[]`)) {
			t.Errorf("%s: pending: got %d %s %v, want none", point, status, got, err)
		}
	}
	if status, got, err := call(http.MethodGet, "/v1/events?session=s-stays", nil); err != nil || status != http.StatusOK || !bytes.Contains(got, []byte("s-stays")) {
		t.Errorf("another: got %d %s %v, want its event", status, got, err)
	}
	s.server.Kill()
	if out, err := s.server.Command(t.Context(), "event", "verify-log", "--data", s.server.Dir); err != nil {
		t.Errorf("verify-log: got %s %v, want a whole log", out, err)
	}
}

// traced reports whether a text is in a file of a folder.
func traced(t *testing.T, dir, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v (%v), want some", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(text)) {
			return true
		}
	}
	return false
}
