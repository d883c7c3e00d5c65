package guides_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// root is the folder of the project.
const root = "../../../../.."

// Each guide is tried from an empty folder, as a new user would: its commands in their
// order, in one shell, and what it promises is seen.
func TestGuides(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		page     string
		programs []string // examples that it runs
		want     []string
	}{
		{"first-session.md", nil, []string{"0 fail", "the session is good", "401", "session-revoked", " ok "}},
		{"embed.md", []string{"receiver/examples/webapp"}, []string{"hello jo@example.com", "sessions ended: 1", "log in again"}},
		{"send.md", []string{"transmitter/examples/send"}, []string{`"kept":1`, "idme:session.signout", "onelogin:7", "fingerprint:", "account.suspended"}},
		{"security-privacy.md", nil, []string{"until released", "  grant  ", "case 4711", " is done: 1 events", "subject.erase", "consent.decide"}},
	} {
		t.Run(tt.page, func(t *testing.T) {
			t.Parallel()
			dir := private(t)
			bin := filepath.Join(dir, "bin")
			if err := os.Mkdir(bin, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(proctest.Binary(t), filepath.Join(bin, "tocsin")); err != nil {
				t.Fatal(err)
			}
			for _, program := range tt.programs {
				build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "./"+program)
				build.Dir = root
				if out, err := build.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", program, err, out)
				}
			}
			out := shell(t, dir, strings.Join(blocks(t, filepath.Join("guides", tt.page)), "\n"))
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("got no %s in\n%s", want, out)
				}
			}
		})
	}
}

// blocks are the commands of a page of docs/.
func blocks(t *testing.T, page string) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "```")
	for i := 1; i < len(parts); i += 2 {
		if code, ok := strings.CutPrefix(parts[i], "sh\n"); ok {
			out = append(out, code)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s: got no commands, want some", page)
	}
	return out
}

// guideTime bounds a guide, on a machine that is busy with other tests.
const guideTime = 3 * time.Minute

// shell runs a script in a folder, on free ports in place of those of the page. What it
// starts ends with it.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guideTime)
	defer cancel()
	port := freePort(t)
	ports := strings.NewReplacer(
		"tocsin serve > ", "tocsin serve --listen 127.0.0.1:"+port+" > ", "127.0.0.1:8443", "127.0.0.1:"+port,
		"8444", freePort(t), "127.0.0.1:9000", "127.0.0.1:"+freePort(t), "127.0.0.1:8080", "127.0.0.1:"+freePort(t),
	)
	cmd := exec.CommandContext(ctx, "bash", "-eu")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir}
	cmd.Stdin = strings.NewReader("trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n" + ports.Replace(script))
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		logs := ""
		for _, name := range []string{"serve.log", "receive.log"} {
			raw, _ := os.ReadFile(filepath.Join(dir, name))
			logs += "\n" + name + ":\n" + string(raw)
		}
		t.Fatalf("got %v\n%s%s", err, out, logs)
	}
	return string(out)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
