package main_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

func stage(t *testing.T) (*transmitter.Transmitter, net.Listener) {
	t.Helper()
	n, err := node.Open(t.Context(), node.Config{Dir: t.TempDir(), Transmitter: transmitter.Config{Issuer: "https://ssf.example"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return n.Transmitter, l
}

// A part that ends by itself ends the whole, with an error: a server that
// accepts and does not deliver would look well.
func TestPartEnds(t *testing.T) {
	tr, l := stage(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err := main.Serve(t.Context(), tr, l, http.NotFoundHandler(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Errorf("got %v, want an error that says so", err)
	}
}

// The end waits for requests under way, and not for ever.
func TestDrain(t *testing.T) {
	for _, drain := range []time.Duration{time.Minute, time.Millisecond} {
		tr, l := stage(t)
		ctx, stop := context.WithCancel(t.Context())
		begun, finish := make(chan struct{}), make(chan struct{})
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			select {
			case <-finish:
			case <-r.Context().Done():
			}
		})
		served, answered := make(chan error, 1), make(chan error, 1)
		go func() { served <- main.Serve(ctx, tr, l, slow, drain) }()
		go func() {
			resp, err := http.Get("http://" + l.Addr().String())
			if err == nil {
				err = resp.Body.Close()
			}
			answered <- err
		}()
		<-begun
		stop()
		if drain == time.Minute {
			close(finish)
			if err := <-answered; err != nil {
				t.Errorf("a request under way: got %v, want its answer", err)
			}
			if err := <-served; err != nil {
				t.Errorf("an orderly end: got %v", err)
			}
			continue
		}
		if err := <-served; err == nil || !strings.Contains(err.Error(), "did not end in time") {
			t.Errorf("a request without end: got %v, want an error that says so", err)
		}
		if err := <-answered; err == nil {
			t.Error("a request without end: got an answer")
		}
	}
}
