package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
)

// receiverKey is where a script keeps its receiver.
type receiverKey struct{}

// receiveScript starts a receiver.
func receiveScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("receive cannot be negated: use exits")
	}
	s, _ := ts.Value(receiverKey{}).(*server)
	words := s.start(ts, append([]string{"receive"}, args...))
	ts.Setenv("PUSH", words[2])
	ts.Setenv("RECEIVE_ADMIN", words[3])
}

// hangup makes the receiver read its configuration again and waits until it has.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	s, _ := ts.Value(receiverKey{}).(*server)
	if neg || len(args) > 0 || s.cmd == nil {
		ts.Fatalf("usage: hangup, after receive")
	}
	before := receiverHealth(ts)
	ts.Check(s.cmd.Process.Signal(syscall.SIGHUP))
	for deadline := time.Now().Add(hookPatience); time.Now().Before(deadline); proctest.Pause(20 * time.Millisecond) {
		now := receiverHealth(ts)
		if !now.Loaded.Equal(before.Loaded) || now.Reload != before.Reload {
			return
		}
	}
	ts.Fatalf("the receiver has not read its configuration\n%s", s.logs)
}

func receiverHealth(ts *testscript.TestScript) receive.Health {
	ts.Check(ts.Exec("tocsin", "receive", "health", "--json"))
	var h receive.Health
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &h))
	return h
}

// shutdownReceive ends the receiver and keeps its log.
func shutdownReceive(ts *testscript.TestScript, neg bool, args []string) {
	s, _ := ts.Value(receiverKey{}).(*server)
	if neg || len(args) > 0 || s.cmd == nil {
		ts.Fatalf("usage: shutdown-receive, after receive")
	}
	err := s.end(syscall.SIGTERM)
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), "receive.err"), s.logs.Bytes(), 0o600))
	if err != nil {
		ts.Fatalf("shutdown-receive: got %v, want exit code 0\n%s", err, s.logs)
	}
}

// until runs a command until its output matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[0] != "stdout" {
		ts.Fatalf("usage: until stdout TEXT COMMAND…")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	for deadline := time.Now().Add(hookPatience); time.Now().Before(deadline); proctest.Pause(20 * time.Millisecond) {
		ts.Check(ts.Exec(args[2], args[3:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("got no %s in time", args[1])
}
