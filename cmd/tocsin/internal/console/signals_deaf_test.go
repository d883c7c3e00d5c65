package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// What the provider says and nobody takes is not heard.
func TestSignalsRefused(t *testing.T) {
	t.Parallel()
	l := &listening{provider: provide(t, httptest.NewTLSServer), idp: open(t, func(cfg *node.Config) { cfg.Transmitter.LongPoll = time.Second })}
	l.hears(t, receive.Config{Data: t.TempDir(), InsecureLoopback: true}, l.idp.token("console", "ssf.manage ssf.read"), func(is *receive.Issuer) {
		is.Algorithms, is.VerifyEvery = []jose.Algorithm{jose.PS256}, -1
	})
	now := time.Now()
	jo := l.enters("1", "jo@example.com", "s1", now)
	if strings.Contains(jo.get("/console/").body, "not heard") {
		t.Error("nothing was said: got a warning")
	}
	l.says("session.revoked", subject.Email("jo@example.com"), now, nil)
	l.until("the first page tells", func() bool {
		return strings.Contains(jo.get("/console/").body, "the last that came was refused (invalid_")
	})
	heard(t, l.console, 0)
}

// heard compares the metric that there is an alert for.
func heard(t *testing.T, c *console.Console, want float64) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == "tocsin_console_signals_heard" {
			if got := f.GetMetric()[0].GetGauge().GetValue(); got != want {
				t.Errorf("tocsin_console_signals_heard: got %v, want %v", got, want)
			}
			return
		}
	}
	t.Errorf("got no tocsin_console_signals_heard among %d metrics", len(all))
}

// That signals are not meant to be heard is told on the first page, and no fault.
func TestSignalsNotMeant(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	marks, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: marks, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why   string
		meant bool
		want  float64
	}{{"", true, 1}, {"dry run", false, 1}, {"paused", true, 0}} {
		configured := p.configured()
		configured.Signals = &console.Signals{Gate: gate, Deaf: func(context.Context) (string, bool) { return tt.why, tt.meant }}
		h := openWith(t, configured)
		h.signedIn().get("/console/").wants(t, 200, tt.why)
		heard(t, h.console, tt.want)
	}
}

// A stream that the provider pauses or disables is told of, and heard again once it is enabled.
func TestSignalsPaused(t *testing.T) {
	t.Parallel()
	l := listen(t, httptest.NewTLSServer)
	var all struct {
		Streams []struct {
			ID string `json:"stream_id"`
		} `json:"streams"`
	}
	l.idp.operate(http.MethodGet, "/admin/streams", nil, &all)
	if len(all.Streams) != 1 {
		t.Fatalf("got %d streams at the provider, want one", len(all.Streams))
	}
	for _, status := range []string{"paused", "enabled", "disabled", "enabled"} {
		l.idp.operate(http.MethodPost, "/admin/streams/"+all.Streams[0].ID+"/status", map[string]string{"status": status, "reason": "a test"}, nil)
		l.until(status, func() bool {
			why, meant := l.daemon.Deaf(t.Context(), l.idp.issuer)
			return (why == "") == (status == "enabled") && meant
		})
	}
}
