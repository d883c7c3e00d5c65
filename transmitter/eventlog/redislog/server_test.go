package redislog_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// event returns an event with a source id.
func event(n int) eventlog.Event {
	return eventlog.Event{Source: "hr", SourceID: fmt.Sprint("e-", n), Type: "session-revoked"}
}

// add appends an event that must be new.
func add(t *testing.T, l eventlog.Log, e eventlog.Event) eventlog.Appended {
	t.Helper()
	got, err := l.Append(t.Context(), e)
	if err != nil || got[0].Duplicate || got[0].Err != nil {
		t.Fatalf("Append: got %+v (%v), want a new event", got, err)
	}
	return got[0]
}

// line stands between a client and a server. It passes on what is asked; it can cut the
// connection instead of bringing an answer, and go to another server.
type line struct {
	addr string
	next atomic.Int64 // which of the next answers is to be lost; 0: none
	lost atomic.Int64

	frozen sync.RWMutex // held for writing: nothing is passed on

	mu     sync.Mutex
	target string
	open   []net.Conn
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{addr: listener.Addr().String(), target: target}
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		l.to(target)
		work.Wait()
	})
	work.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := l.dial(in)
			if err != nil {
				_ = in.Close()
				continue
			}
			end := func() { _, _ = in.Close(), out.Close() }
			work.Go(func() { l.pass(out, in, func() bool { return false }); end() })
			work.Go(func() { l.pass(in, out, l.loses); end() })
		}
	})
	return l
}

func (l *line) dial(in net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, err := net.Dial("tcp", l.target)
	if err == nil {
		l.open = append(l.open, in, out)
	}
	return out, err
}

// to lets clients find another server, as after a failover.
func (l *line) to(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

// loses says whether the next answer is to be lost.
func (l *line) loses() bool {
	if l.next.Add(-1) != 0 {
		return false
	}
	l.lost.Add(1)
	return true
}

func (l *line) pass(to, from net.Conn, loses func() bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || loses() {
			return
		}
		l.frozen.RLock()
		_, err = to.Write(buf[:n])
		l.frozen.RUnlock()
		if err != nil {
			return
		}
	}
}

// An answer that is lost after the server did what it was asked: what the client sends
// again comes to the same, also where others have appended meanwhile.
func TestAnswerLost(t *testing.T) {
	server := redistest.Start(t)
	way := newLine(t, server.Addr)
	l := open(t, redisdb.Config{URL: "redis://" + way.addr + "?protocol=2&pool_size=1&min_retry_backoff=1ms", Volatile: true}, redislog.Config{})
	other := open(t, plain(server), redislog.Config{})
	lostOne := func(what string, do func() error) {
		t.Helper()
		way.next.Store(1)
		if err := do(); way.lost.Swap(0) != 1 || err != nil {
			t.Fatalf("%s: got %v, want one answer lost and no error", what, err)
		}
	}
	for n := range 3 {
		// Scripts are known by now, or the first answer lost would be NOSCRIPT.
		add(t, l, event(10*n))
		if n > 0 {
			if _, err := l.Erase(t.Context(), uint64(n)); err != nil {
				t.Fatal(err)
			}
		}
		head, err := other.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		noKey := eventlog.Event{Source: "s", Type: "t"}
		lostOne("append", func() error {
			got, err := l.Append(t.Context(), event(10*n+1), noKey, event(10*n+1))
			if err == nil && (got[0].Seq != head+1 || got[0].Duplicate || got[1].Seq != head+2 || !got[2].Duplicate || got[2].Seq != head+1) {
				t.Errorf("got %+v, want two new events behind %d and a duplicate", got, head)
			}
			return err
		})
		lostOne("repeat", func() error {
			got, err := l.Append(t.Context(), event(10*n+1))
			if err == nil && (!got[0].Duplicate || got[0].Seq != head+1) {
				t.Errorf("got %+v, want a duplicate of %d", got, head+1)
			}
			return err
		})
		if now, err := other.Head(t.Context()); err != nil || now != head+2 {
			t.Errorf("got head %d (%v), want %d: it was appended once", now, err, head+2)
		}
		if n == 0 {
			continue
		}
		lostOne("erase", func() error {
			erased, err := l.Erase(t.Context(), head+1, head+2, head+1)
			if erased != 2 {
				t.Errorf("got %d erased, want 2", erased)
			}
			return err
		})
		add(t, other, event(10*n+2))
	}
}

