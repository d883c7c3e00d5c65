//go:build unix

package exec_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	osexec "os/exec"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/exec"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/message"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

var _ hooks.Hook = (*exec.Hook)(nil)

// play is the variable that makes this test binary the program of a hook.
const play = "HOOK_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(play) != "" {
		os.Exit(program(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// program does what its first argument says.
func program(args []string) int {
	switch args[0] {
	case "ends": // {"ended": as many as there are members in scope}
		var m message.Message
		if err := json.NewDecoder(os.Stdin).Decode(&m); err != nil {
			return exec.ExitData
		}
		_ = json.NewEncoder(os.Stdout).Encode(map[string]int{"ended": len(m.Data.Scope)})
		return 0
	case "env":
		_ = os.WriteFile(args[1], []byte(strings.Join(os.Environ(), "\n")), 0o600)
		return 0
	case "fails":
		_, _ = os.Stderr.WriteString("no database\nsecret\n")
		return map[string]int{"1": 1, "65": exec.ExitData, "75": exec.ExitTempFail}[args[1]]
	case "dies":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "talks":
		for range 1000 {
			_, _ = io.WriteString(os.Stdout, strings.Repeat("x", 4096))
		}
		return 0
	case "leaves": // a child behind, which holds standard output
		child := osexec.Command(os.Args[0], "hang-alone", args[1])
		child.Stdout = os.Stdout
		_ = child.Start()
		if len(args) > 2 {
			return 1
		}
		return 0
	case "hangs": // with a child that hangs as well, and does not mind to be asked to end
		child := osexec.Command(os.Args[0], "hang-alone", args[1])
		child.Stdout = os.Stdout
		_ = child.Start()
		select {}
	case "hang-alone":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		pipe, err := os.OpenFile(args[1], os.O_WRONLY, 0) // held open as long as this process lives
		if err != nil {
			return 1
		}
		_, _ = pipe.WriteString("x")
		select {}
	}
	return 1
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func newHook(t *testing.T, cfg exec.Config, args ...string) *exec.Hook {
	t.Helper()
	cfg.Command = append([]string{self(t)}, args...)
	cfg.Env = map[string]string{play: "1", "TOKEN": "hunter2"}
	h, err := exec.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func action() hooks.Action {
	return hooks.NewAction(receiver.Delivery{
		Issuer: "https://idp.example", ID: "j", Subject: subject.Email("secret-jo@example.com"), EventTime: time.Now(),
	}, "exec", hooks.End)
}

// How a program ends, and what that means.
func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		args      []string
		ended     int
		failed    bool
		permanent bool
	}{
		{[]string{"ends"}, 1, false, false},
		{[]string{"talks"}, hooks.Unknown, false, false},
		{[]string{"fails", "1"}, 0, true, false},
		{[]string{"fails", "75"}, 0, true, false},
		{[]string{"fails", "65"}, 0, true, true},
		{[]string{"dies"}, 0, true, false},
	} {
		var log bytes.Buffer
		got, err := newHook(t, exec.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, tt.args...).Act(t.Context(), action())
		if (err != nil) != tt.failed || receiver.IsPermanent(err) != tt.permanent || got.Ended != tt.ended {
			t.Errorf("%q: got %+v, %v, want %d ended, failed %v, permanent %v", tt.args, got, err, tt.ended, tt.failed, tt.permanent)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "no database")) {
			t.Errorf("%q: got %v, want nothing of what the program said", tt.args, err)
		}
		if tt.args[0] == "fails" && (!strings.Contains(log.String(), "no database") || strings.Contains(log.String(), "secret")) {
			t.Errorf("%q: got the log %s, want the first line of standard error", tt.args, &log)
		}
	}
}

// The environment is what is configured, and nothing of ours.
func TestEnvironment(t *testing.T) {
	t.Setenv("OUR_SECRET", "x")
	file := filepath.Join(t.TempDir(), "env")
	if _, err := newHook(t, exec.Config{}, "env", file).Act(t.Context(), action()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(string(text), "\n")
	slices.Sort(got)
	if want := []string{play + "=1", "PATH=/usr/local/bin:/usr/bin:/bin", "TOKEN=hunter2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// At the deadline the program is killed, and its children with it.
func TestDeadline(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := newHook(t, exec.Config{}, "hangs", fifo).Act(ctx, action())
		ended <- err
	}()
	pipe, err := os.Open(fifo) // waits for the child
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pipe.Close() }()
	one := make([]byte, 1)
	if _, err := io.ReadFull(pipe, one); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err == nil || receiver.IsPermanent(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want an error to try again", err)
	}
	if rest, err := io.ReadAll(pipe); err != nil || len(rest) > 0 { // ends once the child has
		t.Errorf("got %q, %v of the child, want its end", rest, err)
	}
}

// A program that is done is done, whatever it leaves behind; that is killed, and so is
// what one leaves that failed, else it would pile up with each attempt.
func TestChildren(t *testing.T) {
	for _, args := range [][]string{{"leaves"}, {"leaves", "fails"}} {
		fifo := filepath.Join(t.TempDir(), "alive")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := newHook(t, exec.Config{}, append([]string{args[0], fifo}, args[1:]...)...).Act(t.Context(), action())
			ended <- err
		}()
		pipe, err := os.Open(fifo)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(pipe); err != nil { // to the child's end
			t.Fatal(err)
		}
		_ = pipe.Close()
		if err := <-ended; (err != nil) != (len(args) > 1) {
			t.Errorf("%q: got %v, want an error only if it fails", args, err)
		}
	}
}

func TestConfig(t *testing.T) {
	_, err := exec.New(exec.Config{Command: []string{"sh", "-c", "\x00"}, Env: map[string]string{"A=B": "x"}, Dir: "here", Timeout: -1, Effects: []hooks.Effect{"kill"}})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"command:", "zero byte", "env:", "dir:", "timeout:", "effects:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	if _, err := exec.New(exec.Config{Command: []string{"/nowhere/program"}}); err == nil {
		t.Error("got no error for a program that is not there, want one")
	}
	h := newHook(t, exec.Config{Effects: []hooks.Effect{hooks.Notify}}, "ends")
	if _, err := h.Act(t.Context(), action()); !errors.Is(err, hooks.ErrNotApplicable) {
		t.Errorf("another effect: got %v, want %v", err, hooks.ErrNotApplicable)
	}
}
