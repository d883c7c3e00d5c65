package redistest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Ports are taken below those that Linux gives to outgoing connections (32768 and
// above), the cluster's own too, which are 10000 above: a server can start again at its
// port.
const (
	lowestPort  = 11000
	highestPort = 22000
	busPort     = 10000
)

// launches is how often a server is started where another took its port meanwhile.
const launches = 5

// maxLog bounds what is kept of a server's log, for the failure that shows it.
const maxLog = 8 << 10

// find returns redis-server.
func find() (path string, ok bool) {
	path, err := exec.LookPath("redis-server")
	return path, err == nil
}

// skip skips the test, and fails it where TOCSIN_CI or CI is set.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED, not tested: " + why)
}

// require returns redis-server, or skips the test: what needs several of them.
func require(t testing.TB) string {
	t.Helper()
	path, ok := find()
	if !ok {
		skip(t, "redis-server is not installed (Debian package redis-server)")
	}
	return path
}

// startProcess starts redis-server on a free port.
func startProcess(t testing.TB, path string, args ...string) *Server {
	t.Helper()
	var err error
	for range launches {
		port := freePort(t)
		p := newProcess(path, append([]string{
			"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(),
			"--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "notice",
			"--repl-diskless-sync-delay", "0",
		}, args...), "Ready to accept connections")
		if err = p.launch(); err == nil {
			t.Cleanup(p.kill)
			return &Server{Addr: net.JoinHostPort("127.0.0.1", port), proc: p}
		}
		if !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	t.Fatal(err)
	return nil
}

// process is a program that is started, killed by its id, and started again.
type process struct {
	args  []string
	ready string // the line that says it is

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
	lines []string
}

func newProcess(path string, args []string, ready string) *process {
	return &process{args: append([]string{path}, args...), ready: ready}
}

// start starts it, again if it was killed; the test's end kills it.
func (p *process) start(t testing.TB) {
	t.Helper()
	if err := p.launch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
}

func (p *process) launch() error {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout // settings that are wrong
	if err := cmd.Start(); err != nil {
		return err
	}
	ended, ready := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	p.cmd, p.ended, p.lines = cmd, ended, nil
	p.mu.Unlock()
	go p.read(cmd, out, ready, ended)
	late := time.NewTimer(startTime)
	defer late.Stop()
	select {
	case <-ready:
		return nil
	case <-ended:
		err = fmt.Errorf("%s ended", p.args[0])
	case <-late.C:
		err = fmt.Errorf("%s is not ready after %v", p.args[0], startTime)
	}
	p.kill()
	return fmt.Errorf("%w; its log:\n%s", err, p.log())
}

func (p *process) read(cmd *exec.Cmd, out io.Reader, ready, ended chan struct{}) {
	defer close(ended)
	for lines, told := bufio.NewScanner(out), false; lines.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		for size := p.size(); size > maxLog && len(p.lines) > 1; size = p.size() {
			p.lines = slices.Delete(p.lines, 0, 1)
		}
		p.mu.Unlock()
		if !told && strings.Contains(lines.Text(), p.ready) {
			told = true
			close(ready)
		}
	}
	_ = cmd.Wait()
}

func (p *process) size() (n int) {
	for _, line := range p.lines {
		n += len(line)
	}
	return n
}

// log returns the last that it said.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// kill ends it as a crash does, and returns when it has ended.
func (p *process) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	_ = cmd.Process.Kill() // a stopped one too
	<-ended
}

func (p *process) pause(t testing.TB)  { t.Helper(); p.signal(t, syscall.SIGSTOP) }
func (p *process) resume(t testing.TB) { t.Helper(); p.signal(t, syscall.SIGCONT) }

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: %v", p.args[0], err)
	}
}

// freePort returns a port of loopback on which nobody listens, nor 10000 above.
func freePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		if free(port) && free(port+busPort) {
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no free port on loopback")
	return ""
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// eventually returns once holds does, and fails the test after startTime.
func eventually(t testing.TB, what string, holds func() (bool, error)) {
	t.Helper()
	var err error
	for end := time.Now().Add(startTime); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		var ok bool
		if ok, err = holds(); ok {
			return
		}
	}
	t.Fatalf("got nothing within %v (%v), want that %s", startTime, err, what)
}
