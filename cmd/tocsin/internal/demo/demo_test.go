package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/demo"
)

// steps are what a whole story shows, in order, with the status that shows it.
func steps() []demo.Step {
	all := []demo.Step{{Name: "transmitter", Status: 200}}
	for _, i := range []struct{ name, user string }{{"idme-suspension", "jo"}, {"onelogin-lock", "max"}, {"session-revoked", "ana"}} {
		all = append(all,
			demo.Step{Name: "shop-session-" + i.user, Status: 200}, demo.Step{Name: "mail-session-" + i.user, Status: 200},
			demo.Step{Name: i.name, Status: 202},
			demo.Step{Name: "shop-ended-" + i.user, Status: 401}, demo.Step{Name: "mail-ended-" + i.user, Status: 401})
	}
	return append(all, demo.Step{Name: "shop-session-kim", Status: 200})
}

// parse reads steps as --json prints them.
func parse(t *testing.T, lines []byte) []demo.Step {
	t.Helper()
	var all []demo.Step
	for line := range bytes.Lines(lines) {
		var s demo.Step
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("got a line that is not JSON: %s (%v)", line, err)
		}
		all = append(all, s)
	}
	return all
}

// private gives the demo a folder of temporary files that the test can look into.
func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("got %v left behind (%v), want nothing", left, err)
	}
}

// The whole story is seen, from outside, in the order it is told, while a newcomer
// still looks.
func TestOnce(t *testing.T) {
	dir := private(t)
	var out bytes.Buffer
	began := time.Now()
	if err := demo.Run(t.Context(), demo.Config{Out: &out, JSON: true, Once: true}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("got the story after %v, want it within 20 seconds", took)
	}
	got, want := parse(t, out.Bytes()), steps()
	if len(got) != len(want) {
		t.Fatalf("got %d steps, want %d:\n%s", len(got), len(want), &out)
	}
	for i, s := range got {
		if s.Name != want[i].Name || s.Status != want[i].Status || s.Text == "" {
			t.Errorf("step %d: got %+v, want %s with status %d", i, s, want[i].Name, want[i].Status)
		}
		if ofEvent := s.Status != 200; ofEvent == (s.SinceEvent < 0) {
			t.Errorf("step %d: got %v ms since the event, want a time only of what follows one", i, s.SinceEvent)
		}
	}
	empty(t, dir)
}

func TestText(t *testing.T) {
	var out strings.Builder
	if err := demo.Run(t.Context(), demo.Config{Out: &out, Once: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(out.String(), "\n"), len(steps()); got != want {
		t.Errorf("got %d lines, want %d:\n%s", got, want, &out)
	}
	for _, want := range []string{" ms  ID.me suspends Jo's account", "Max's session at mail has ended  (401)", "Kim is logged in at shop  (200)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got no %q in:\n%s", want, &out)
		}
	}
}

// Without any one part the story must fail, and at the step that needs it:
// else it would be told, not seen.
func TestCut(t *testing.T) {
	for cut, step := range map[string]string{"push": "shop-ended-jo", "poll": "mail-ended-jo", "hook": "shop-ended-jo"} {
		t.Run(cut, func(t *testing.T) {
			dir := private(t)
			var out bytes.Buffer
			err := demo.Run(t.Context(), demo.Config{Out: &out, JSON: true, Once: true, Cut: cut, Patience: time.Second})
			if err == nil || !strings.Contains(err.Error(), step) {
				t.Errorf("got %v, want a failure at %s", err, step)
			}
			if got := parse(t, out.Bytes()); len(got) >= len(steps()) {
				t.Errorf("got %d steps, want fewer than %d", len(got), len(steps()))
			}
			empty(t, dir)
		})
	}
}

// story is a demo that stays up.
type story struct {
	stop context.CancelFunc
	done chan error
	text string
}

// last is the line that ends what a demo says.
const last = "/jwks.json\n"

// start runs a demo until it has said all.
func start(t *testing.T) *story {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out := &said{until: last, all: make(chan struct{})}
	s := &story{stop: stop, done: make(chan error, 1)}
	go func() { s.done <- demo.Run(ctx, demo.Config{Out: out}) }()
	select {
	case <-out.all:
	case err := <-s.done:
		t.Fatalf("got an end (%v), want a demo that stays up", err)
	}
	s.text = out.String()
	return s
}

// said keeps what is written and tells when the end is there.
type said struct {
	until string
	all   chan struct{}
	mu    sync.Mutex
	text  strings.Builder
}

// Write appends p.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if strings.HasSuffix(s.text.String(), s.until) {
		close(s.all)
	}
	return len(p), nil
}

// String returns what was written.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// The lines to try next do what they promise: Kim is in, the event is taken,
// Kim is out. Then Ctrl-C ends the demo, which leaves nothing behind.
func TestTryNext(t *testing.T) {
	dir := private(t)
	s := start(t)
	_, lines, ok := strings.Cut(s.text, "Try:\n")
	if !ok {
		t.Fatalf("got nothing to try:\n%s", s.text)
	}
	commands := strings.Split(strings.TrimSpace(strings.ReplaceAll(lines, "\\\n", " ")), "\n")
	wants := []string{"200 OK", "202 Accepted", "401 Unauthorized", `"configuration_endpoint"`, `"keys"`}
	if len(commands) != len(wants) {
		t.Fatalf("got %d lines to try, want %d:\n%s", len(commands), len(wants), lines)
	}
	for i, want := range wants {
		until(t, commands[i], want)
	}
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("after the end of its context: got %v, want nil", err)
	}
	empty(t, dir)
}

// until runs a line in a shell until its output has want: what follows an
// event follows soon, not at once.
func until(t *testing.T, line, want string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(line, "curl ", "curl -s ", 1)).Output()
		if err == nil && strings.Contains(string(out), want) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: got %s (%v), want %s", line, out, err, want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A demo that is ended before its story is: nil where it has no end of its
// own, an error with Once, which promises every step.
func TestInterrupted(t *testing.T) {
	for _, once := range []bool{false, true} {
		dir := private(t)
		ctx, stop := context.WithCancel(t.Context())
		err := demo.Run(ctx, demo.Config{Out: &interrupter{stop}, Once: once})
		if (err != nil) != once {
			t.Errorf("once %t: got %v, want an error %t", once, err, once)
		}
		empty(t, dir)
		err = demo.Run(ctx, demo.Config{Out: io.Discard, Once: once})
		if (err != nil) != once {
			t.Errorf("once %t, from the beginning: got %v, want an error %t", once, err, once)
		}
		empty(t, dir)
	}
}

// interrupter ends the demo at its first word.
type interrupter struct{ stop context.CancelFunc }

// Write ends it.
func (i *interrupter) Write(p []byte) (int, error) {
	i.stop()
	return len(p), nil
}
