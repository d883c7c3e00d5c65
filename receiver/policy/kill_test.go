package policy_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/receiver/journal/sqlitejournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// What tells the test binary that it is the process to be killed: the folder of its
// journal, and the point at which.
const (
	killedFolder = "TOCSIN_TEST_KILLED_POLICY"
	killedPoint  = "TOCSIN_TEST_KILLED_AT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedFolder); dir != "" {
		err := handleIn(context.Background(), dir, os.Getenv(killedPoint))
		fmt.Fprintln(os.Stderr, "got to the end, want to be killed:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// handleIn handles an event with a durable journal and a hook that writes a line for
// each time it acts; at the named point the process is killed.
func handleIn(ctx context.Context, dir, point string) error {
	j, err := sqlitejournal.Open(ctx, sqlitejournal.Config{Path: filepath.Join(dir, "journal.db")})
	if err != nil {
		return err
	}
	defer func() { _ = j.Close() }()
	rules, err := policy.Load(policy.Known{Hooks: []string{"file"}})
	if err != nil {
		return err
	}
	engine, err := policy.New(policy.Config{
		Rules: rules, Journal: j,
		Hooks: map[string]hooks.Hook{"file": hooks.Func(func(context.Context, hooks.Action) (hooks.Outcome, error) {
			f, err := os.OpenFile(filepath.Join(dir, "acts"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return hooks.Outcome{}, err
			}
			_, err = fmt.Fprintln(f, "ended")
			return hooks.Outcome{Ended: 1}, err
		})},
		Crash: func(at string) {
			if at == point {
				self, _ := os.FindProcess(os.Getpid()) // never fails here
				_ = self.Kill()
				select {}
			}
		},
	})
	if err != nil {
		return err
	}
	return engine.Handle(ctx, revoked("a"))
}

// A kill -9 between the act and its note repeats the act; one behind the note does not.
func TestKilled(t *testing.T) {
	for point, want := range map[string]int{policy.CrashAfterAct: 2, policy.CrashAfterRecord: 1} {
		t.Run(point, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), killedFolder+"="+dir, killedPoint+"="+point)
			if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != -1 {
				t.Fatalf("got %v and %s, want the process killed", err, out)
			}
			if err := handleIn(t.Context(), dir, ""); err != nil {
				t.Fatal(err)
			}
			acts, err := os.ReadFile(filepath.Join(dir, "acts"))
			if got := strings.Count(string(acts), "\n"); err != nil || got != want {
				t.Errorf("got it done %d times (%v), want %d", got, err, want)
			}
			j, err := sqlitejournal.Open(t.Context(), sqlitejournal.Config{Path: filepath.Join(dir, "journal.db")})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = j.Close() }()
			entries, err := j.Of(t.Context(), journal.Event{Issuer: issuer, ID: "a"})
			if err != nil || len(entries) != 1 || entries[0].Verdict != journal.Done {
				t.Errorf("got %+v %v, want it done", entries, err)
			}
		})
	}
}
