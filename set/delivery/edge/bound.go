package edge

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// tellEvery is how often a log tells of refused connections.
const tellEvery = 10 * time.Second

// Why a connection was refused, for [Bounds.Refused].
const (
	RefusedTotal   = "total"   // there are as many as there may be
	RefusedAddress = "address" // there are as many from this address
)

// Bounds say how many connections there may be.
type Bounds struct {
	// Conns bounds them all, ConnsPerAddress those of one address, of IPv6 one /64;
	// zero or less: no bound.
	Conns, ConnsPerAddress int
	// Trusted are proxies, who are not bounded by address: they speak for many.
	Trusted []netip.Prefix
	// Listener names the listener in the log. Logger: nil is slog.Default.
	Listener string
	Logger   *slog.Logger
	// Refused is told of each connection that is refused, and why; nil: nobody is.
	Refused func(why string)
}

// Bound returns l with bounds. What is beyond them is closed as soon as it is there, so
// that it takes no place in the queue of those who wait to be accepted. A listener
// whose connections have no IP address, such as a Unix socket's, is returned as it is.
func Bound(l net.Listener, b Bounds) net.Listener {
	if _, tcp := l.Addr().(*net.TCPAddr); !tcp || b.Conns <= 0 && b.ConnsPerAddress <= 0 {
		return l
	}
	if b.Logger == nil {
		b.Logger = slog.Default()
	}
	if b.Refused == nil {
		b.Refused = func(string) {}
	}
	return &bounded{Listener: l, bounds: b, by: make(map[netip.Prefix]int), tell: rate.Sometimes{Interval: tellEvery}}
}

type bounded struct {
	net.Listener
	bounds Bounds
	tell   rate.Sometimes

	mu    sync.Mutex
	total int
	by    map[netip.Prefix]int // of those that are open: not more than total
}

// Accept returns the next connection within the bounds.
func (l *bounded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok { // wrapped by somebody else: its address is not known to be one
			return c, nil
		}
		at := address(tcp)
		from := Network(at)
		if why := l.admit(from, within(l.bounds.Trusted, at)); why != "" {
			l.refuse(tcp, at, why)
			continue
		}
		return &conn{TCPConn: tcp, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
	}
}

func address(c *net.TCPConn) netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// admit counts a connection, or says why it is refused.
func (l *bounded) admit(from netip.Prefix, trusted bool) (why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch most := l.bounds.ConnsPerAddress; {
	case l.bounds.Conns > 0 && l.total >= l.bounds.Conns:
		return RefusedTotal
	case most > 0 && !trusted && l.by[from] >= most:
		return RefusedAddress
	}
	l.total++
	l.by[from]++
	return ""
}

func (l *bounded) leave(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.by[from]--; l.by[from] == 0 {
		delete(l.by, from)
	}
}

func (l *bounded) refuse(c *net.TCPConn, from netip.Addr, why string) {
	_ = c.SetLinger(0) // nothing of it stays, not even in the kernel
	_ = c.Close()
	l.bounds.Refused(why)
	l.tell.Do(func() {
		l.bounds.Logger.Warn("connections are refused, there are too many", "listener", l.bounds.Listener, "bound", why, "address", from.String())
	})
}

// conn gives its place free when it is closed.
type conn struct {
	*net.TCPConn
	leave func()
}

// Close closes the connection.
func (c *conn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}
