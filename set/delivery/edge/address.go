package edge

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many proxies are looked behind.
const maxHops = 32

// networkBits is the part of an IPv6 address that stands for whoever has it: a
// subscriber has a whole /64 and may use another address for every request.
const networkBits = 64

// Address returns who sent r: the address of the connection, or what a trusted proxy
// says ([Config.Trusted]) if r came through [Handler]. It is the zero Addr on a Unix
// socket.
func Address(r *http.Request) netip.Addr {
	if req := From(r.Context()); req != nil {
		return req.address
	}
	return peer(r)
}

// Network returns what requests are counted by: the address, of IPv6 its /64.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = networkBits
	}
	p, _ := a.Prefix(bits) // the zero Prefix of the zero Addr
	return p
}

// peer is the address of the connection.
func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil { // a Unix socket
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// addressOf goes from the connection backwards through X-Forwarded-For, for as long as
// a trusted proxy speaks. What an untrusted one wrote is whatever it likes.
func addressOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	at := peer(r)
	if !within(trusted, at) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i, hop := range slices.Backward(hops) {
		next, ok := parseHop(hop)
		if !ok || len(hops)-i > maxHops {
			return at
		}
		at = next
		if !within(trusted, at) {
			return at
		}
	}
	return at
}

// parseHop reads one entry: an address, which some proxies write with a port.
func parseHop(hop string) (netip.Addr, bool) {
	hop = strings.TrimSpace(hop)
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	if err == nil {
		return a.Unmap(), true
	}
	at, err := netip.ParseAddrPort(hop)
	return at.Addr().Unmap(), err == nil
}

func within(ranges []netip.Prefix, a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) })
}
