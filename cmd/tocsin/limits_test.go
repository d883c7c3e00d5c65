package main_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// pipes is a listener in memory, so that its time can be virtual.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.done); return nil }

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dial connects to a server of the command, as it is set up for everybody.
func dial(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	server := main.NewServer(h, slog.New(slog.DiscardHandler))
	l := pipes{make(chan net.Conn), make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	ours, theirs := net.Pipe()
	l.conns <- theirs
	t.Cleanup(func() {
		if err := errors.Join(ours.Close(), server.Close()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: got %v", err)
		}
	})
	return ours
}

// A client that takes no answer does not hold a handler for ever.
func TestClientThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		client := dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for range 1000 {
				if _, err = w.Write(make([]byte, 1<<16)); err != nil {
					break
				}
			}
			ended <- err
		}))
		start := time.Now()
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if took := time.Since(start); err == nil || took > 2*time.Minute {
				t.Errorf("got %v after %v, want the write cut within two minutes", err, took)
			}
		case <-time.After(24 * time.Hour):
			t.Fatal("the handler is still held after a day")
		}
	})
}
