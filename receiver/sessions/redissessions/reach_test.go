package redissessions_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/redissessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sessionstest"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// On three nodes of a cluster all is as on one, and the user of docs/operations/redis.md
// may do all that there is to do.
func TestReached(t *testing.T) {
	for name, url := range map[string]func() string{
		"three nodes":  func() string { return redistest.StartCluster3(t).Limit(t) },
		"limited user": func() string { return redistest.StartDurable(t).Limit(t) },
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, url())
			ours := func(t *testing.T) string {
				own := prefix(t)
				return redistest.LimitedPrefix + ":" + own[max(0, len(own)-50):]
			}
			sessionstest.RunIndex(t, func(t *testing.T, cfg sessions.IndexConfig) sessions.Lookup {
				s, err := redissessions.New(redissessions.Config{Client: client, Prefix: ours(t), Index: cfg})
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
			sessionstest.RunDurable(t, func(t *testing.T, _ string, index sessions.IndexConfig, revocations sessions.RevocationsConfig) sessionstest.Store {
				return start(t, redissessions.Config{Client: client, Prefix: ours(t), Index: index, Revocations: revocations})
			})
		})
	}
}

func connect(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisdb.Connect(url, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// A revocation is known to all nodes though the master is killed, and the next one is
// kept by the new master.
func TestFailover(t *testing.T) {
	s := redistest.StartSentinel(t)
	before, others := s.Master(t), s.Replicas(t)
	others[1].Pause(t)
	cfg := redissessions.Config{URL: s.URL()}
	a, b := start(t, cfg), start(t, cfg)
	now := time.Now()
	revoked := func(on node, user string) func() bool {
		return func() bool {
			gate, err := sessions.NewGate(sessions.Config{Revocations: on, Fail: sessions.FailOpen})
			if err != nil {
				t.Fatal(err)
			}
			who := jo(now)
			who.Members["user"][0] = subject.Email(user + "@example.com")
			return gate.Session(who) == sessions.Revoked
		}
	}
	if err := a.Revoke(t.Context(), scopeOf("jo"), now); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other node sees it", revoked(b, "jo"))
	before.Stop()
	master := s.WaitMaster(t, before)
	eventually(t, "the new master keeps the next", func() bool { return a.Revoke(t.Context(), scopeOf("mo"), now) == nil })
	eventually(t, "the other node sees that", revoked(b, "mo"))
	if n := master.Client(t).Exists(t.Context(), "tocsin:{gate}:marks").Val(); n != 1 {
		t.Error("got no marks at the new master, want those of both")
	}
	late := start(t, cfg)
	eventually(t, "a node that comes later knows the first", revoked(late, "jo"))
	eventually(t, "and the second", revoked(late, "mo"))
}
