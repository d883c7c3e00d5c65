package edge_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

const patience = 10 * time.Second

// guest is a connection from an address of this machine; nil if it was cut before it
// was there for us.
func guest(t *testing.T, l net.Listener, from string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// host accepts on l, and greets.
func host(t *testing.T, l net.Listener) <-chan net.Conn {
	t.Helper()
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "!")
			accepted <- c
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return accepted
}

// greeted reports whether a connection was let in: a refused one is cut.
func greeted(t *testing.T, c net.Conn) bool {
	t.Helper()
	if c == nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(make([]byte, 1))
	if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // it is not wrapped
		t.Fatal("got neither a greeting nor an end")
	}
	return n == 1
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// One address has its share and no more; others come in all the same, and so does it
// again when one of its connections ends.
func TestBoundPerAddress(t *testing.T) {
	refused := make(chan string, 10)
	l := edge.Bound(listen(t), edge.Bounds{
		Conns: 10, ConnsPerAddress: 2, Logger: slog.New(slog.DiscardHandler), Refused: func(why string) { refused <- why },
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")},
	})
	accepted := host(t, l)
	first := guest(t, l, "127.0.0.1")
	for _, c := range []net.Conn{first, guest(t, l, "127.0.0.1")} {
		if !greeted(t, c) {
			t.Fatal("within the bound: got it refused")
		}
	}
	if greeted(t, guest(t, l, "127.0.0.1")) {
		t.Error("the third: got it let in")
	}
	if why := <-refused; why != edge.RefusedAddress {
		t.Errorf("got %s, want %s", why, edge.RefusedAddress)
	}
	if !greeted(t, guest(t, l, "127.0.0.2")) {
		t.Error("another address: got it refused")
	}
	for range 4 {
		if !greeted(t, guest(t, l, "127.0.0.9")) {
			t.Error("a trusted proxy: got it refused")
		}
	}
	ours := <-accepted
	_ = ours.Close()
	_ = ours.Close() // a second time counts for nothing
	if !greeted(t, guest(t, l, "127.0.0.1")) {
		t.Error("after one has ended: got it refused")
	}
	if greeted(t, guest(t, l, "127.0.0.1")) {
		t.Error("beyond the bound again: got it let in")
	}
}

// All together have a bound, too, and those beyond it do not wait in a queue.
func TestBoundTotal(t *testing.T) {
	refused := make(chan string, 10)
	l := edge.Bound(listen(t), edge.Bounds{Conns: 2, Logger: slog.New(slog.DiscardHandler), Refused: func(why string) { refused <- why }})
	accepted := host(t, l)
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
		if !greeted(t, guest(t, l, from)) {
			t.Errorf("%s: got it refused", from)
		}
	}
	if greeted(t, guest(t, l, "127.0.0.3")) || <-refused != edge.RefusedTotal {
		t.Error("got it let in, or refused by another bound")
	}
	_ = (<-accepted).Close()
	if !greeted(t, guest(t, l, "127.0.0.3")) {
		t.Error("after one has ended: got it refused")
	}
}

// What has no addresses has no bound by them.
func TestBoundSocket(t *testing.T) {
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if got := edge.Bound(socket, edge.Bounds{Conns: 1}); got != socket {
		t.Errorf("got %T, want the listener itself", got)
	}
	tcp := listen(t)
	defer tcp.Close()
	if got := edge.Bound(tcp, edge.Bounds{}); got != tcp {
		t.Errorf("got %T, want the listener itself", got)
	}
}
