package edge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// serve answers one request behind the edge, and returns what was logged, too.
func serve(t *testing.T, h http.HandlerFunc, cfg edge.Config, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	var logged bytes.Buffer
	cfg.Logger = slog.New(edge.LogHandler(slog.NewTextHandler(&logged, nil)))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://ssf.example/v1/events?subject=secret-subject", nil)
	r.RemoteAddr = "203.0.113.7:4711"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	edge.Handler(h, cfg).ServeHTTP(w, r)
	return w.Result(), logged.String()
}

// Every answer has the headers of an API, an error's, too; a handler may say what
// caches may keep.
func TestHeaders(t *testing.T) {
	for _, tt := range []struct {
		name  string
		h     http.HandlerFunc
		cache string
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, "no-store"},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) }, "no-store"},
		{"metadata", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "public, max-age=60") }, "public, max-age=60"},
	} {
		resp, _ := serve(t, tt.h, edge.Config{}, nil)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000", "Cache-Control": tt.cache,
		} {
			if got := resp.Header.Get(name); got != want && (name != "Cache-Control" || tt.name != "an error") {
				t.Errorf("%s: got %s %q, want %q", tt.name, name, got, want)
			}
		}
	}
}

// Strict-Transport-Security goes out by https alone (RFC 6797 §7.2), and not for
// this machine, whose other ports it would close.
func TestStrictTransportSecurity(t *testing.T) {
	for host, want := range map[string]bool{
		"ssf.example": true, "ssf.example:8443": true, "203.0.113.1": true,
		"localhost": false, "LOCALHOST.:8443": false, "a.localhost": false, "127.0.0.1:8443": false, "[::1]:8443": false,
	} {
		for _, secure := range []bool{true, false} {
			resp, _ := serve(t, func(http.ResponseWriter, *http.Request) {}, edge.Config{}, func(r *http.Request) {
				if r.Host = host; !secure {
					r.TLS = nil
				}
			})
			if got := resp.Header.Get("Strict-Transport-Security") != ""; got != (want && secure) {
				t.Errorf("%s, https %t: got it %t, want %t", host, secure, got, want && secure)
			}
		}
	}
}

// A request's id is the client's only if it is well formed; it is in the answer and in
// every line that the request leaves.
func TestRequestID(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	good := "00-" + trace + "-00f067aa0ba902b7-01"
	for _, tt := range []struct {
		name   string
		header http.Header
		want   string // "": one of ours
		trace  bool
	}{
		{"none", nil, "", false},
		{"a UUID", http.Header{"X-Request-Id": {"6c1f1d5e-52dd-4f0f-8f34-7d0e2f7f6c11"}}, "6c1f1d5e-52dd-4f0f-8f34-7d0e2f7f6c11", false},
		{"base64", http.Header{"X-Request-Id": {"aGVs/bG8+d29ybGQ="}}, "aGVs/bG8+d29ybGQ=", false},
		{"too short", http.Header{"X-Request-Id": {"1234567"}}, "", false},
		{"too long", http.Header{"X-Request-Id": {strings.Repeat("a", 129)}}, "", false},
		{"two", http.Header{"X-Request-Id": {"12345678", "12345678"}}, "", false},
		{"a line break", http.Header{"X-Request-Id": {"12345678\nlevel=ERROR"}}, "", false},
		{"a space", http.Header{"X-Request-Id": {"12345678 status=200"}}, "", false},
		{"a quote", http.Header{"X-Request-Id": {`12345678"`}}, "", false},
		{"beyond ASCII", http.Header{"X-Request-Id": {"12345678é"}}, "", false},
		{"a trace", http.Header{"Traceparent": {good}}, trace, true},
		{"a trace and an id", http.Header{"Traceparent": {good}, "X-Request-Id": {"abcdefgh"}}, "abcdefgh", true},
		{"a later version", http.Header{"Traceparent": {"01" + good[2:] + "-what-the-future-brings"}}, trace, true},
		{"a later version, glued", http.Header{"Traceparent": {"01" + good[2:] + "x"}}, "", false},
		{"version ff", http.Header{"Traceparent": {"ff" + good[2:]}}, "", false},
		{"upper case", http.Header{"Traceparent": {strings.ToUpper(good)}}, "", false},
		{"trace of zeros", http.Header{"Traceparent": {"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01"}}, "", false},
		{"span of zeros", http.Header{"Traceparent": {"00-" + trace + "-0000000000000000-01"}}, "", false},
		{"something behind", http.Header{"Traceparent": {good + "-00"}}, "", false},
		{"cut", http.Header{"Traceparent": {good[:54]}}, "", false},
		{"two traces", http.Header{"Traceparent": {good, good}}, "", false},
	} {
		var inside string
		resp, logged := serve(t, func(w http.ResponseWriter, r *http.Request) {
			inside = edge.From(r.Context()).ID()
		}, edge.Config{}, func(r *http.Request) {
			for name, values := range tt.header {
				r.Header[name] = values
			}
		})
		id := resp.Header.Get("X-Request-Id")
		if tt.want != "" && id != tt.want || tt.want == "" && (len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "") {
			t.Errorf("%s: got id %q, want %q (empty: one of ours)", tt.name, id, tt.want)
		}
		if inside != id {
			t.Errorf("%s: got %q inside and %q outside", tt.name, inside, id)
		}
		if strings.Count(logged, "\n") != 1 || !strings.Contains(logged, id) {
			t.Errorf("%s: got %q, want one line with the id", tt.name, logged)
		}
		if got := strings.Contains(logged, "trace_id="+trace); got != tt.trace {
			t.Errorf("%s: got %q, want the trace told: %t", tt.name, logged, tt.trace)
		}
	}
}

