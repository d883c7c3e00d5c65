package edge

import (
	"context"
	"net"
)

// Peer is the process at the other end of a Unix socket.
type Peer struct {
	UID, PID int
	// Own: it is this process, which asks itself: a command on a store that it opened.
	Own bool
}

type peerKey struct{}

// ConnContext is for [net/http.Server.ConnContext]: what comes over a Unix socket tells
// whose it is ([PeerOf]), by the kernel's word, where the system has it.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	p, ok := peerOf(unix)
	if !ok {
		return ctx
	}
	return WithPeer(ctx, p)
}

// WithPeer returns ctx with a peer.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerOf returns the peer that a request's context has; false if none is known.
func PeerOf(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}
