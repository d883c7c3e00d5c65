package soak_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// wire is the network between two processes: it hands on what comes to its address, late,
// not at all, or with a stranger's answer in its place.
type wire struct {
	Addr string
	to   string

	mu    sync.Mutex
	how   state
	conns map[net.Conn]bool // of both sides
	alive sync.WaitGroup
}

// state is how a wire is. Its zero value is a good one.
type state struct {
	cut   bool          // connections are refused
	delay time.Duration // of each piece, in both directions
	lies  []string      // one of them answers each connection; nil: the other side does
}

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Addr: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	w.alive.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.alive.Go(func() { w.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.set(state{cut: true})
		w.alive.Wait()
	})
	return w
}

// set changes the wire. Connections that are open end, unless all is well.
func (w *wire) set(how state) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.how = how
	if how.cut || how.lies != nil {
		for c := range w.conns {
			_ = c.Close()
		}
	}
}

func (w *wire) now() state {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.how
}

// keep notes a connection; false: the wire was cut meanwhile.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.how.cut {
		_ = c.Close()
		return false
	}
	w.conns[c] = true
	return true
}

func (w *wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
	_ = c.Close()
}

func (w *wire) serve(near net.Conn) {
	if !w.keep(near) {
		return
	}
	defer w.drop(near)
	if lies := w.now().lies; lies != nil {
		_, _ = near.Read(make([]byte, 4<<10)) // whatever it is
		_, _ = io.WriteString(near, lies[rand.IntN(len(lies))])
		return
	}
	far, err := net.DialTimeout("tcp", w.to, time.Second)
	if err != nil || !w.keep(far) {
		return
	}
	defer w.drop(far)
	back := make(chan struct{})
	go func() {
		defer close(back)
		w.hand(near, far)
	}()
	w.hand(far, near)
	<-back
}

// hand hands on pieces until one side has ended; the other ends then.
func (w *wire) hand(to, from net.Conn) {
	defer to.Close()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if d := w.now().delay; d > 0 {
			<-time.After(d)
		}
		if _, lost := to.Write(piece[:n]); err != nil || lost != nil {
			return
		}
	}
}