// One request leaves one line, which tells how it ended and nothing that it held; what
// else is logged with its context bears its id.
func TestOneLine(t *testing.T) {
	var inner bytes.Buffer
	own := slog.New(edge.LogHandler(slog.NewTextHandler(&inner, nil))).With("part", "x").WithGroup("g")
	for _, tt := range []struct {
		name string
		h    http.HandlerFunc
		cfg  edge.Config
		want []string
	}{
		{"done", func(w http.ResponseWriter, r *http.Request) {
			edge.From(r.Context()).Note("/v1/events", "c1")
			_, _ = io.WriteString(w, "hello")
			own.InfoContext(r.Context(), "inside")
		}, edge.Config{Listener: "public"}, []string{"level=INFO", "method=GET", "route=/v1/events", "status=200", "bytes=5", "client_id=c1", "listener=public", "address=203.0.113.7"}},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, edge.Config{}, []string{"level=INFO", "status=401", `route=""`}},
		{"failed", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, edge.Config{}, []string{"level=WARN", "status=503"}},
		{"written twice", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(500) }, edge.Config{}, []string{"status=201"}},
		{"early hints", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(204) }, edge.Config{}, []string{"status=204"}},
		{"a check that fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, edge.Config{Quiet: []string{"/v1/events"}}, []string{"status=503"}},
		{"a check", func(http.ResponseWriter, *http.Request) {}, edge.Config{Quiet: []string{"/v1/events"}}, nil},
	} {
		_, logged := serve(t, tt.h, tt.cfg, func(r *http.Request) { r.Header.Set("Authorization", "Bearer secret-token") })
		if lines := strings.Count(logged, "\n"); lines != min(len(tt.want), 1) {
			t.Errorf("%s: got %d lines %q", tt.name, lines, logged)
		}
		for _, want := range tt.want {
			if !strings.Contains(logged, want) {
				t.Errorf("%s: got %q, want %s in it", tt.name, logged, want)
			}
		}
		if strings.Contains(logged, "secret") {
			t.Errorf("SEC-04 %s: got %q, which tells what the request held", tt.name, logged)
		}
	}
	if got := inner.String(); strings.Count(got, "request_id=") != 1 || !strings.Contains(got, "part=x") {
		t.Errorf("got %q, want the id in what is logged inside", got)
	}
}

// A handler that cuts the connection has its line, too.
func TestCutConnection(t *testing.T) {
	var logged bytes.Buffer
	h := edge.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		edge.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler { //nolint:errorlint // it is what net/http looks for
				t.Error("got no panic, want it handed on")
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	}()
	if strings.Count(logged.String(), "\n") != 1 {
		t.Errorf("got %q, want one line", &logged)
	}
}

