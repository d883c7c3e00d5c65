package sqliteinbox_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
)

// killedFolder tells the test binary that it is the process to be killed.
const killedFolder = "TOCSIN_TEST_KILLED_INBOX"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedFolder); dir != "" {
		appendForEver(dir)
	}
	os.Exit(m.Run())
}

// appendForEver prints each id once its message is durably in the inbox.
func appendForEver(dir string) {
	ctx := context.Background()
	in, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	for n := 0; err == nil; n++ {
		id := fmt.Sprint("m", n)
		if _, err = in.Append(ctx, message(id)); err == nil {
			_, err = fmt.Println(id)
		}
		if n == 3 { // and one is at its hook
			_, err = in.Take(ctx, "f", 1)
		}
	}
	os.Exit(1)
}

// PUSH-2-04: what was acknowledged survives a kill -9, and so does what was at a hook.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killedFolder+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		acknowledged = append(acknowledged, strings.TrimSpace(lines.Text()))
		if len(acknowledged) == 50 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if len(acknowledged) < 50 {
		t.Fatalf("got %d acknowledged, want at least 50", len(acknowledged))
	}
	in := open(t, sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	defer func() { _ = in.Close() }()
	taken, err := in.Take(t.Context(), "f", 10*len(acknowledged))
	if err != nil {
		t.Fatal(err)
	}
	kept := make(map[string]bool)
	for _, m := range taken {
		kept[m.ID] = true
	}
	for _, id := range acknowledged {
		if !kept[id] {
			t.Errorf("got %s lost, want it kept: it was acknowledged", id)
		}
	}
}
