package guard

import (
	"context"
	"net"
	"net/http"
)

// Dial connects as the client of p does for https, without the check of the URL.
func Dial(ctx context.Context, p Policy, address string) (net.Conn, error) {
	return dialer(guardian(p))(ctx, "tcp", address)
}

// DialPlain connects as the client does for plain http.
func DialPlain(ctx context.Context, address string) (net.Conn, error) {
	return dialer(loopbackOnly())(ctx, "tcp", address)
}

// UsesProxy reports whether the client may hand a call to a proxy.
func UsesProxy(c *http.Client) bool {
	t := c.Transport.(*transport)
	return t.secure.Proxy != nil || t.plain.Proxy != nil
}
