package redisdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// note keeps a field, also when it is repeated: there is something to be acknowledged.
func note() *redis.Script {
	return redis.NewScript(`return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] or '')`)
}

// eventually fails the test unless what holds within 30 seconds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got nothing within 30 s, want that %s", what)
		}
	}
}

// load writes by eight writers until it is stopped, and remembers what was acknowledged.
type load struct {
	acknowledged [8][]string
	count        atomic.Int64
	away, few    atomic.Int64 // calls that failed, by how
	slowest      atomic.Int64
	stop         func()
}

func startLoad(t *testing.T, db *redisdb.DB) *load {
	l := &load{}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	script, payload := note(), strings.Repeat("x", 16<<10) // more than is under way in sockets
	for w := range l.acknowledged {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				field, began := fmt.Sprint(n), time.Now()
				_, err := db.Write(t.Context(), script, []string{fmt.Sprint("w", w)}, field, payload)
				l.slowest.Store(max(l.slowest.Load(), int64(time.Since(began))))
				switch {
				case err == nil:
					l.acknowledged[w] = append(l.acknowledged[w], field)
					l.count.Add(1)
				case errors.Is(err, redisdb.ErrAway):
					l.away.Add(1)
				case errors.Is(err, redisdb.ErrReplicas):
					l.few.Add(1)
				default:
					t.Errorf("got %v, want nothing but that the server is away, or its replicas are", err)
				}
			}
		})
	}
	l.stop = func() {
		cancel()
		group.Wait()
	}
	t.Cleanup(l.stop)
	return l
}

// more waits until so many more writes are acknowledged.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	want := l.count.Load() + n
	eventually(t, "writes are acknowledged", func() bool { return l.count.Load() >= want })
}

// Of a master that is killed, or hangs, in mid-load nothing that was acknowledged is
// missing at the one that is elected, which had acknowledged it. Writes go on by
// themselves once that has a replica.
func TestFailover(t *testing.T) {
	rounds := 1
	if os.Getenv("TOCSIN_TEST_LONG") != "" {
		rounds = 5
	}
	for _, tt := range []struct {
		name   string
		fails  func(*redistest.Server)
		wakes  func(*redistest.Server)
		rounds int
	}{
		{"killed", (*redistest.Server).Stop, func(*redistest.Server) {}, rounds},
		{"hangs", func(s *redistest.Server) { s.Pause(t) }, func(s *redistest.Server) { s.Resume(t) }, rounds},
	} {
		for round := range tt.rounds {
			t.Run(fmt.Sprint(tt.name, round), func(t *testing.T) {
				s := redistest.StartSentinel(t)
				before := s.Master(t)
				elected, frozen := s.Replicas(t)[0], s.Replicas(t)[1]
				frozen.Pause(t) // the other one is who acknowledges
				db := open(t, redisdb.Config{URL: s.URL(), Replicas: 1, ReplicaWait: 300 * time.Millisecond})
				l := startLoad(t, db)
				l.more(t, 300)
				elected.Pause(t) // it lags, and does not acknowledge
				for end := time.Now().Add(500 * time.Millisecond); l.few.Load() < 8 && time.Now().Before(end); {
					<-time.After(time.Millisecond)
				}
				tt.fails(before)
				elected.Resume(t)
				master := s.WaitMaster(t, before)
				master.StartReplica(t)
				tt.wakes(before)
				l.more(t, 300)
				l.stop()
				c, lost := master.Client(t), 0
				for w, fields := range l.acknowledged {
					have, err := c.HKeys(t.Context(), fmt.Sprint("w", w)).Result()
					if err != nil {
						t.Fatal(err)
					}
					for _, field := range fields {
						if !slices.Contains(have, field) {
							lost++
						}
					}
				}
				if lost > 0 {
					t.Errorf("got %d of %d acknowledged writes lost, want none", lost, l.count.Load())
				}
				if slow := time.Duration(l.slowest.Load()); slow > 12*time.Second {
					t.Errorf("got a write that took %v, want it given up before", slow)
				}
				t.Logf("%d acknowledged, %d while the server was away, %d without a replica, the slowest %v",
					l.count.Load(), l.away.Load(), l.few.Load(), time.Duration(l.slowest.Load()))
			})
		}
	}
}

// A short failover is waited for: no call fails.
func TestFailoverWaited(t *testing.T) {
	s := redistest.StartSentinel(t)
	db := open(t, redisdb.Config{URL: s.URL(), Volatile: true, Patience: 20 * time.Second})
	l := startLoad(t, db)
	l.more(t, 100)
	s.Failover(t)
	l.more(t, 100)
	l.stop()
	if l.away.Load() != 0 {
		t.Errorf("got %d calls that failed, want them to wait for the new master", l.away.Load())
	}
}

