// Package redistest gives a test a real Redis of its own.
package redistest

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Address is the variable with the host:port of a server to use in place of
// redis-server on the PATH. Its databases are flushed.
const Address = "SSF_TEST_REDIS"

// Server is a running redis-server, without persistence unless StartDurable started it.
type Server struct {
	// Addr is its host:port.
	Addr string
	args []string
	stop func()
}

// Stop ends the server, as a crash does. Once is enough; the test's end stops it too.
func (s *Server) Stop() { s.stop() }

// Restart ends the server, as a crash does, and starts it again at its address: empty, or
// with what it has on disk.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.stop()
	if s.args == nil {
		t.Skipf("SKIPPED, not tested: the server of %s cannot be restarted", Address)
	}
	s.stop = launch(t, s.args)
}

// Client returns a client of the server, closed with the test.
func (s *Server) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	return s.client(t, &redis.UniversalOptions{})
}

// ClusterClient returns a client that speaks to the server as to a cluster.
func (s *Server) ClusterClient(t testing.TB) redis.UniversalClient {
	t.Helper()
	return s.client(t, &redis.UniversalOptions{IsClusterMode: true})
}

func (s *Server) client(t testing.TB, o *redis.UniversalOptions) redis.UniversalClient {
	t.Helper()
	o.Addrs, o.ContextTimeoutEnabled = []string{s.Addr}, true
	c := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Start starts a server on a free port of loopback, or takes the one that the
// environment names. Without either the test is skipped, and fails where TOCSIN_CI or
// CI is set.
func Start(t testing.TB) *Server {
	t.Helper()
	if addr := os.Getenv(Address); addr != "" {
		s := &Server{Addr: addr, stop: func() {}}
		if err := s.Client(t).FlushAll(t.Context()).Err(); err != nil {
			t.Fatalf("redis at %s (%s): %v", addr, Address, err)
		}
		return s
	}
	return start(t)
}

// StartCluster starts a server that is a cluster by itself and has all slots, so that
// commands on keys of different slots fail as in a large one.
func StartCluster(t testing.TB) *Server {
	t.Helper()
	s := start(t, "--cluster-enabled", "yes")
	c := s.Client(t)
	if err := c.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatalf("redis-server as a cluster: %v", err)
	}
	for {
		info, err := c.ClusterInfo(t.Context()).Result()
		if err != nil {
			t.Fatalf("redis-server as a cluster: %v", err)
		}
		if strings.Contains(info, "cluster_state:ok") {
			return s
		}
	}
}

// StartDurable starts a server of the test's own that writes all to disk before it answers.
func StartDurable(t testing.TB) *Server {
	t.Helper()
	return start(t, "--appendonly", "yes", "--appendfsync", "always")
}

// StartReplica starts a server that has what s has, and waits until it follows.
func (s *Server) StartReplica(t testing.TB) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := start(t, "--replicaof", host+" "+port)
	_, port, _ = net.SplitHostPort(replica.Addr)
	for c := s.Client(t); ; {
		info, err := c.Info(t.Context(), "replication").Result()
		if err != nil {
			t.Fatalf("redis-server with a replica: %v", err)
		}
		if strings.Contains(info, "port="+port+",state=online") {
			return replica
		}
	}
}

func start(t testing.TB, args ...string) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
			t.Fatal("redis-server is not installed")
		}
		t.Skip("SKIPPED, not tested: redis-server is not installed (Debian package redis-server)")
	}
	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(),
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "notice",
		"--repl-diskless-sync-delay", "0",
	}, args...)
	args = append([]string{path}, args...)
	return &Server{Addr: net.JoinHostPort("127.0.0.1", port), args: args, stop: launch(t, args)}
}

// launch runs redis-server until stop is called or the test ends.
func launch(t testing.TB, args []string) (stop func()) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	t.Cleanup(stop)
	ready := make(chan bool, 1)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				ready <- true
			}
		}
		_ = cmd.Wait()
		close(ready)
	}()
	if !<-ready {
		t.Fatal("redis-server did not start")
	}
	return stop
}

// freeAddr returns an address of loopback on which nobody listens. The cluster's own
// port is 10000 above, hence the search.
func freeAddr(t testing.TB) string {
	t.Helper()
	const highest = 55000
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if addr.Port < highest {
			return addr.String()
		}
	}
}
