package adminapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter"
)

func config(dir string) node.Config {
	return node.Config{Dir: dir, Transmitter: transmitter.Config{Issuer: "https://ssf.example"}}
}

// serve runs the admin API of dir on its socket until the test ends.
func serve(t *testing.T, dir string) {
	t.Helper()
	n, err := node.Open(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	l, err := adminapi.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: n.Transmitter.SocketHandler()}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: got %v, want ErrServerClosed", err)
		}
		if err := n.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	})
}

// exercise does what commands do: it must be the same with and without a server.
func exercise(t *testing.T, dir string) {
	t.Helper()
	c, err := adminapi.Open(t.Context(), config(dir), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	}()
	var made struct{ ID string }
	ask := map[string]any{"id": "shop", "audience": []string{"https://shop.example"}}
	if err := c.Do(t.Context(), http.MethodPost, "/admin/applications", ask, &made); err != nil || made.ID != "shop" {
		t.Errorf("an object: got %+v and %v, want shop", made, err)
	}
	var raw json.RawMessage
	if err := c.Do(t.Context(), http.MethodGet, "/admin/applications", nil, &raw); err != nil || !strings.Contains(string(raw), "shop.example") {
		t.Errorf("a list: got %s and %v, want shop.example in it", raw, err)
	}
	if err := c.Do(t.Context(), http.MethodDelete, "/admin/applications/shop", nil, nil); err != nil {
		t.Errorf("no content: got %v", err)
	}
	tests := []struct {
		name, method, path string
		body               any
		status             int
		text               string
	}{
		{"not found", http.MethodDelete, "/admin/applications/shop", nil, 404, "there is no such thing here"},
		{"no route", http.MethodGet, "/admin/nothing", nil, 404, "Not Found"},
		{"a member", http.MethodPost, "/admin/clients", map[string]string{"id": "x", "scope": "ssf.read"}, 400, "audience is missing"},
		{"an event", http.MethodPost, "/admin/events", []byte(`{"type":"nonsense"}`), 400, "subject is missing"},
		{"junk", http.MethodPost, "/admin/backup", []byte(`{`), 400, "JSON"},
	}
	for _, test := range tests {
		err := c.Do(t.Context(), test.method, test.path, test.body, nil)
		var refused *adminapi.Error
		if !errors.As(err, &refused) || refused.Status != test.status || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: got %v, want status %d and %q", test.name, err, test.status, test.text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(ctx, http.MethodGet, "/admin/keys", nil, &raw); err == nil {
		t.Error("a context that has ended: got no error")
	}
}

func TestWithoutServer(t *testing.T) {
	dir := t.TempDir()
	exercise(t, dir)
	lock, err := sqlitedb.LockFolder(dir)
	if err != nil {
		t.Fatalf("after Close: got %v, want a free folder", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestWithServer(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir)
	exercise(t, dir)
}

// A path that no socket's address can hold works like any other.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 40), "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	serve(t, dir)
	exercise(t, dir)
	left, err := filepath.Glob(filepath.Join(dir, ".socket-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %q left behind (%v), want nothing", left, err)
	}
}

// The socket is for this user alone, and takes the place of a dead server's.
func TestSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, adminapi.SocketFile)
	for _, life := range []string{"first", "second"} {
		l, err := adminapi.Listen(t.Context(), dir)
		if err != nil {
			t.Fatalf("%s: got %v", life, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
			t.Errorf("%s: got mode %v (%v), want a socket with 0600", life, info.Mode(), err)
		}
		conn, err := adminapi.Dial(t.Context(), dir)
		if err != nil {
			t.Fatalf("%s: dial: got %v", life, err)
		}
		if err := errors.Join(conn.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		if conn, err := adminapi.Dial(t.Context(), dir); err == nil {
			_ = conn.Close()
			t.Errorf("%s: got a connection to a dead server", life)
		}
	}
	exercise(t, dir) // a dead server's socket does not keep a command from the folder

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if l, err := adminapi.Listen(t.Context(), dir); err == nil {
		_ = l.Close()
		t.Error("a folder of that name: got no error")
	}
}

// A folder that another process holds without an answer is waited for, for as
// long as was said.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	lock, err := sqlitedb.LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adminapi.Open(t.Context(), config(dir), 0); !errors.Is(err, sqlitedb.ErrLocked) {
		t.Errorf("without patience: got %v, want ErrLocked", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := adminapi.Open(ctx, config(dir), time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: got %v, want it", err)
	}
	opened := make(chan error, 1)
	go func() {
		c, err := adminapi.Open(t.Context(), config(dir), time.Hour)
		if err == nil {
			err = c.Close()
		}
		opened <- err
	}()
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("with patience: got %v, want the folder", err)
	}
}

// What answers on the socket and is no server of ours is an error, not a hang.
func TestNotOurs(t *testing.T) {
	dir := t.TempDir()
	l, err := adminapi.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	c, err := adminapi.Open(t.Context(), config(dir), 0)
	if err != nil {
		t.Fatal(err)
	}
	var out json.RawMessage
	if err := c.Do(t.Context(), http.MethodGet, "/admin/keys", nil, &out); err == nil || !strings.Contains(err.Error(), "answer") {
		t.Errorf("got %v, want an error about the answer", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: got %v", err)
	}
}

func answer(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 1))
	_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<p>"))
	_ = conn.Close()
}
