package nodes_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// What a command does is in the log with its user and process, on the socket of a server
// and on a folder that it opens itself, and the log is verified with it.
func TestAudit(t *testing.T) {
	s := proctest.New(t, "--log-level", "error")
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context(), "app", "https://app.example", "ssf.read"); err != nil {
		t.Fatal(err)
	}
	checkAct(t, s, "client.add", "socket", "--data", s.Dir)
	s.Kill()
	if _, err := s.Command(t.Context(), "key", "rotate", "--data", s.Dir); err != nil {
		t.Fatal(err)
	}
	checkAct(t, s, "key.rotate", "command", "--data", s.Dir)
	if out, err := s.Command(t.Context(), "event", "verify-log", "--data", s.Dir); err != nil {
		t.Errorf("verify-log: got %s (%v)", out, err)
	}
}

// On Redis what was done at one node is listed at the other.
func TestAuditOnNodes(t *testing.T) {
	nodes := startNodes(t, "redis://"+redistest.StartDurable(t).Addr, 2)
	if _, err := nodes[0].Token(t.Context(), "app", "https://app.example", "ssf.read"); err != nil {
		t.Fatal(err)
	}
	checkAct(t, nodes[1], "client.add", "socket", "--data", nodes[1].Dir)
}

func checkAct(t *testing.T, s *proctest.Server, name, from string, store ...string) {
	t.Helper()
	raw, err := s.Command(t.Context(), append([]string{"audit", "--act", name, "--json"}, store...)...)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Act, From, Outcome string
		By                 struct{ UID, PID int }
		Objects            map[string]string
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatalf("got %s (%v)", raw, err)
	}
	if len(list) != 1 {
		t.Fatalf("%s: got %d acts, want 1: %s", name, len(list), raw)
	}
	got := list[0]
	if got.From != from || got.Outcome != "done" || got.By.UID != os.Getuid() || got.By.PID == 0 || got.By.PID == os.Getpid() || len(got.Objects) == 0 {
		t.Errorf("%s: got %s, want %s from %s by this user's own process", name, raw, "done", from)
	}
}
