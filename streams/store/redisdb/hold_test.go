package redisdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

const (
	shortLease = 600 * time.Millisecond
	patience   = 20 * time.Second
)

// worker is one process that shares leases.
type worker struct {
	mu     sync.Mutex
	held   map[int]uint64 // token by index
	tokens map[int]uint64 // the last of each
	change chan struct{}
	stop   func()
	ended  chan struct{}
}

// share starts a worker. linger is how long its work takes to end.
func share(t *testing.T, db *redisdb.DB, wakes *redisdb.Wakes, keys []string, linger time.Duration) *worker {
	t.Helper()
	holder, err := redisdb.NewHolder(db, redisdb.HoldConfig{
		Group: "g", Keys: keys, Lease: shortLease, Look: 100 * time.Millisecond, Wakes: wakes,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &worker{
		held: map[int]uint64{}, tokens: map[int]uint64{}, change: make(chan struct{}, 1),
		stop: cancel, ended: make(chan struct{}),
	}
	go func() {
		defer close(w.ended)
		_ = holder.Run(ctx, func(ctx context.Context, h redisdb.Held) {
			w.set(h.Index, h.Token)
			<-ctx.Done()
			<-time.After(linger)
			w.set(h.Index, 0)
		})
	}()
	t.Cleanup(func() { cancel(); <-w.ended })
	return w
}

func (w *worker) set(i int, token uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.held, i); token != 0 {
		w.held[i], w.tokens[i] = token, token
	}
	select {
	case w.change <- struct{}{}:
	default:
	}
}

func (w *worker) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.held)
}

// until waits until the worker holds n leases.
func (w *worker) until(t *testing.T, n int) {
	t.Helper()
	end := time.After(patience)
	for w.count() != n {
		select {
		case <-w.change:
		case <-end:
			t.Fatalf("got %d leases, want %d", w.count(), n)
		}
	}
}

func leaseKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("t:{p%02d}:lease", i)
	}
	return keys
}

// Processes share the leases, and one that leaves leaves them to the others.
func TestHoldShares(t *testing.T) {
	s := redistest.StartCluster(t)
	keys := leaseKeys(8)
	connect := func() *redisdb.DB {
		return open(t, redisdb.Config{URL: "redis://" + s.Addr, Cluster: true, Volatile: true})
	}
	a := share(t, connect(), nil, keys, 0)
	a.until(t, 8)
	b := share(t, connect(), nil, keys, 2*shortLease) // what ends slowly is held until it has ended
	b.until(t, 4)
	a.until(t, 4)
	for i, token := range b.tokens {
		if before := a.tokens[i]; token <= before {
			t.Errorf("lease %d: got token %d after %d, want a higher one", i, token, before)
		}
	}
	c := share(t, connect(), nil, keys, 0)
	c.until(t, 2) // of 3 + 3 + 2
	b.stop()
	<-b.ended
	a.until(t, 4)
	c.until(t, 4)
}

// A lease that another took, or that ended, is lost: its work is told to end, and it is
// not taken up again where it was.
func TestHoldLost(t *testing.T) {
	s := redistest.Start(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr, Volatile: true})
	keys := leaseKeys(1)
	w := share(t, db, nil, keys, 0)
	w.until(t, 1)
	first := w.tokens[0]
	if err := db.Client().HSet(t.Context(), keys[0], "until", 1).Err(); err != nil {
		t.Fatal(err)
	}
	w.until(t, 0)
	w.until(t, 1)
	if w.tokens[0] <= first {
		t.Errorf("got token %d after %d, want a higher one", w.tokens[0], first)
	}
}

// A lease of a process that was killed is taken over when it ends.
func TestHoldTakesOver(t *testing.T) {
	s := redistest.Start(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr, Volatile: true})
	keys := leaseKeys(1)
	until := time.Now().Add(time.Second)
	if err := db.Client().HSet(t.Context(), keys[0], "holder", "dead", "token", 1<<50, "until", until.UnixMilli()).Err(); err != nil {
		t.Fatal(err)
	}
	w := share(t, db, nil, keys, 0)
	w.until(t, 1)
	if early := time.Until(until); early > 0 {
		t.Errorf("the lease was taken %v before it ended", early)
	}
	if w.tokens[0] != 1<<50+1 {
		t.Errorf("got token %d, want %d", w.tokens[0], uint64(1<<50+1))
	}
}