// A panic costs one answer, and tells in the log where it was, and what kind of thing it
// was, but not its words; what was begun is cut.
func TestPanicOfHandler(t *testing.T) {
	for _, tt := range []struct {
		name  string
		h     http.HandlerFunc
		want  []string
		begun bool
	}{
		{"a runtime error", func(http.ResponseWriter, *http.Request) { _ = []int{}[len(t.Name())] }, []string{"index out of range", "status=500", "TestPanicOfHandler"}, false},
		{"an error", func(http.ResponseWriter, *http.Request) { panic(errors.New("secret-word")) }, []string{"panic=*errors.errorString", "status=500"}, false},
		{"a text", func(http.ResponseWriter, *http.Request) { panic("secret-word") }, []string{"panic=string", "level=ERROR"}, false},
		{"in the middle", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic("secret-word")
		}, []string{"panic=string", "status=200"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var logged bytes.Buffer
			h := edge.Handler(tt.h, edge.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
			w := httptest.NewRecorder()
			cut := func() (p any) {
				defer func() { p = recover() }()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
				return nil
			}()
			if (cut == http.ErrAbortHandler) != tt.begun || !tt.begun && (cut != nil || w.Code != http.StatusInternalServerError) { //nolint:errorlint // it is what net/http looks for
				t.Errorf("got %d, panic %v, want it cut %t", w.Code, cut, tt.begun)
			}
			for _, want := range tt.want {
				if !strings.Contains(logged.String(), want) {
					t.Errorf("got %s, want %s in it", &logged, want)
				}
			}
			if text := logged.String() + w.Body.String(); strings.Contains(text, "secret-word") {
				t.Errorf("SEC-04: got %s, which has the words", text)
			}
		})
	}
}

// Without the edge there is nobody to ask, and asking harms nobody.
func TestNoEdge(t *testing.T) {
	r := edge.From(context.Background())
	r.Note("/x", "c")
	if r.ID() != "" {
		t.Errorf("got id %q", r.ID())
	}
}

// What is too large is not read to its end: the connection ends with the answer.
func TestTooLargeCloses(t *testing.T) {
	resp, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) }, edge.Config{}, nil)
	if got := resp.Header.Get("Connection"); got != "close" {
		t.Errorf("SEC-08: got Connection %q, want close", got)
	}
}

// X-Forwarded-For is believed for as far as trusted proxies wrote it, backwards from
// the connection.
func TestAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		trusted    []netip.Prefix
		want       string
	}{
		{"nobody is trusted", "10.0.0.1:1", []string{"198.51.100.1"}, nil, "10.0.0.1"},
		{"no proxy", "203.0.113.7:1", nil, proxies, "203.0.113.7"},
		{"a stranger says he is a proxy", "203.0.113.7:1", []string{"198.51.100.1"}, proxies, "203.0.113.7"},
		{"a proxy", "10.0.0.1:1", []string{"198.51.100.1"}, proxies, "198.51.100.1"},
		{"a client that forges before the proxy", "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.1"}, proxies, "198.51.100.1"},
		{"a client that forges a header of its own", "10.0.0.1:1", []string{"127.0.0.1", "198.51.100.1"}, proxies, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1, 10.0.0.2"}, proxies, "198.51.100.1"},
		{"nothing but proxies", "10.0.0.1:1", []string{"10.0.0.3,10.0.0.2"}, proxies, "10.0.0.3"},
		{"no header", "10.0.0.1:1", nil, proxies, "10.0.0.1"},
		{"rubbish", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, proxies, "10.0.0.1"},
		{"rubbish further away", "10.0.0.1:1", []string{"x, 198.51.100.1"}, proxies, "198.51.100.1"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.1:443"}, proxies, "198.51.100.1"},
		{"IPv6", "[fd00::1]:1", []string{"[2001:db8::1]:443"}, proxies, "2001:db8::1"},
		{"IPv6 without brackets", "[fd00::1]:1", []string{"2001:db8::1"}, proxies, "2001:db8::1"},
		{"mapped", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, proxies, "198.51.100.1"},
		{"endless", "10.0.0.1:1", []string{"198.51.100.1" + strings.Repeat(",10.0.0.9", 1000)}, proxies, "10.0.0.9"},
		{"a Unix socket", "@", nil, proxies, "invalid IP"},
	} {
		var got netip.Addr
		serve(t, func(_ http.ResponseWriter, r *http.Request) { got = edge.Address(r) }, edge.Config{Trusted: tt.trusted}, func(r *http.Request) {
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
		})
		if got.String() != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Who has an IPv6 network has all addresses of it.
func TestNetwork(t *testing.T) {
	for a, want := range map[string]string{
		"198.51.100.1": "198.51.100.1/32", "::ffff:198.51.100.1": "198.51.100.1/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := edge.Network(netip.MustParseAddr(a)).String(); got != want {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
	}
	if edge.Network(netip.Addr{}).IsValid() {
		t.Error("no address: got a network")
	}
}
