package edge_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// A request over a Unix socket tells which process of which user it is of; one over TCP
// tells nothing of the kind.
func TestPeer(t *testing.T) {
	tests := []struct {
		network, address string
		want             edge.Peer
		known            bool
	}{
		{"unix", filepath.Join(t.TempDir(), "s"), edge.Peer{UID: os.Getuid(), PID: os.Getpid()}, true},
		{"tcp", "127.0.0.1:0", edge.Peer{}, false},
	}
	for _, test := range tests {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), test.network, test.address)
		if err != nil {
			t.Fatal(err)
		}
		type seen struct {
			edge.Peer
			known bool
		}
		got := make(chan seen, 1)
		server := &http.Server{ReadHeaderTimeout: patience, ConnContext: edge.ConnContext, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			p, known := edge.PeerOf(r.Context())
			got <- seen{p, known}
		})}
		go func() { _ = server.Serve(l) }()
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, test.network, l.Addr().String())
		}}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://peer/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if g := <-got; g.Peer != test.want || g.known != test.known {
			t.Errorf("%s: got %+v, want %+v, %t", test.network, g, test.want, test.known)
		}
		_ = server.Close()
	}
}
