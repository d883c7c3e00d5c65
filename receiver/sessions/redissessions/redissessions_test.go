package redissessions_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/redissessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sessionstest"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// node is a store that follows its feed until the test ends, or stop.
type node struct {
	*redissessions.Store
	stop func()
}

// Close ends the node.
func (n node) Close() error {
	n.stop()
	return n.Store.Close()
}

func start(t *testing.T, cfg redissessions.Config) node {
	t.Helper()
	s, err := redissessions.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	n := node{s, sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})}
	t.Cleanup(n.stop)
	now := time.Now
	if cfg.Revocations.Now != nil {
		now = cfg.Revocations.Now // by another clock the store may know nothing yet
	}
	eventually(t, "the revocations are loaded", func() bool {
		_, loaded := s.State().Lag(now())
		return loaded
	})
	return n
}

// eventually fails the test unless what holds within 20 seconds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got nothing within 20 s, want that %s", what)
		}
	}
}

// servers are a server by itself and one that is a cluster, to see that no script and
// no command reaches into another slot.
func servers(t *testing.T, test func(t *testing.T, client redis.UniversalClient)) {
	t.Run("single", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.Start(t).Client(t))
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.StartCluster(t).ClusterClient(t))
	})
}

// prefix is another for each case.
func prefix(t *testing.T) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '{' || r == '}' {
			return '_'
		}
		return r
	}, t.Name()[max(0, len(t.Name())-redissessions.MaxPrefixBytes):])
}

