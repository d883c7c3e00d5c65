package edge_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
)

// Whatever a request says of itself: its id is one that may stand in an answer and in a
// log, its address is the connection's, or one that a header names if the connection is
// a trusted proxy's, and it leaves one line in the log.
func FuzzRequest(f *testing.F) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, seed := range [][4]string{
		{"203.0.113.7:1", "198.51.100.1", "6c1f1d5e-52dd-4f0f-8f34-7d0e2f7f6c11", good},
		{"10.0.0.1:1", "198.51.100.1, 10.0.0.2:80", "1234567", strings.ToUpper(good)},
		{"[fd00::1]:1", "[2001:db8::1]:443,[::1", "a b", "01" + good[2:] + "-more"},
		{"[fe80::1%eth0]:1", "::ffff:198.51.100.1%x", "12345678\n", good + good},
		{"@", ",,, ,", strings.Repeat("a", 200), "00-0-0-0"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	ours := regexp.MustCompile(`^[A-Za-z0-9._~+/=:-]{8,128}$`)
	f.Fuzz(func(t *testing.T, peer, forwarded, id, trace string) {
		var logged bytes.Buffer
		var address netip.Addr
		h := edge.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { address = edge.Address(r) }),
			edge.Config{Trusted: trusted, Logger: slog.New(edge.LogHandler(slog.NewTextHandler(&logged, nil)))})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		r.Header["X-Forwarded-For"], r.Header["X-Request-Id"], r.Header["Traceparent"] = []string{forwarded}, []string{id}, []string{trace}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := w.Header().Get("X-Request-Id")
		if !ours.MatchString(got) || got != id && got != newTraceID(trace) && len(got) != 32 {
			t.Errorf("id: got %q of %q and %q", got, id, trace)
		}
		if strings.Count(logged.String(), "\n") != 1 {
			t.Errorf("got %q, want one line", &logged)
		}
		at, err := netip.ParseAddrPort(peer)
		if err != nil {
			if address.IsValid() {
				t.Errorf("got address %v of %q", address, peer)
			}
			return
		}
		proxy := trusted[0].Contains(at.Addr().Unmap().WithZone("")) || trusted[1].Contains(at.Addr().WithZone(""))
		if address != at.Addr().Unmap() && (!proxy || !names(forwarded, address)) {
			t.Errorf("got address %v of %q (a proxy: %t) and %q", address, peer, proxy, forwarded)
		}
		if n := edge.Network(address); n.IsValid() != address.IsValid() || n.IsValid() && !n.Contains(address.WithZone("")) {
			t.Errorf("%v is counted in %v", address, n)
		}
	})
}

// newTraceID is the trace's id where a traceparent has it.
func newTraceID(trace string) string {
	if parts := strings.Split(trace, "-"); len(parts) > 1 {
		return parts[1]
	}
	return ""
}

// names reports whether an entry of X-Forwarded-For is the address, with or without a port.
func names(forwarded string, a netip.Addr) bool {
	for entry := range strings.SplitSeq(forwarded, ",") {
		entry = strings.TrimSpace(entry)
		bare, _ := netip.ParseAddr(strings.Trim(entry, "[]"))
		ported, _ := netip.ParseAddrPort(entry)
		if bare.Unmap() == a || ported.Addr().Unmap() == a {
			return true
		}
	}
	return false
}
