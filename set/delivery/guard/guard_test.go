package guard_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// SEC-01, SEC-02: private, loopback, link-local and other special addresses are
// refused when the connection is made, whatever the URL looked like.
func TestDialRefusesSpecialAddresses(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:443",
		"127.8.8.8:8443",
		"localhost:443", // a name that resolves to loopback
		"0.0.0.0:443",
		"10.1.2.3:443",
		"172.16.0.1:443",
		"192.168.1.1:443",
		"100.64.0.1:443",
		"169.254.0.9:443",
		"169.254.169.254:80", // cloud metadata
		"192.0.2.1:443",
		"198.18.0.1:443",
		"224.0.0.1:443",
		"255.255.255.255:443",
		"[::1]:443",
		"[::]:443",
		"[::ffff:127.0.0.1]:443",
		"[::ffff:10.0.0.1]:443",
		"[64:ff9b::a00:1]:443", // NAT64 of 10.0.0.1
		"[2002:a00:1::]:443",   // 6to4 of 10.0.0.1
		"[fc00::1]:443",
		"[fd00:ec2::254]:80", // cloud metadata
		"[fe80::1]:443",
		"[ff02::1]:443",
	} {
		t.Run(address, func(t *testing.T) {
			conn, err := guard.Dial(t.Context(), guard.Policy{}, address)
			if conn != nil {
				_ = conn.Close()
			}
			if !guard.Blocked(err) || !errors.Is(err, guard.ErrBlocked) {
				t.Errorf("got %v, want the address refused", err)
			}
		})
	}
}

// SEC-01: a range is callable once configuration allows it, and only that range.
func TestDialAllowedByPolicy(t *testing.T) {
	listener := listen(t)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		policy guard.Policy
		host   string
		want   bool
	}{
		{"prefix", guard.Policy{Allow: prefixes("127.0.0.0/8")}, "127.0.0.1", true},
		{"single address", guard.Policy{Allow: prefixes("127.0.0.1/32")}, "127.0.0.1", true},
		{"prefix written as mapped IPv6", guard.Policy{Allow: prefixes("::ffff:127.0.0.0/104")}, "127.0.0.1", true},
		{"name into an allowed prefix", guard.Policy{Allow: prefixes("127.0.0.1/32", "::1/128")}, "localhost", true},
		{"loopback on request", guard.Policy{InsecureLoopback: true}, "127.0.0.1", true},
		{"another prefix", guard.Policy{Allow: prefixes("10.0.0.0/8")}, "127.0.0.1", false},
		{"neighbour of an allowed address", guard.Policy{Allow: prefixes("127.0.0.2/32")}, "127.0.0.1", false},
		{"all of IPv6 is nothing of IPv4", guard.Policy{Allow: prefixes("::/0")}, "127.0.0.1", false},
		{"loopback on request is loopback alone", guard.Policy{InsecureLoopback: true}, "10.0.0.1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := guard.Dial(t.Context(), tt.policy, net.JoinHostPort(tt.host, port))
			if conn != nil {
				_ = conn.Close()
			}
			if got := err == nil; got != tt.want || !tt.want && !guard.Blocked(err) {
				t.Errorf("got connected %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// SEC-01: plain http reaches loopback addresses alone, also through a name.
func TestDialPlainLoopbackOnly(t *testing.T) {
	listener := listen(t)
	conn, err := guard.DialPlain(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatalf("got %v, want a connection to loopback", err)
	}
	_ = conn.Close()
	for _, address := range []string{"10.0.0.1:80", "1.1.1.1:80", "[2606:4700::1111]:80", "0.0.0.0:80"} {
		if _, err := guard.DialPlain(t.Context(), address); !guard.Blocked(err) {
			t.Errorf("%s: got %v, want the address refused", address, err)
		}
	}
}

// SEC-01: the client itself refuses what CheckURL refuses, even if nobody asked it.
func TestClientChecksEveryRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("got a request, want none")
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for _, tt := range []struct {
		name   string
		url    string
		policy guard.Policy
	}{
		{"plain http", server.URL, guard.Policy{}},
		{"plain http, loopback allowed as a prefix only", server.URL, guard.Policy{Allow: prefixes("127.0.0.0/8")}},
		{"https to loopback", "https://127.0.0.1:" + port, guard.Policy{}},
		{"https to a name of loopback", "https://localhost:" + port, guard.Policy{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := &closable{Reader: strings.NewReader("x")}
			resp, err := guard.NewClient(tt.policy).Post(tt.url, "text/plain", body)
			if err == nil {
				_ = resp.Body.Close()
				t.Fatal("got an answer, want an error")
			}
			if !body.closed {
				t.Error("got the request body left open, want it closed")
			}
		})
	}
}

func TestClientInsecureLoopback(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()
	client := guard.NewClient(guard.Policy{InsecureLoopback: true})
	defer client.CloseIdleConnections()
	for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		if got, err := fetch(client, url); err != nil || got != "hello" {
			t.Errorf("%s: got %q, %v, want hello", url, got, err)
		}
	}
}

// SEC-01: a redirect is an answer, not an order.
func TestClientFollowsNoRedirect(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("got a request for %s, want none", r.URL.Path)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	client := guard.NewClient(guard.Policy{Allow: prefixes("127.0.0.1/32"), RootCAs: roots(server)})
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("got status %d, want 307", resp.StatusCode)
	}
}

// PUSH-5.3-01, INTEROP-2.1-01: TLS 1.2 or newer. PUSH-3-01: the certificate counts.
func TestClientTLS(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version uint16
		trusted bool
		want    bool
	}{
		{"TLS 1.1", tls.VersionTLS11, true, false},
		{"TLS 1.2", tls.VersionTLS12, true, true},
		{"TLS 1.3", tls.VersionTLS13, true, true},
		{"unknown authority", tls.VersionTLS13, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tt.version}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			defer server.Close()
			policy := guard.Policy{InsecureLoopback: true, RootCAs: x509.NewCertPool()}
			if tt.trusted {
				policy.RootCAs = roots(server)
			}
			if _, err := fetch(guard.NewClient(policy), server.URL); (err == nil) != tt.want {
				t.Errorf("got %v, want success %v", err, tt.want)
			}
		})
	}
}

