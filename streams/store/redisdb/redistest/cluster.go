package redistest

import (
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// slots is how many a cluster has.
const slots = 16384

// StartCluster starts a server that is a cluster by itself and has all slots, so that
// commands on keys of different slots fail as in a large one.
func StartCluster(t testing.TB) *Server {
	t.Helper()
	require(t)
	s := start(t, "--cluster-enabled", "yes")
	spread(t, []*Server{s})
	return s
}

// Cluster is one of three masters, each with a third of the slots.
type Cluster struct {
	Nodes [3]*Server
}

// StartCluster3 starts a cluster of three nodes.
func StartCluster3(t testing.TB) *Cluster {
	t.Helper()
	path := require(t)
	c := &Cluster{}
	for i := range c.Nodes {
		c.Nodes[i] = startProcess(t, path, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
	}
	spread(t, c.Nodes[:])
	return c
}

// URL returns the cluster's redis+cluster:// URL.
func (c *Cluster) URL() string {
	addrs := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		addrs[i] = node.Addr
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// Client returns a client of the cluster, closed with the test.
func (c *Cluster) Client(t testing.TB) redis.UniversalClient {
	t.Helper()
	return c.Nodes[0].ClusterClient(t)
}

// Owner returns the node that has the slot of the key.
func (c *Cluster) Owner(t testing.TB, key string) *Server {
	t.Helper()
	client := c.Nodes[0].ClusterClient(t)
	node, err := client.(*redis.ClusterClient).MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Nodes {
		if s.Addr == node.Options().Addr {
			return s
		}
	}
	t.Fatalf("got %s for %q, want a node of the cluster", node.Options().Addr, key)
	return nil
}

// StartReplica starts a node that has what one of the masters has, and takes over its slots
// when that is gone; it returns once it follows.
func (c *Cluster) StartReplica(t testing.TB, master *Server) *Server {
	t.Helper()
	replica := startProcess(t, require(t), "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
	client := replica.Client(t)
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.ClusterMeet(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	id, err := master.Client(t).ClusterMyID(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node knows its master", func() (bool, error) {
		err := client.ClusterReplicate(t.Context(), id).Err()
		return err == nil, err
	})
	master.waitFollowed(t, replica)
	for _, node := range c.Nodes { // all have to know whom they may elect
		other := node.Client(t)
		eventually(t, "all know the replica", func() (bool, error) {
			nodes, err := other.ClusterNodes(t.Context()).Result()
			return strings.Contains(nodes, "slave "+id), err
		})
	}
	return replica
}

// spread makes a cluster of the nodes, and waits until all know it.
func spread(t testing.TB, nodes []*Server) {
	t.Helper()
	for i, node := range nodes {
		client := node.Client(t)
		first, last := i*slots/len(nodes), (i+1)*slots/len(nodes)-1
		// Each an epoch of its own, or they have to find out who gives way.
		err := client.Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err()
		if err == nil {
			err = client.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", first, last).Err()
		}
		for _, other := range nodes[:i] {
			host, port, _ := net.SplitHostPort(other.Addr)
			if err == nil {
				err = client.ClusterMeet(t.Context(), host, port).Err()
			}
		}
		if err != nil {
			t.Fatalf("redis-server as a cluster: %v", err)
		}
	}
	for _, node := range nodes {
		client := node.Client(t)
		eventually(t, "the cluster is whole", func() (bool, error) {
			info, err := client.ClusterInfo(t.Context()).Result()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384"), err
		})
	}
}
