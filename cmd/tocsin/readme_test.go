package main_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the folder of the README.
const root = "../.."

// readme returns the README and its code of one language, block by block.
func readme(t *testing.T, language string) (text string, blocks []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "```")
	for i := 1; i < len(parts); i += 2 {
		if code, ok := strings.CutPrefix(parts[i], language+"\n"); ok {
			blocks = append(blocks, code)
		}
	}
	return string(raw), blocks
}

// Every command of the README is run, in order: the demo until it has said
// all, the server beside the rest. `make test` is what runs this.
func TestReadmeCommands(t *testing.T) {
	needCurl(t)
	_, blocks := readme(t, "sh")
	var tour strings.Builder
	ran := map[string]bool{}
	w := &walk{dir: t.TempDir(), port: freePort(t)}
	for _, block := range blocks {
		for line := range strings.Lines(block) {
			switch command := strings.TrimSpace(line); command {
			case "go run ./cmd/tocsin demo":
				cmd := exec.Command("go", "run", "./cmd/tocsin", "demo")
				cmd.Dir = root
				_ = untilCtrlC(t, cmd) // whatever it runs, go itself answers Ctrl-C with 1
			case "make test":
			case "go build -o bin/tocsin ./cmd/tocsin":
				build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(w.dir, "bin/tocsin"), "./cmd/tocsin")
				build.Dir = root
				if out, err := build.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", command, err, out)
				}
			case "bin/tocsin serve":
				w.serve(t)
			default:
				tour.WriteString(line)
				continue
			}
			ran[strings.TrimSpace(line)] = true
		}
	}
	for _, command := range []string{"go run ./cmd/tocsin demo", "make test", "bin/tocsin serve"} {
		if !ran[command] {
			t.Errorf("got no line %q in the README, want one", command)
		}
	}
	out := w.run(t, tour.String())
	for _, want := range []string{`"id": "`, `"verified": true`, `"email": "jo@example.com"`, "/console/", "session-revoked", " ok ", " log "} {
		if !strings.Contains(out, want) {
			t.Errorf("the tour: got no %s in\n%s", want, out)
		}
	}
}

// walk is the tour in a folder of its own, on a free port instead of 8443.
type walk struct{ dir, port string }

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

// serve starts the server, which ends with the test.
func (w *walk) serve(t *testing.T) {
	t.Helper()
	cmd := exec.Command("bin/tocsin", "serve")
	cmd.Dir, cmd.Env = w.dir, append(os.Environ(), "TOCSIN_LISTEN=127.0.0.1:"+w.port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve, ended by Ctrl-C: got %v, want exit code 0", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := "tocsin: ready https://127.0.0.1:" + w.port + " "; err != nil || !strings.HasPrefix(line, want) {
		t.Fatalf("serve: got %q (%v), want %q", line, err, want)
	}
}

// run runs the tour in one shell, as somebody would.
func (w *walk) run(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Dir, cmd.Stdin = w.dir, strings.NewReader(strings.NewReplacer("8443", w.port, "8444", freePort(t)).Replace(script))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour: got %v\n%s\n%s", err, script, out)
	}
	return string(out)
}

// The receiver in the README is the package's own example, which compiles and runs.
func TestReadmeReceiver(t *testing.T) {
	_, blocks := readme(t, "go")
	if len(blocks) != 1 {
		t.Fatalf("got %d blocks of Go, want 1", len(blocks))
	}
	example, err := os.ReadFile(filepath.Join(root, "receiver/example_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	at := string(example)
	for line := range strings.Lines(blocks[0]) {
		line = strings.TrimSpace(line)
		i := strings.Index(at, line)
		if i < 0 {
			t.Fatalf("got a line that is not in the example, or not in this order: %s", line)
		}
		at = at[i+len(line):]
	}
}

// Every link within the project leads somewhere.
func TestReadmeLinks(t *testing.T) {
	text, _ := readme(t, "")
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 10 {
		t.Errorf("got %d links, want a list", len(links))
	}
	for _, link := range links {
		if strings.HasPrefix(link[1], "https://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, link[1])); err != nil {
			t.Errorf("got a dead link: %v", err)
		}
	}
}
