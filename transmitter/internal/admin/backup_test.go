package admin_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ssf/tocsin/transmitter/internal/admin"
)

// one is a listener of one connection in memory, so that its time is virtual.
type one struct{ conns chan net.Conn }

func (l one) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l one) Close() error { close(l.conns); return nil }

func (one) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// A copy that takes longer than the server's deadlines is answered.
func TestLongBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := echo.New()
		admin.Handler{Note: func(next echo.HandlerFunc) echo.HandlerFunc { return next }, Backup: func(ctx context.Context, _ string) error {
			select {
			case <-time.After(time.Hour):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}.Mount(e.Group(admin.Prefix))
		server := &http.Server{Handler: e, ReadHeaderTimeout: time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute}
		l := one{make(chan net.Conn)}
		done := make(chan error, 1)
		go func() { done <- server.Serve(l) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		body := `{"dir":"/copy"}`
		head := "POST /admin/backup HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n"
		if _, err := io.WriteString(ours, head+body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(ours), nil)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Errorf("after an hour: got %+v %v, want 204", resp, err)
		}
		_ = ours.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server's end: got %v, want ErrServerClosed", err)
		}
	})
}