func TestIndex(t *testing.T) {
	servers(t, func(t *testing.T, client redis.UniversalClient) {
		sessionstest.RunIndex(t, func(t *testing.T, cfg sessions.IndexConfig) sessions.Lookup {
			s, err := redissessions.New(redissessions.Config{Client: client, Prefix: prefix(t), Index: cfg})
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
}

func TestRevocations(t *testing.T) {
	servers(t, func(t *testing.T, client redis.UniversalClient) {
		runs := 0
		sessionstest.RunRevocations(t, func(t *testing.T, cfg sessions.RevocationsConfig) sessions.Revocations {
			if err := client.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			runs++
			return start(t, redissessions.Config{Client: client, Prefix: "p" + strings.Repeat("x", runs), Revocations: cfg})
		})
	})
}

func TestDurable(t *testing.T) {
	servers(t, func(t *testing.T, client redis.UniversalClient) {
		sessionstest.RunDurable(t, func(t *testing.T, _ string, index sessions.IndexConfig, revocations sessions.RevocationsConfig) sessionstest.Store {
			return start(t, redissessions.Config{Client: client, Prefix: prefix(t), Index: index, Revocations: revocations})
		})
	})
}

func TestNew(t *testing.T) {
	_, err := redissessions.New(redissessions.Config{
		URL: "http://user:secret@example.com", Prefix: "a{b}", MaxFeed: -1,
		Index: sessions.IndexConfig{Lifetime: -1}, Revocations: sessions.RevocationsConfig{Retention: -1},
	})
	for _, want := range []string{"url", "prefix", "max_feed", "Lifetime", "Retention"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want an error that names %s and no password", err, want)
		}
	}
}

func jo(begun time.Time) sessions.Session {
	return sessions.Session{ID: "a", Begun: begun, Members: map[string][]subject.Identifier{"user": {subject.Email("jo@example.com")}}}
}

func scopeOf(user string) receiver.Scope {
	return receiver.ScopeOf(subject.Email(user + "@example.com"))
}

// What one node keeps the other sees, and who was away catches up, also where the feed
// has been cut meanwhile. The gate knows that it does not know.
func TestNodes(t *testing.T) {
	server := redistest.Start(t)
	line := newLine(t, server.Addr)
	now := time.Now()
	cfg := redissessions.Config{Prefix: prefix(t), MaxFeed: 1}
	here := cfg
	here.Client = server.Client(t)
	cfg.URL = "redis://" + line.addr() + "?max_retries=-1&dial_timeout=1s"
	a, b := start(t, here), start(t, cfg)
	defer func() { _ = b.Close() }()
	gate, err := sessions.NewGate(sessions.Config{Revocations: b, Fail: sessions.FailClosed, MaxLag: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(want sessions.Verdict) func() bool { return func() bool { return gate.Session(jo(now)) == want } }
	revoke := func(user string, want bool, on node) {
		t.Helper()
		if err := on.Revoke(t.Context(), scopeOf(user), now); (err == nil) != want {
			t.Fatalf("revoke: got %v, want success %v", err, want)
		}
	}
	eventually(t, "the session is good", verdict(sessions.Good))
	revoke("jo", true, a)
	eventually(t, "the other node sees it", verdict(sessions.Revoked))

	now = time.Now() // of jo's next session
	line.cut()
	eventually(t, "the gate knows that it does not know", verdict(sessions.Unknown))
	if gate.Ready() == nil {
		t.Error("got a gate that is ready while its store is away, want an error")
	}
	revoke("mo", false, b)
	for i := range 300 { // more than the feed has
		revoke("u"+strings.Repeat("x", i), true, a)
	}
	revoke("jo", true, a)
	line.mend(t)
	eventually(t, "it has caught up", verdict(sessions.Revoked))
	eventually(t, "it is ready again", func() bool { return gate.Ready() == nil })
	want := a.State().Len()
	eventually(t, "it has all marks", func() bool { return b.State().Len() == want })
	revoke("mo", true, b)
}

// A server that has lost what it knew makes no session good again.
func TestServerForgets(t *testing.T) {
	client := redistest.Start(t).Client(t)
	n := start(t, redissessions.Config{Client: client, Prefix: prefix(t)})
	gate, err := sessions.NewGate(sessions.Config{Revocations: n, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 5 { // each is a version of its own
		if err := n.Revoke(t.Context(), scopeOf("jo"), now.Add(-time.Duration(5-i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(n.Revoke(t.Context(), scopeOf("jo"), now), client.FlushDB(t.Context()).Err()); err != nil {
		t.Fatal(err)
	}
	other := start(t, redissessions.Config{Client: client, Prefix: prefix(t)})
	if err := other.Deny(t.Context(), scopeOf("jo"), "", now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := gate.Session(jo(now)); got == sessions.Good {
		t.Errorf("got %v, want it still refused", got)
	}
	eventually(t, "what comes afterwards is seen", func() bool { return gate.Session(jo(now.Add(time.Minute))) == sessions.Denied })
}

// Nothing is kept without an end but the marks of denials, and no identifier in clear.
func TestKeys(t *testing.T) {
	client := redistest.Start(t).Client(t)
	n := start(t, redissessions.Config{Client: client, Prefix: "app"})
	s := jo(time.Now())
	s.Expires = time.Now().Add(time.Hour)
	if err := errors.Join(n.Add(t.Context(), s), n.Revoke(t.Context(), scopeOf("jo"), time.Now()), n.Remove(t.Context(), "other")); err != nil {
		t.Fatal(err)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		ours := strings.HasPrefix(key, "app:{gate}:") || strings.HasPrefix(key, "app:session:") || strings.HasPrefix(key, "app:of:{")
		raw, err := client.Dump(t.Context(), key).Result()
		if err != nil || !ours || strings.Contains(key+raw, "jo@example.com") {
			t.Errorf("%s: got %v, want a key of the list, without identifiers", key, err)
		}
		if left := client.TTL(t.Context(), key).Val(); !strings.HasPrefix(key, "app:{gate}:") && (left <= 0 || left > time.Hour) {
			t.Errorf("%s: got %v left, want it to end with the session", key, left)
		}
	}
	if len(keys) != 9 { // a session, two sets for each of its two digests, and the gate's four
		t.Errorf("got %d keys %q, want 9", len(keys), keys)
	}
}

// line is a connection to a server that can be cut and mended.
type line struct {
	target string
	at     string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func newLine(t *testing.T, target string) *line {
	l := &line{target: target, at: "127.0.0.1:0"}
	l.mend(t)
	t.Cleanup(l.cut)
	return l
}

func (l *line) addr() string { return l.at }

func (l *line) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", l.at)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.listener, l.at = listener, listener.Addr().String()
	l.mu.Unlock()
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", l.target)
			if err != nil {
				_ = in.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, in, out)
			l.mu.Unlock()
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_ = to.Close()
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.listener.Close()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// A revocation is told to have succeeded once replicas have it, also when it is repeated.
func TestWaitsForReplicas(t *testing.T) {
	server := redistest.StartDurable(t)
	replica := server.StartReplica(t)
	store := func(wait time.Duration) *redissessions.Store {
		db, err := redisdb.Open(t.Context(), redisdb.Config{URL: "redis://" + server.Addr, Prefix: "other", Replicas: 1, ReplicaWait: wait})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		s, err := redissessions.New(redissessions.Config{DB: db})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	scope, until := scopeOf("jo"), time.Now()
	if err := store(redisdb.MaxReplicaWait).Revoke(t.Context(), scope, until); err != nil {
		t.Fatal(err)
	}
	c := replica.Client(t)
	if n, err := c.HLen(t.Context(), "other:{gate}:marks").Result(); err != nil || n == 0 {
		t.Errorf("got %d marks (%v) at the replica, want those of jo", n, err)
	}
	replica.Stop()
	for range 2 {
		if err := store(50*time.Millisecond).Revoke(t.Context(), scope, until); !errors.Is(err, redisdb.ErrReplicas) {
			t.Errorf("got %v without a replica, want %v", err, redisdb.ErrReplicas)
		}
	}
}