// In a cluster the replica of a master that is killed takes over its slots: what was
// acknowledged is there, calls wait for it and go on by themselves, and who starts meanwhile waits
// as well.
func TestClusterFailover(t *testing.T) {
	c := redistest.StartCluster3(t)
	const key = "a"
	master := c.Owner(t, key)
	replica := c.StartReplica(t, master)
	db := open(t, redisdb.Config{URL: c.URL(), Replicas: 1, Patience: 30 * time.Second})
	const before = 50
	for n := range before {
		if _, err := db.Write(t.Context(), note(), []string{key}, fmt.Sprint(n)); err != nil {
			t.Fatalf("write %d: got %v, want it acknowledged", n, err)
		}
	}
	master.Stop()
	loose := open(t, redisdb.Config{URL: c.URL() + "," + replica.Addr, Volatile: true, Patience: 30 * time.Second, Await: time.Minute})
	if _, err := loose.Write(t.Context(), note(), []string{key}, "after"); err != nil {
		t.Errorf("got %v of a write while the replica takes over, want it to wait", err)
	}
	if _, err := db.Run(t.Context(), note(), []string{key}, "too"); err != nil {
		t.Errorf("got %v of a client that knew the master, want it to follow", err)
	}
	if n := replica.ClusterClient(t).HLen(t.Context(), key).Val(); n != before+2 {
		t.Errorf("got %d fields, want %d", n, before+2)
	}
}

// Who starts while none is elected waits for the new master.
func TestOpenInFailover(t *testing.T) {
	s := redistest.StartSentinel(t)
	s.Master(t).Stop()
	db := open(t, redisdb.Config{URL: s.URL(), Volatile: true, Await: time.Minute})
	if _, err := db.Write(t.Context(), note(), []string{"a"}, "1"); err != nil {
		t.Errorf("got %v of a write, want none", err)
	}
}

// A new master is looked at as the first was: what would lose writes is refused, until it
// does not any more, and what is a risk is warned of.
func TestNewMasterChecked(t *testing.T) {
	s := redistest.StartSentinel(t, "--appendonly", "yes")
	replicas := s.Replicas(t)
	for _, replica := range replicas {
		if err := replica.Client(t).ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
			t.Fatal(err)
		}
	}
	var log syncBuffer
	db := open(t, redisdb.Config{URL: s.URL(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := db.Write(t.Context(), note(), []string{"a"}, "1"); err != nil {
		t.Fatal(err)
	}
	master := s.Failover(t)
	var err error
	eventually(t, "the new master is refused", func() bool {
		_, err = db.Write(t.Context(), note(), []string{"a"}, "2")
		return err != nil && !errors.Is(err, redisdb.ErrAway)
	})
	if !errors.Is(err, redisdb.ErrRefused) || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("got %v, want %v and why", err, redisdb.ErrRefused)
	}
	if err := master.Client(t).ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write(t.Context(), note(), []string{"a"}, "2"); err != nil {
		t.Errorf("got %v of a master that was set right, want none", err)
	}
	_, port, _ := net.SplitHostPort(master.Addr)
	if !strings.Contains(log.String(), "port="+port) {
		t.Errorf("got %q logged, want a warning about the new master at port %s", log.String(), port)
	}
}

// A server that asks for replicas itself, and has none, has written nothing.
func TestMinReplicas(t *testing.T) {
	s := redistest.StartDurable(t)
	var log syncBuffer
	cfg := redisdb.Config{URL: s.URL(), Replicas: 1, ReplicaWait: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	open(t, cfg)
	if !strings.Contains(log.String(), "min-replicas-to-write is not set") {
		t.Errorf("got %q logged, want a warning", log.String())
	}
	if err := s.Client(t).ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	db := open(t, cfg)
	if strings.Contains(log.String(), "min-replicas-to-write") {
		t.Errorf("got %q logged, want no warning", log.String())
	}
	if _, err := db.Write(t.Context(), note(), []string{"a"}, "1"); !errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("got %v, want %v", err, redisdb.ErrReplicas)
	}
	if n := s.Client(t).Exists(t.Context(), "a").Val(); n != 0 {
		t.Error("got it written, want nothing")
	}
}

// syncBuffer is a buffer that connections of several goroutines may log to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *syncBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}
