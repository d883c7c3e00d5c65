// Package redistest gives a test a real Redis of its own: one server, one with a replica,
// a cluster, Sentinels with a master that can be killed, and a network that can be broken.
package redistest

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Address is the variable with the host:port of a server to use in place of
// redis-server on the PATH. Its databases are flushed.
const Address = "SSF_TEST_REDIS"

// startTime bounds how long servers take to be there, or to become what they should be.
const startTime = 30 * time.Second

// Server is a running server, without persistence unless StartDurable started it.
type Server struct {
	// Addr is its host:port.
	Addr string
	proc *process // nil: it is not a process of ours
	stop func()   // where proc is nil
}

// Stop ends the server, as a crash does. Once is enough; the test's end stops it too.
func (s *Server) Stop() {
	if s.proc == nil {
		s.stop()
		return
	}
	s.proc.kill()
}

// Restart ends the server, as a crash does, and starts it again at its address: empty, or
// with what it has on disk.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.ours(t, "restarted")
	s.proc.kill()
	s.proc.start(t)
}

// Pause freezes the server until Resume: it keeps its connections and answers nothing.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.ours(t, "paused")
	s.proc.pause(t)
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.ours(t, "resumed")
	s.proc.resume(t)
}

// ours skips the test where the server is not a process of ours.
func (s *Server) ours(t testing.TB, what string) {
	t.Helper()
	if s.proc == nil {
		skip(t, "a server that is no process of the test cannot be "+what+": it needs redis-server on the PATH, and no "+Address)
	}
}

// URL returns its redis:// URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

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

// Start gives an empty server: the one that the environment names, else redis-server on
// a free port of loopback, else a container where Docker runs. Without any of them the
// test is skipped, and fails where TOCSIN_CI or CI is set.
func Start(t testing.TB) *Server {
	t.Helper()
	if addr := os.Getenv(Address); addr != "" {
		s := &Server{Addr: addr, stop: func() {}}
		if err := s.Client(t).FlushAll(t.Context()).Err(); err != nil {
			t.Fatalf("redis at %s (%s): %v", addr, Address, err)
		}
		return s
	}
	return limitAll(t, start(t))
}

// StartDurable starts a server of the test's own that writes all to disk before it answers.
func StartDurable(t testing.TB) *Server {
	t.Helper()
	return start(t, "--appendonly", "yes", "--appendfsync", "always")
}

// StartReplica starts a server that has what s has, and waits until it follows.
func (s *Server) StartReplica(t testing.TB) *Server {
	t.Helper()
	return s.StartReplicaBy(t, s.Addr)
}

// StartReplicaBy is StartReplica for one that reaches s at another address: a line.
func (s *Server) StartReplicaBy(t testing.TB, addr string) *Server {
	t.Helper()
	s.ours(t, "followed")
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := start(t, "--replicaof", host+" "+port)
	s.waitFollowed(t, replica)
	return replica
}

// start starts a server of the test's own.
func start(t testing.TB, args ...string) *Server {
	t.Helper()
	path, ok := find()
	if !ok {
		return startContainer(t, args)
	}
	return startProcess(t, path, args...)
}
