package main_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// hurry is the part of the usual times that the doors of these tests give: 0.2 s for
// a head, 0.6 s for a request, 1.2 s for an answer, 2.4 s between two requests.
const hurry = 50

// soon is when a slow client must have been cut; much is left for a busy machine.
const soon = 20 * time.Second

// door serves h as a listener of the command's is, in a hurry, and returns its address.
func door(t *testing.T, h http.Handler, settings config.EdgeSettings, secure *tls.Config) net.Addr {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := main.HastyDoor(l, h, settings, secure, hurry, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr()
}

func raw(t *testing.T, to net.Addr) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{Timeout: soon}).DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(soon))
	return c
}

// trickle writes text byte by byte, a little faster than once in every gap, until the
// other side has had enough, and then returns what it said.
func trickle(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	answer := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(c) // to its end, which may be a reset
		answer <- string(said)
	}()
	for i := 0; ; i++ {
		select {
		case said := <-answer:
			return said
		case <-tick.C:
			if i < len(text) {
				_, _ = io.WriteString(c, text[i:i+1])
			} else {
				_, _ = io.WriteString(c, "a")
			}
		}
	}
}

// SEC-08: whoever sends slowly, or nothing, is cut, at each step of a connection; a
// thousand years of patience do not keep a place.
func TestSlowClients(t *testing.T) {
	t.Parallel() // it waits
	pair, _, err := localca.Certificate(t.TempDir(), []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	secure := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	plain, https := door(t, read, config.EdgeSettings{}, nil), door(t, read, config.EdgeSettings{}, secure)
	for _, tt := range []struct {
		name   string
		to     net.Addr
		client func(t *testing.T, c net.Conn)
	}{
		{"nothing at all", plain, nil},
		{"nothing of a handshake", https, nil},
		{"a handshake byte by byte", https, func(t *testing.T, c net.Conn) { trickle(t, c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") }},
		{"a request line byte by byte", plain, func(t *testing.T, c net.Conn) { trickle(t, c, "GET /aaaaaaaaaa") }},
		{"headers byte by byte", plain, func(t *testing.T, c net.Conn) { trickle(t, c, "GET / HTTP/1.1\r\nHost: x\r\nX-A: b") }},
		{"headers line by line", plain, func(t *testing.T, c net.Conn) {
			trickle(t, c, "GET / HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("A: b\r\n", 1000))
		}},
		{"a body byte by byte", plain, func(t *testing.T, c net.Conn) {
			if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			trickle(t, c, "")
		}},
		{"chunks of one byte", plain, func(t *testing.T, c net.Conn) {
			if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			trickle(t, c, strings.Repeat("1\r\na\r\n", 1000))
		}},
		{"nothing after a request", plain, func(t *testing.T, c net.Conn) {
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := raw(t, tt.to)
			if tt.client != nil {
				tt.client(t, c)
			}
			_, err := io.Copy(io.Discard, c)
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Errorf("got it kept for %v, want it cut", soon)
			}
		})
	}
}

// SEC-08: a hundred slow clients of one address hold up nobody else, not even in a
// listener that is full for them.
func TestSlowClientsAndOthers(t *testing.T) {
	t.Parallel()
	to := door(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		config.EdgeSettings{MaxConnections: 200, MaxConnectionsPerAddress: 50}, nil)
	for range 100 {
		c, err := (&net.Dialer{Timeout: soon}).DialContext(t.Context(), "tcp", to.String())
		if err != nil {
			continue // refused before it was there
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n")
	}
	d := net.Dialer{Timeout: soon, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := d.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Errorf("got %v, %v, want 204", resp, err)
	}
}

// A head that is too long is 431, and not read further.
func TestLongHead(t *testing.T) {
	t.Parallel()
	asked := false
	to := door(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }), config.EdgeSettings{}, nil)
	for name, head := range map[string]string{
		"one header":   "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 64<<10),
		"many headers": "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: a\r\n", 8<<10),
		"the path":     "GET /" + strings.Repeat("a", 64<<10),
	} {
		c := raw(t, to)
		go func() { _, _ = io.WriteString(c, head) }() // what it does not take it does not take
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge || asked {
			t.Errorf("SEC-08 %s: got %v, %v, asked %t, want 431", name, resp, err, asked)
		}
	}
}

// A handler that lifts its deadlines, as a poll does that waits, is behind the edge as
// it is without: it waits for longer than a request may take.
func TestLongPollBehindTheEdge(t *testing.T) {
	t.Parallel()
	to := door(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Now().Add(soon))); err != nil {
			t.Errorf("got %v, want deadlines that can be set", err)
		}
		select {
		case <-r.Context().Done():
			t.Error("got the request ended, want it left to wait")
		case <-time.After(2 * time.Second): // longer than any time of the door but idle
		}
		w.WriteHeader(http.StatusNoContent)
	}), config.EdgeSettings{}, nil)
	c := raw(t, to)
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Errorf("got %v, %v, want 204", resp, err)
	}
}

// What a listener of the command does with a request is done on every one: an id, the
// headers of an API, one line in the log, and the client's address, which is a proxy's
// word only if that is trusted.
func TestDoor(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{true, false} {
		var settings config.EdgeSettings
		want := "127.0.0.1"
		if trusted {
			settings.TrustedProxy = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			want = "203.0.113.7"
		}
		to := door(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, edge.Address(r).String())
		}), settings, nil)
		c := raw(t, to)
		if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.7\r\nX-Request-Id: abcdefgh-1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		if err != nil || string(said) != want {
			t.Errorf("proxy trusted %t: got address %s (%v), want %s", trusted, said, err, want)
		}
		for name, value := range map[string]string{"X-Request-Id": "abcdefgh-1", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Strict-Transport-Security": ""} {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: got %q, want %q", name, got, value)
			}
		}
	}
}
