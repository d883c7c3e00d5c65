package redisinbox_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// lossy stands between a client and the server. It passes on what is asked, and cuts the
// connection instead of bringing the answer that is to be lost.
type lossy struct {
	addr string
	next atomic.Int64 // which of the next answers is to be lost; 0: none
	lost atomic.Int64
}

func newLossy(t *testing.T, target string) *lossy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{addr: listener.Addr().String()}
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			end := func() { _, _ = in.Close(), out.Close() }
			work.Go(func() { _, _ = io.Copy(out, in); end() })
			work.Go(func() { l.answers(in, out); end() })
		}
	})
	return l
}

func (l *lossy) answers(to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if l.next.Add(-1) == 0 {
			l.lost.Add(1)
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// An answer that is lost after the server did what it was asked: what is sent again by
// the client comes to the same.
func TestAnswerLost(t *testing.T) {
	server := redistest.Start(t)
	line := newLossy(t, server.Addr)
	cfg := configOf(line.addr)
	cfg.Redis.URL += "?protocol=2&pool_size=1&min_retry_backoff=1ms"
	in := open(t, cfg)
	defer func() { _ = in.Close() }()
	direct := open(t, configOf(server.Addr))
	defer func() { _ = direct.Close() }()
	prepare := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		// The scripts are known by now, or the first answer lost would be NOSCRIPT.
		line.next.Store(1)
	}
	lostOne := func(what string, err error) {
		t.Helper()
		if n := line.lost.Swap(0); n != 1 || err != nil {
			t.Fatalf("%s: got %d answers lost and %v, want 1 and no error", what, n, err)
		}
	}
	state := "s"
	verification := message("v")
	verification.State = &state
	_, err := in.Append(t.Context(), message("first"))
	m := takeAll(t, in, 1)["first"]
	err = errors.Join(err, in.Settle(t.Context(), inbox.Outcome{Seq: m.Seq}), in.Expect(t.Context(), "f", state, time.Now().Add(time.Hour)))

	prepare(err)
	got, err := in.Append(t.Context(), message("a"), message("a"), verification)
	lostOne("append", err)
	if got[0] != (inbox.Appended{}) || !got[1].Duplicate || got[2] != (inbox.Appended{}) {
		t.Errorf("got %+v, want them kept, and once", got)
	}

	prepare(nil)
	taken, err := in.Take(t.Context(), "f", 10)
	lostOne("take", err)
	if len(taken) != 2 {
		t.Fatalf("got %+v, want both", taken)
	}

	prepare(nil)
	err = in.Settle(t.Context(), inbox.Outcome{Seq: taken[0].Seq, Verdict: inbox.Again, Due: time.Now()}, inbox.Outcome{Seq: taken[1].Seq, Verdict: inbox.SetAside})
	lostOne("settle", err)
	if c, err := direct.Counts(t.Context(), "f"); err != nil || c.Waiting != 1 || c.Failing != 1 || c.Dead != 1 || c.Running != 0 {
		t.Errorf("got %+v, %v, want one that failed and one dead letter", c, err)
	}
	again := takeAll(t, direct, 1)["a"]
	if again.Attempts != 1 {
		t.Errorf("got %d attempts, want 1", again.Attempts)
	}
	if err := direct.Drop(t.Context(), "https://t.example", "unknown"); !errors.Is(err, inbox.ErrNotFound) {
		t.Fatalf("got %v, want %v", err, inbox.ErrNotFound)
	}

	if err := in.Drop(t.Context(), "https://t.example", "unknown"); !errors.Is(err, inbox.ErrNotFound) {
		t.Fatalf("got %v, want %v", err, inbox.ErrNotFound)
	}
	line.next.Store(2) // behind the list of feeds
	lostOne("drop", in.Drop(t.Context(), "https://t.example", "v"))
	if c, err := direct.Counts(t.Context(), "f"); err != nil || c.Dead != 0 {
		t.Errorf("got %+v, %v, want no dead letter", c, err)
	}
}

// A message is acknowledged when the replicas have it, and not before. A repeat says the
// same.
func TestReplicas(t *testing.T) {
	server := redistest.Start(t)
	replica := server.StartReplica(t)
	cfg := configOf(server.Addr)
	cfg.Redis.Replicas, cfg.Redis.ReplicaWait = 1, time.Second
	in := open(t, cfg)
	defer func() { _ = in.Close() }()
	if _, err := in.Append(t.Context(), message("a")); err != nil {
		t.Fatal(err)
	}
	copied := keyOf(t, replica.Client(t), "messages")
	if n := replica.Client(t).HLen(t.Context(), copied).Val(); n != 1 {
		t.Errorf("got %d messages at the replica, want 1", n)
	}
	replica.Stop()
	for range 2 {
		if _, err := in.Append(t.Context(), message("b")); !errors.Is(err, redisdb.ErrReplicas) {
			t.Errorf("got %v without a replica, want %v", err, redisdb.ErrReplicas)
		}
	}
	server.StartReplica(t)
	got, err := in.Append(t.Context(), message("b"))
	for end := time.Now().Add(10 * time.Second); errors.Is(err, redisdb.ErrReplicas) && time.Now().Before(end); {
		got, err = in.Append(t.Context(), message("b")) // it may still be loading what there is
	}
	if err != nil || !got[0].Duplicate {
		t.Errorf("got %+v, %v, want a duplicate: it was kept, and is at the replica now", got, err)
	}
}

// The server away for a while: calls fail, and all continues by itself.
func TestServerAway(t *testing.T) {
	server := redistest.StartDurable(t)
	var log bytes.Buffer
	cfg := configOf(server.Addr)
	cfg.Redis.Logger, cfg.Timeout = slog.New(slog.NewTextHandler(&log, nil)), 500*time.Millisecond
	in := open(t, cfg)
	defer func() { _ = in.Close() }()
	if _, err := in.Append(t.Context(), message("a")); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, err := in.Append(t.Context(), message("b")); err == nil || errors.Is(err, inbox.ErrClosed) {
		t.Errorf("got %v while the server is away, want an error of the store", err)
	}
	if _, err := in.Take(t.Context(), "f", 1); err == nil {
		t.Error("got no error from Take while the server is away, want one")
	}
	server.Restart(t)
	if _, err := in.Append(t.Context(), message("b")); err != nil {
		t.Errorf("got %v, want it to go on", err)
	}
	for _, m := range takeAll(t, in, 2) {
		if err := in.Settle(t.Context(), inbox.Outcome{Seq: m.Seq}); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(log.String(), "a.b.c") {
		t.Errorf("got %s, want no token logged", log.String())
	}
}

// A server that has lost everything gives numbers anew: two feeds with one number would
// make one message's outcome that of another.
func TestServerForgets(t *testing.T) {
	server := redistest.Start(t)
	in := open(t, configOf(server.Addr))
	defer func() { _ = in.Close() }()
	if _, err := in.Append(t.Context(), message("a")); err != nil {
		t.Fatal(err)
	}
	if err := server.Client(t).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	m := message("b")
	m.Feed = "g"
	if _, err := in.Append(t.Context(), m); err == nil {
		t.Error("got the first feed's number given again, want an error")
	}
}
