package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is what the Sentinels of a test call the master.
const MasterName = "tocsin-test"

// Of the Sentinels.
const (
	sentinels   = 3
	quorum      = 2
	replicas    = 2
	downAfter   = 700 * time.Millisecond
	failoverEnd = 1500 * time.Millisecond // before another is begun
)

// Sentinel is a master with two replicas, watched by three Sentinels.
type Sentinel struct {
	// Servers are the master at first, and its replicas.
	Servers []*Server
	addrs   []string
}

// StartSentinel starts a master, two replicas and three Sentinels that have seen each
// other. They take a master for gone after 0.7 s. args are more settings of the servers.
func StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	path := require(t)
	master := startProcess(t, path, args...)
	s := &Sentinel{Servers: []*Server{master}}
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	for range replicas {
		replica := startProcess(t, path, append([]string{"--replicaof", host + " " + port}, args...)...)
		s.Servers = append(s.Servers, replica)
	}
	for _, replica := range s.Servers[1:] {
		master.waitFollowed(t, replica)
	}
	for range sentinels {
		s.addrs = append(s.addrs, startSentinel(t, path, host, port))
	}
	for _, addr := range s.addrs {
		eventually(t, "Sentinels know each other and the replicas", func() (bool, error) {
			client := sentinelClient(addr)
			defer func() { _ = client.Close() }()
			info, err := client.Master(t.Context(), MasterName).Result()
			return info["num-slaves"] == fmt.Sprint(replicas) && info["num-other-sentinels"] == fmt.Sprint(sentinels-1) && info["flags"] == "master", err
		})
	}
	return s
}

func startSentinel(t testing.TB, path, host, masterPort string) (addr string) {
	t.Helper()
	port := freePort(t)
	conf := filepath.Join(t.TempDir(), "sentinel.conf") // it writes what it learns into it
	settings := strings.Join([]string{
		"bind 127.0.0.1",
		"port " + port,
		"dir " + filepath.Dir(conf),
		fmt.Sprintf("sentinel monitor %s %s %s %d", MasterName, host, masterPort, quorum),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, downAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", MasterName, failoverEnd.Milliseconds()),
		fmt.Sprintf("sentinel parallel-syncs %s %d", MasterName, replicas),
	}, "\n")
	if err := os.WriteFile(conf, []byte(settings+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	newProcess(path, []string{conf, "--sentinel"}, "+monitor master").start(t)
	return net.JoinHostPort("127.0.0.1", port)
}

// URL returns the redis+sentinel:// URL of the master.
func (s *Sentinel) URL() string {
	return "redis+sentinel://" + strings.Join(s.addrs, ",") + "/" + MasterName
}

// Master returns who is the master by the Sentinels.
func (s *Sentinel) Master(t testing.TB) *Server {
	t.Helper()
	master, err := s.master(t, s.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	return master
}

// master returns who is the master by one Sentinel.
func (s *Sentinel) master(t testing.TB, by string) (*Server, error) {
	client := sentinelClient(by)
	defer func() { _ = client.Close() }()
	addr, err := client.GetMasterAddrByName(t.Context(), MasterName).Result()
	if err != nil {
		return nil, err
	}
	for _, server := range s.Servers {
		if server.Addr == net.JoinHostPort(addr[0], addr[1]) {
			return server, nil
		}
	}
	return nil, fmt.Errorf("got %s as the master, want one of the servers", addr)
}

// Replicas returns all but the master.
func (s *Sentinel) Replicas(t testing.TB) []*Server {
	t.Helper()
	master := s.Master(t)
	var others []*Server
	for _, server := range s.Servers {
		if server != master {
			others = append(others, server)
		}
	}
	return others
}

// Failover has the Sentinels make a replica the master, and returns it once it is.
func (s *Sentinel) Failover(t testing.TB) *Server {
	t.Helper()
	before := s.Master(t)
	client := sentinelClient(s.addrs[0])
	defer func() { _ = client.Close() }()
	eventually(t, "a failover is begun", func() (bool, error) {
		err := client.Failover(t.Context(), MasterName).Err() // refused soon after another
		return err == nil, err
	})
	return s.WaitMaster(t, before)
}

// WaitMaster waits until all Sentinels know another master than before (nil: any), and
// it says so itself, and returns it.
func (s *Sentinel) WaitMaster(t testing.TB, before *Server) *Server {
	t.Helper()
	var master *Server
	eventually(t, "there is another master", func() (bool, error) {
		for i, addr := range s.addrs {
			known, err := s.master(t, addr)
			if err != nil || known == before || i > 0 && known != master {
				return false, err
			}
			master = known
		}
		return master.is(t, "role:master")
	})
	return master
}

// is says whether the server tells that of its replication.
func (s *Server) is(t testing.TB, line string) (bool, error) {
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer func() { _ = client.Close() }()
	info, err := client.Info(t.Context(), "replication").Result()
	return strings.Contains(info, line), err
}

// waitFollowed waits until s says that the replica has all.
func (s *Server) waitFollowed(t testing.TB, replica *Server) {
	t.Helper()
	_, port, err := net.SplitHostPort(replica.Addr)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica follows", func() (bool, error) {
		return s.is(t, "port="+port+",state=online")
	})
}

// Client returns a client of the master, whoever it is, closed with the test.
func (s *Sentinel) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	c := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: MasterName, SentinelAddrs: s.addrs, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func sentinelClient(addr string) *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
}