// SEC-01, SEC-02: a body without end is read up to the limit.
func TestEndlessBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 4096)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	resp, err := guard.NewClient(guard.Policy{InsecureLoopback: true}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = guard.ReadBody(resp.Body, 10_000)
	if tooLarge, ok := errors.AsType[*guard.TooLargeError](err); !ok || tooLarge.Limit != 10_000 {
		t.Errorf("got %v, want a TooLargeError of 10000 bytes", err)
	}
}

// SEC-01, SEC-02: a body that trickles ends with the client's time.
func TestTricklingBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			_, _ = io.WriteString(w, ".")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer server.Close()
	client := guard.NewClient(guard.Policy{InsecureLoopback: true, Timeout: 100 * time.Millisecond})
	_, err := fetch(client, server.URL)
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("got %v, want a time-out", err)
	}
}

// SEC-01: a header section without end is refused.
func TestEndlessHeader(t *testing.T) {
	listener := listen(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = bufio.NewReader(conn).ReadString('\n')
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = io.WriteString(conn, "X-Filler: "+strings.Repeat("x", 1000)+"\r\n")
		}
	}()
	client := guard.NewClient(guard.Policy{InsecureLoopback: true, Timeout: time.Minute})
	_, err := fetch(client, "http://"+listener.Addr().String())
	if timeout, ok := errors.AsType[net.Error](err); err == nil || ok && timeout.Timeout() {
		t.Errorf("got %v, want an error before the time-out", err)
	}
}

// SEC-01: a proxy would make the connection in the guard's stead.
func TestClientUsesNoProxy(t *testing.T) {
	if guard.UsesProxy(guard.NewClient(guard.Policy{})) {
		t.Error("got a proxy function, want none")
	}
}

type closable struct {
	io.Reader
	closed bool
}

func (c *closable) Close() error { c.closed = true; return nil }

func fetch(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := guard.ReadBody(resp.Body, 1<<20)
	return string(b), err
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

func roots(server *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}
