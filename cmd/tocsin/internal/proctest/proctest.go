// Package proctest runs the real binary as real processes, for tests that kill them. Those
// tests are packages below it, which go test runs side by side: a test of the binary waits
// more than it works.
package proctest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// StartTime bounds the start of a server, on a machine that is busy with
// other tests.
const StartTime = 60 * time.Second

// Server is a `tocsin serve` on one data folder and one port, over several lives.
type Server struct {
	Dir    string
	Listen string
	Args   []string // further flags
	Issuer string
	Admin  string // address of the admin listener of this life
	File   string // of a receiver: its configuration, in Dir
	Secure bool   // of a transmitter: served by https, with the CA of its folder
	// Said gets all that the process prints; nil: it is let go of but for its end.
	Said io.Writer

	binary string
	cmd    *exec.Cmd
	done   chan struct{}
	logs   *tail
}

// New returns a server that is not started, on a free port.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := &Server{binary: Binary(t), Dir: t.TempDir(), Listen: address, Args: args, Issuer: "http://" + address, logs: &tail{}}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the server's last words:\n%s", s.logs)
		}
	})
	return s
}

// NewReceiver returns a `tocsin receive` that is not started, on a free port, with a
// configuration to which its address is added. Issuer is its own address.
func NewReceiver(t testing.TB, config string) *Server {
	t.Helper()
	s := New(t)
	s.File = filepath.Join(s.Dir, "receive.yaml")
	s.Configure(t, config)
	return s
}

// Configure writes another configuration of a receiver.
func (s *Server) Configure(t testing.TB, config string) {
	t.Helper()
	text := "listen: " + s.Listen + "\ninsecure_loopback: true\ndata: data\n" + config
	if err := os.WriteFile(s.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Start starts the server and waits for its ready line. env are further
// variables, such as TOCSIN_CRASH_POINT=….
func (s *Server) Start(env ...string) error {
	args := append([]string{"serve", "--data", s.Dir, "--listen", s.Listen}, s.Args...)
	if s.Secure {
		s.Issuer = "https://" + s.Listen
	} else {
		args = append(args, "--insecure-loopback")
	}
	if s.File != "" {
		args = append([]string{"receive", "--config", s.File}, s.Args...)
	}
	s.cmd = exec.Command(s.binary, args...)
	s.cmd.Env = append(os.Environ(), env...)
	said := s.Said
	if said == nil {
		said = io.Discard
	}
	s.cmd.Stderr = io.MultiWriter(s.logs, said)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan string, 1)
	done := make(chan struct{})
	s.done = done
	go func() {
		lines := bufio.NewReader(out)
		line, _ := lines.ReadString('\n')
		ready <- line
		_, _ = io.Copy(said, lines)
		_ = s.cmd.Wait()
		close(done)
	}()
	select {
	case line := <-ready:
		words := strings.Fields(line)
		if len(words) != 4 || words[1] != "ready" {
			s.Kill()
			return fmt.Errorf("the server's first line is %q\n%s", line, s.logs)
		}
		s.Admin = words[3]
		return nil
	case <-time.After(StartTime):
		s.Kill()
		return errors.New("the server did not start in time")
	}
}

// Kill ends the process at once (kill -9) and waits until it is gone.
func (s *Server) Kill() {
	if s.cmd == nil || s.done == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Process is the running process.
func (s *Server) Process() *os.Process { return s.cmd.Process }

// ExitCode returns the exit code after Done.
func (s *Server) ExitCode() int { return s.cmd.ProcessState.ExitCode() }

// Command runs another command of the binary and returns its output.
func (s *Server) Command(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, s.binary, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, fmt.Errorf("tocsin %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

// Token adds a static client of the audience and returns its access token.
func (s *Server) Token(ctx context.Context, id, audience, scope string) (string, error) {
	out, err := s.Command(ctx, "client", "add", "--data", s.Dir, "--id", id, "--audience", audience, "--scope", scope, "--static")
	if err != nil {
		return "", err
	}
	var made struct {
		AccessToken string `json:"access_token"`
	}
	return made.AccessToken, json.Unmarshal(out, &made)
}

// Call makes one request and returns status and body. A nil body sends none.
func (s *Server) Call(ctx context.Context, client *http.Client, method, path, token string, body any) (int, []byte, error) {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = strings.NewReader(string(raw))
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Issuer+path, reader)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() // read to its end
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, raw, err
}

// tail keeps the end of what a process says.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 16 << 10

// Write appends p.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
