package main_test

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Ctrl-C ends a demo with exit code 0.
func TestDemoCtrlC(t *testing.T) {
	path, err := exec.LookPath("tocsin")
	if err != nil {
		t.Fatal(err)
	}
	if err := untilCtrlC(t, exec.Command(path, "demo")); err != nil {
		t.Errorf("got %v, want exit code 0", err)
	}
}

// untilCtrlC runs a demo until it has said all, and ends it as Ctrl-C does:
// its whole process group hears of it. All sessions have then ended, and the
// folder of the demo is gone.
func untilCtrlC(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil { // the test has failed before its end
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	const last, folders = "/jwks.json", "tocsin-demo-*"
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasSuffix(lines.Text(), last) {
			break
		}
	}
	if during, err := filepath.Glob(filepath.Join(dir, folders)); err != nil || len(during) != 1 {
		t.Errorf("got folders %q (%v), want the demo's", during, err)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	_, _ = io.Copy(io.Discard, out)
	err = cmd.Wait()
	if got := strings.Count(said.String(), "has ended  (401)"); got != 6 {
		t.Errorf("got %d sessions that ended, want 6:\n%s%s", got, &said, &errOut)
	}
	if left, err := filepath.Glob(filepath.Join(dir, folders)); err != nil || len(left) > 0 {
		t.Errorf("got folders %q (%v) left behind, want none", left, err)
	}
	return err
}