// Events are acknowledged when the replicas have them, and not before. A repeat says the
// same, and that it is one once they have.
func TestReplicas(t *testing.T) {
	server := redistest.Start(t)
	replica := server.StartReplica(t)
	l := open(t, redisdb.Config{URL: "redis://" + server.Addr, Replicas: 1, ReplicaWait: time.Second}, redislog.Config{})
	first := add(t, l, event(1))
	if n := replica.Client(t).HGet(t.Context(), "tocsin:{log}:head", "size").Val(); n != "1" {
		t.Errorf("got size %q at the replica, want 1", n)
	}
	replica.Stop()
	for range 2 {
		if got, err := l.Append(t.Context(), event(2)); !errors.Is(err, redisdb.ErrReplicas) {
			t.Errorf("got %+v, %v without a replica, want %v", got, err, redisdb.ErrReplicas)
		}
		if got, err := l.Append(t.Context(), event(1)); !errors.Is(err, redisdb.ErrReplicas) {
			t.Errorf("got %+v, %v for a repeat without a replica, want %v", got, err, redisdb.ErrReplicas)
		}
	}
	server.StartReplica(t)
	got, err := l.Append(t.Context(), event(2), event(1))
	for end := time.Now().Add(10 * time.Second); errors.Is(err, redisdb.ErrReplicas) && time.Now().Before(end); {
		got, err = l.Append(t.Context(), event(2), event(1)) // it may still be loading what there is
	}
	if err != nil || !got[0].Duplicate || got[0].Seq != 2 || !got[1].Duplicate || got[1].ID != first.ID {
		t.Errorf("got %+v, %v, want duplicates: they were kept, and are at the replica now", got, err)
	}
	if a := add(t, l, event(3)); a.Seq != 3 {
		t.Errorf("got seq %d, want 3", a.Seq)
	}
}

// A repeat is acknowledged when the replicas have what it repeats, whoever wrote that.
func TestRepeatAtLaggingReplica(t *testing.T) {
	server := redistest.Start(t)
	way := newLine(t, server.Addr)
	server.StartReplicaBy(t, way.addr)
	cfg := redisdb.Config{URL: "redis://" + server.Addr, Replicas: 1, ReplicaWait: redisdb.MaxReplicaWait}
	l, other := open(t, cfg, redislog.Config{}), open(t, cfg, redislog.Config{})
	way.frozen.Lock()
	for n, l := range []*redislog.Log{l, other} {
		if got, err := l.Append(t.Context(), event(1)); !errors.Is(err, redisdb.ErrReplicas) {
			t.Errorf("process %d: got %+v, %v, want %v", n, got, err, redisdb.ErrReplicas)
		}
		if head, err := other.Head(t.Context()); err != nil || head != 1 {
			t.Errorf("got head %d (%v), want 1", head, err)
		}
	}
	way.frozen.Unlock()
	if got, err := other.Append(t.Context(), event(1)); err != nil || !got[0].Duplicate {
		t.Errorf("got %+v, %v, want a duplicate", got, err)
	}
}

