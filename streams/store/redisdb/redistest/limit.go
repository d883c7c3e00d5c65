package redistest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// LimitedPrefix is that of the keys of limited users; prefixes of a test begin with it
// and a colon.
const LimitedPrefix = redisdb.DefaultPrefix

// Limited is a variable that has the servers of Start refuse, to everybody, what is not
// among the commands of docs/operations/redis.md, or used by tests themselves: any suite
// can be run so.
const Limited = "TOCSIN_TEST_REDIS_LIMITED"

// ofTests are the commands that tests use and stores do not.
func ofTests() []string {
	return []string{
		"+acl", "+keys", "+dbsize", "+scan", "+flushdb", "+flushall", "+config", "+script", "+replicaof", "+psync", "+replconf", "+dump", "+restore",
	}
}

// The limited user.
const (
	limitedUser     = "limited"
	limitedPassword = "secret"
)

// Limit makes a user with the rights of docs/operations/redis.md and no other, and returns
// the URL by which it reaches the server. The test fails if it tried what it may not do.
func (s *Server) Limit(t testing.TB) (url string) {
	t.Helper()
	limit(t, s.Addr, redisdb.ACL(LimitedPrefix))
	return limited(s.URL())
}

// Limit is that of a server, for all nodes.
func (c *Cluster) Limit(t testing.TB) (url string) {
	t.Helper()
	for _, node := range c.Nodes {
		limit(t, node.Addr, redisdb.ACL(LimitedPrefix))
	}
	return limited(c.URL())
}

// Limit is that of a server, for the master and its replicas; Sentinels have such a user too.
func (s *Sentinel) Limit(t testing.TB) (url string) {
	t.Helper()
	for _, server := range s.Servers {
		limit(t, server.Addr, redisdb.ACL(LimitedPrefix))
	}
	for _, addr := range s.addrs {
		limit(t, addr, redisdb.SentinelACL())
	}
	return limited(s.URL()) + "?sentinel_username=" + limitedUser + "&sentinel_password=" + limitedPassword
}

func limited(url string) string {
	return strings.Replace(url, "://", "://"+limitedUser+":"+limitedPassword+"@", 1)
}

// limitAll is Limit for whoever connects, where Limited is set; keys may be any.
func limitAll(t testing.TB, s *Server) *Server {
	t.Helper()
	if os.Getenv(Limited) != "" {
		rules := append(slices.Clone(redisdb.ACL(LimitedPrefix)[2:]), ofTests()...)
		setUser(t, s.Addr, []any{"ACL", "SETUSER", "default", "-@all"}, rules)
	}
	return s
}

func limit(t testing.TB, addr string, rules []string) {
	t.Helper()
	setUser(t, addr, []any{"ACL", "SETUSER", limitedUser, "reset", "on", ">" + limitedPassword}, rules)
}

func setUser(t testing.TB, addr string, args []any, rules []string) {
	t.Helper()
	for _, rule := range rules {
		args = append(args, rule)
	}
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	for _, command := range [][]any{args, {"ACL", "LOG", "RESET"}} {
		if err := c.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, denied := range denied(addr) {
			t.Errorf("got %s, want nothing that the rules do not allow", denied)
		}
	})
}

// denied returns what limited users tried and may not do.
func denied(addr string) []string {
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	entries, err := c.ACLLog(context.Background(), 10).Result()
	if err != nil {
		return nil // it was stopped
	}
	var denied []string
	for _, e := range entries {
		denied = append(denied, fmt.Sprintf("%s %s by %s (%s)", e.Reason, e.Object, e.Username, e.Context))
	}
	return denied
}
