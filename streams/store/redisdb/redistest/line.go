package redistest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Line stands between clients and a server, and can be broken (toxiproxy).
type Line struct {
	// Addr is where clients connect to.
	Addr  string
	proxy *toxiproxy.Proxy
}

// StartLine starts a line to the server; it is whole at first, and ends with the test.
func (s *Server) StartLine(t testing.TB) *Line {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "redis", "127.0.0.1:"+freePort(t), s.Addr)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return &Line{Addr: proxy.Listen, proxy: proxy}
}

// URL returns the redis:// URL of the server by this line.
func (l *Line) URL() string { return "redis://" + l.Addr }

// Cut closes all connections and refuses new ones, until Mend.
func (l *Line) Cut() { l.proxy.Stop() }

// Mend makes the line whole again, whatever was done to it.
func (l *Line) Mend(t testing.TB) {
	t.Helper()
	l.proxy.Toxics.ResetToxics(t.Context())
	if !l.proxy.Enabled {
		if err := l.proxy.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// Delay has each answer come that much later.
func (l *Line) Delay(t testing.TB, d time.Duration) {
	t.Helper()
	l.add(t, "latency", map[string]int64{"latency": d.Milliseconds()})
}

// Swallow lets what is asked through and no answer, without closing anything.
func (l *Line) Swallow(t testing.TB) {
	t.Helper()
	l.add(t, "timeout", map[string]int64{"timeout": 0})
}

// Reset resets a connection (RST) in place of an answer.
func (l *Line) Reset(t testing.TB) {
	t.Helper()
	l.add(t, "reset_peer", map[string]int64{"timeout": 0})
}

// CloseAfter closes each connection after so many bytes of answers.
func (l *Line) CloseAfter(t testing.TB, bytes int64) {
	t.Helper()
	l.add(t, "limit_data", map[string]int64{"bytes": bytes})
}

// Narrow lets through so many kilobytes of answers a second.
func (l *Line) Narrow(t testing.TB, rate int64) {
	t.Helper()
	l.add(t, "bandwidth", map[string]int64{"rate": rate})
}

func (l *Line) add(t testing.TB, kind string, attributes map[string]int64) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"type": kind, "stream": "downstream", "attributes": attributes})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.proxy.Toxics.AddToxicJson(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
}