// The server away for a while: calls fail, who waits waits on, and all continues by
// itself.
func TestServerAway(t *testing.T) {
	server := redistest.StartDurable(t)
	l := open(t, redisdb.Config{URL: "redis://" + server.Addr}, redislog.Config{Timeout: 500 * time.Millisecond})
	add(t, l, event(1))
	woken := make(chan error, 1)
	go func() { woken <- l.Wait(t.Context(), 1) }()
	server.Stop()
	if _, err := l.Append(t.Context(), event(2)); err == nil || errors.Is(err, redislog.ErrLost) || errors.Is(err, redislog.ErrClosed) {
		t.Errorf("got %v while the server is away, want an error of the store", err)
	}
	if _, err := l.Head(t.Context()); err == nil {
		t.Error("got no error from Head while the server is away, want one")
	}
	server.Restart(t)
	if _, err := l.Append(t.Context(), event(2)); err != nil {
		t.Errorf("got %v, want it to go on", err)
	}
	if err := <-woken; err != nil {
		t.Errorf("Wait: got %v, want no error", err)
	}
	records, err := l.Read(t.Context(), 0, 10)
	if err != nil || len(records) != 2 {
		t.Errorf("got %d records (%v), want 2", len(records), err)
	}
}

// The server has lost records that a process has seen: as after a failover to a replica
// that lagged. It appends nothing any more, whatever the others did meanwhile.
func TestLost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after func(t *testing.T, l eventlog.Log) // what others do on what is left
	}{
		{"shorter", func(*testing.T, eventlog.Log) {}},
		{"as long", func(t *testing.T, l eventlog.Log) { add(t, l, event(12)) }},
		{"longer", func(t *testing.T, l eventlog.Log) {
			for n := range 5 {
				add(t, l, event(20+n))
			}
		}},
		{"much longer", func(t *testing.T, l eventlog.Log) {
			for n := range 5 {
				events := make([]eventlog.Event, 1000)
				for i := range events {
					events[i] = event(1000*(n+1) + i)
				}
				if _, err := l.Append(t.Context(), events...); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := redistest.Start(t)
			lagging := server.StartReplica(t)
			way := newLine(t, server.Addr)
			moving := redisdb.Config{URL: "redis://" + way.addr, Volatile: true}
			appender, reader := open(t, moving, redislog.Config{}), open(t, moving, redislog.Config{})
			other := open(t, plain(server), redislog.Config{})
			add(t, other, event(1))
			cut(t, lagging, "1")
			lost := add(t, appender, event(2))
			if tree, err := reader.Tree(t.Context()); err != nil || tree.Size != 2 {
				t.Fatalf("got a tree of %d (%v), want 2", tree.Size, err)
			}
			promote(t, lagging)
			way.to(lagging.Addr)
			tt.after(t, open(t, plain(lagging), redislog.Config{})) // a process that was started anew
			for name, l := range map[string]*redislog.Log{"who appended": appender, "who saw": reader} {
				for range 2 {
					if got, err := l.Append(t.Context(), event(3)); !errors.Is(err, redislog.ErrLost) {
						t.Errorf("%s: got %+v, %v from Append, want %v", name, got, err, redislog.ErrLost)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				_, treeErr := l.Tree(t.Context())
				_, headErr := l.Head(t.Context())
				_, eraseErr := l.Erase(t.Context(), 1)
				_, readErr := l.Read(t.Context(), lost.Seq, 1)
				for what, err := range map[string]error{
					"Tree": treeErr, "Head": headErr, "Erase": eraseErr, "Read": readErr, "Wait": l.Wait(ctx, 100_000),
				} {
					if !errors.Is(err, redislog.ErrLost) {
						t.Errorf("%s: got %v from %s, want %v", name, err, what, redislog.ErrLost)
					}
				}
			}
		})
	}
}

// cut lets a replica stand still that has a log of a size.
func cut(t *testing.T, replica *redistest.Server, size string) {
	t.Helper()
	c := replica.Client(t)
	for end := time.Now().Add(20 * time.Second); c.HGet(t.Context(), "tocsin:{log}:head", "size").Val() != size; {
		if time.Now().After(end) {
			t.Fatalf("the replica does not get a log of %s", size)
		}
	}
	if err := c.Do(t.Context(), "REPLICAOF", "127.0.0.1", 1).Err(); err != nil {
		t.Fatal(err)
	}
}

// promote makes a replica the master.
func promote(t *testing.T, replica *redistest.Server) {
	t.Helper()
	if err := replica.Client(t).Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
}
