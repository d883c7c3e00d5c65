package guard

import (
	"context"
	"net"
	"net/http"
	"syscall"
)

// Dial connects as the client of p does for https, without the check of the URL.
func Dial(ctx context.Context, p Policy, address string) (net.Conn, error) {
	return dialer(newJudge(p))(ctx, "tcp", address)
}

// DialPlain connects as the client does for plain http.
func DialPlain(ctx context.Context, address string) (net.Conn, error) {
	return dialer(loopbackJudge())(ctx, "tcp", address)
}

// Judge judges an address under p.
func Judge(p Policy, network, address string) error { return newJudge(p).connection(network, address) }

// Resolving returns the client of p with names resolved by r, as the system's resolver
// would be asked.
func Resolving(p Policy, r *net.Resolver) *http.Client {
	c := NewClient(p)
	t := c.Transport.(*transport)
	j := newJudge(p)
	t.secure.DialContext = (&net.Dialer{
		Timeout: dialTimeout, Resolver: r,
		Control: func(network, address string, _ syscall.RawConn) error { return j.connection(network, address) },
	}).DialContext
	return c
}

// UsesProxy reports whether the client may hand a call to a proxy.
func UsesProxy(c *http.Client) bool {
	t := c.Transport.(*transport)
	return t.secure.Proxy != nil || t.plain.Proxy != nil
}