// Leases are renewed though all connections are taken by calls that wait.
func TestHoldBesideCalls(t *testing.T) {
	s := redistest.Start(t)
	db := open(t, redisdb.Config{URL: s.URL() + "?pool_size=1&pool_timeout=10ms&read_timeout=-1", Volatile: true})
	w := share(t, db, nil, leaseKeys(4), 0)
	w.until(t, 4)
	ended := make(chan struct{})
	waited := make(chan error, 1)
	go func() {
		defer close(ended)
		waited <- db.Client().BLPop(t.Context(), 4*shortLease, "nothing").Err()
	}()
	for {
		select {
		case <-w.change:
			if n := w.count(); n != 4 {
				t.Fatalf("got %d leases while calls wait, want all 4", n)
			}
			continue
		case <-ended:
		}
		break
	}
	if err := <-waited; !errors.Is(err, redis.Nil) {
		t.Errorf("got %v, want a call that waited to its end", err)
	}
}

// mute carries out what is asked and lets no answer through while it is on.
type mute struct{ on atomic.Bool }

func (m *mute) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *mute) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if m.on.Load() && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			err = io.EOF
			cmd.SetErr(err)
		}
		return err
	}
}

func (m *mute) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A lease that was lost here, and by the server goes on, because answers were lost, is
// another lease when it is taken again: the work that had it has ended.
func TestHoldLostHereAlone(t *testing.T) {
	s := redistest.Start(t)
	client, line := s.Client(t), new(mute)
	client.AddHook(line)
	db := open(t, redisdb.Config{Client: client, Volatile: true, Patience: 10 * time.Millisecond})
	w := share(t, db, nil, leaseKeys(1), 0)
	w.until(t, 1)
	first := w.tokens[0]
	line.on.Store(true)
	w.until(t, 0)
	line.on.Store(false)
	w.until(t, 1)
	if w.tokens[0] <= first {
		t.Errorf("got token %d after %d, want a higher one", w.tokens[0], first)
	}
}

// One at a time works, and the next begins at once.
func TestSole(t *testing.T) {
	s := redistest.Start(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr, Volatile: true})
	var working sync.Mutex
	began := make(chan string)
	run := func(name string) (stop func()) {
		wakes := redisdb.NewWakes(db, nil)
		holder, err := db.Sole("chores", wakes, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = wakes.Run(ctx) })
		group.Go(func() {
			_ = holder.Run(ctx, func(ctx context.Context, _ redisdb.Held) {
				if !working.TryLock() {
					t.Error("two work at a time")
					return
				}
				defer working.Unlock()
				select {
				case began <- name:
				case <-ctx.Done():
				}
				<-ctx.Done()
			})
		})
		return func() { cancel(); group.Wait() }
	}
	stopA := run("a")
	if got := <-began; got != "a" {
		t.Fatalf("got %s, want a", got)
	}
	stopB := run("b")
	stopA()
	if got := <-began; got != "b" {
		t.Fatalf("got %s, want b", got)
	}
	stopB()
}

// A script with the check writes for the holder of the lease alone.
func TestLeaseCheck(t *testing.T) {
	s := redistest.Start(t)
	db := open(t, redisdb.Config{URL: "redis://" + s.Addr, Volatile: true})
	script := redis.NewScript(redisdb.LeaseCheck + `return held(KEYS[1], ARGV[1]) and 1 or 0`)
	key := leaseKeys(1)[0]
	later := time.Now().Add(time.Hour).UnixMilli()
	for _, tt := range []struct {
		name  string
		token int
		until int64
		want  int64
	}{
		{"no lease", 0, 0, 0},
		{"held", 7, later, 1},
		{"another's", 8, later, 0},
		{"ended", 7, 1, 0},
	} {
		if tt.token != 0 {
			if err := db.Client().HSet(t.Context(), key, "token", tt.token, "until", tt.until).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := db.Run(t.Context(), script, []string{key}, 7); err != nil || got != tt.want {
			t.Errorf("%s: got %v, %v, want %d", tt.name, got, err, tt.want)
		}
	}
}

func TestHoldConfig(t *testing.T) {
	db := open(t, redisdb.Config{URL: "redis://" + redistest.Start(t).Addr, Volatile: true})
	for _, cfg := range []redisdb.HoldConfig{{Keys: leaseKeys(1)}, {Group: "g"}, {Group: "g", Keys: leaseKeys(1), Lease: -1}} {
		if _, err := redisdb.NewHolder(db, cfg); err == nil {
			t.Errorf("%+v: got no error, want one", cfg)
		}
	}
}
