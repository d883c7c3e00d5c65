package receiver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// POLL-4.3-01, PUSH-5.3-01: polls go over TLS 1.2 or newer to a server with the
// certificate of the endpoint's name, or not at all; the bearer token with them.
func TestPollOverTLS(t *testing.T) {
	for _, c := range []struct {
		name    string
		most    uint16
		host    string
		trusted bool
		want    bool
	}{
		{"TLS 1.2", tls.VersionTLS12, "127.0.0.1", true, true},
		{"TLS 1.3", tls.VersionTLS13, "127.0.0.1", true, true},
		{"TLS 1.1", tls.VersionTLS11, "127.0.0.1", true, false},
		{"authority not trusted", tls.VersionTLS13, "127.0.0.1", false, false},
		{"certificate of another name", tls.VersionTLS13, "localhost", true, false},
	} {
		t.Run("POLL-4.3-01 "+c.name, func(t *testing.T) {
			server, asked := pollServer(t)
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: c.most} // the test's own peer
			server.StartTLS()
			policy := guard.Policy{InsecureLoopback: true, RootCAs: x509.NewCertPool()}
			if c.trusted {
				policy.RootCAs.AddCert(server.Certificate())
			}
			got := pollOnce(t, strings.Replace(server.URL, "127.0.0.1", c.host, 1), guard.NewClient(policy), asked)
			if got != c.want {
				t.Errorf("got a poll %v, want %v", got, c.want)
			}
		})
	}
	t.Run("POLL-4.3-01 plain http is not asked by default", func(t *testing.T) {
		server, asked := pollServer(t)
		server.Start()
		if pollOnce(t, server.URL, nil, asked) {
			t.Error("got a poll over plain http, want none")
		}
	})
}

// pollServer returns a poll endpoint that is not started, and what tells of a request.
func pollServer(t *testing.T) (*httptest.Server, <-chan struct{}) {
	t.Helper()
	asked := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(delivery.PollResponse{})
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	return server, asked
}

// pollOnce runs a receiver until it has polled, or failed to, and reports whether the
// request arrived.
func pollOnce(t *testing.T, endpoint string, by *http.Client, asked <-chan struct{}) bool {
	t.Helper()
	failed := make(failures, 1)
	cfg := config(t, t.TempDir())
	cfg.Logger = slog.New(failed)
	cfg.Poll = &receiver.Poll{
		Endpoint: endpoint, HTTP: by, Immediate: true, Interval: time.Hour, Timeout: 10 * time.Second,
		Token: func(context.Context) (string, error) { return "t0ken", nil },
	}
	stop := running(t, build(t, cfg))
	defer func() {
		stop()
		if by != nil {
			by.CloseIdleConnections()
		}
	}()
	select {
	case <-asked:
		return true
	case <-failed:
		return false
	case <-time.After(20 * time.Second):
		t.Fatal("got neither a poll nor a failure")
		return false
	}
}

// failures is a slog.Handler that tells of the first failed poll.
type failures chan struct{}

func (failures) Enabled(context.Context, slog.Level) bool { return true }
func (f failures) WithAttrs([]slog.Attr) slog.Handler     { return f }
func (f failures) WithGroup(string) slog.Handler          { return f }

func (f failures) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "poll failed") {
		select {
		case f <- struct{}{}:
		default:
		}
	}
	return nil
}
