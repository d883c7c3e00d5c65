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
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// SET-5.3-01: no order is derived from iat: hooks run as SETs arrived, and one that
// is older than what came before is neither moved nor dropped.
func TestOrderIsNotOfIat(t *testing.T) {
	rec := &recorder{}
	hooked(t, rec, nil, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		for _, s := range []struct {
			id  string
			age time.Duration
		}{{"a", 0}, {"b", time.Hour}, {"c", time.Minute}, {"d", 30 * 24 * time.Hour}, {"e", -time.Minute}} {
			b := builder(s.id)
			b.IssuedAt = b.IssuedAt.Add(-s.age)
			wantAccepted(t, push(r, sign(t, b)))
		}
		stop := running(t, r)
		synctest.Wait()
		stop()
		rec.want(t, "a", "b", "c", "d", "e")
	})
}

// PUSH-2-02: the answer waits for no hook: neither for one of the SET itself nor for
// one of a SET before it.
func TestAnswerWaitsForNoHook(t *testing.T) {
	rec := &recorder{}
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		rec.fail = func(context.Context, receiver.Delivery) error { <-release; return nil }
		cfg := config(t, dir)
		cfg.Mux.Default(rec.hook)
		cfg.Workers = 1
		r := build(t, cfg)
		stop := running(t, r)
		began := time.Now()
		for _, id := range []string{"a", "b", "c"} {
			wantAccepted(t, push(r, sign(t, about(builder(id), id))))
			synctest.Wait()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("PUSH-2-02: got the answers after %v, want them at once", took)
		}
		rec.want(t, "a") // at work, and the others behind it
		close(release)
		synctest.Wait()
		stop()
		rec.want(t, "a", "b", "c")
	})
}

// SSF-6.1.1-03: each stream has an endpoint of its own, so that SETs, which name no
// stream, are kept apart; what is about one stream is refused at another's endpoint.
func TestEndpointPerStream(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Feed = "one"
	one := build(t, cfg)
	cfg.Feed, cfg.StreamID = "two", "stream-2"
	two := build(t, cfg)
	wantAccepted(t, push(one, sign(t, builder("a"))))
	wantAccepted(t, push(two, sign(t, builder("b"))))
	wantAccepted(t, push(two, sign(t, builder("c"))))
	for feed, want := range map[string]int{"one": 1, "two": 2} {
		if c, err := cfg.Inbox.Counts(t.Context(), feed); err != nil || c.Waiting != want {
			t.Errorf("SSF-6.1.1-03: got %+v, %v at endpoint %s, want %d", c, err, feed, want)
		}
	}
	own := sign(t, aboutStream(event(builder("v"), verification, `{}`)))
	if w := push(two, own); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), string(delivery.CodeAccessDenied)) {
		t.Errorf("SSF-6.1.1-03: got %d %s at another's endpoint, want access_denied", w.Code, w.Body)
	}
	wantAccepted(t, push(one, own))
}

// SSF-9.3-02: an event about a subject that was removed is accepted like any other,
// by push and by poll, and reaches the hooks.
func TestRemovedSubject(t *testing.T) {
	remove := func(t *testing.T) {
		c, err := client.New(client.Config{
			Issuer: issuer, Metadata: &wellknown.Configuration{Issuer: issuer, RemoveSubjectEndpoint: issuer + "/remove"},
			HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return respond(http.StatusNoContent, ""), nil })},
		})
		if err == nil {
			err = c.RemoveSubject(t.Context(), streamID, subject.Email("alice@example.com"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	polled(t, nil, func(t *testing.T, r *receiver.Receiver, q *queue, rec *recorder, in inbox.Inbox) {
		remove(t)
		q.add("polled", sign(t, builder("polled")))
		stop := running(t, r)
		synctest.Wait()
		wantAccepted(t, push(r, sign(t, builder("pushed"))))
		synctest.Wait()
		stop()
		if left := q.left(); len(left) != 0 || len(q.refused) != 0 {
			t.Errorf("SSF-9.3-02: got %v left and %v refused, want it acknowledged", left, q.refused)
		}
		rec.want(t, "polled", "pushed")
	})
}

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

// SSF-8.1.2.1-02: a stream-updated with a status that does not exist changes nothing
// that is known of the stream; it is acknowledged, for sending it again mends nothing.
func TestUnknownStatusIsNotRecorded(t *testing.T) {
	hooked(t, &recorder{}, nil, func(t *testing.T, r *receiver.Receiver, in inbox.Inbox) {
		stop := running(t, r)
		updated := func(id, status string) {
			push(r, sign(t, aboutStream(event(builder(id), ssf.StreamUpdatedType, `{"status":"`+status+`"}`))))
			synctest.Wait()
		}
		for _, good := range []string{"disabled", "enabled", "paused"} {
			updated(good, good)
			if got, ok := r.Status(); !ok || string(got.Status) != good {
				t.Errorf("SSF-8.1.2.1-02: got %+v, want %s", got, good)
			}
		}
		for _, bad := range []string{"Enabled", "stopped", ""} {
			updated("bad-"+bad, bad)
			if got, _ := r.Status(); got.Status != "paused" {
				t.Errorf("SSF-8.1.2.1-02: got %q recorded, want paused as before", got.Status)
			}
		}
		stop()
		if c := counts(t, in); c.Waiting != 0 || c.Dead != 0 {
			t.Errorf("got %+v, want nothing left", c)
		}
	})
}

// PUSH-2-03: however often and however close together a SET comes, every answer is
// the first one's, and it is kept once.
func TestDuplicatesAtOnce(t *testing.T) {
	cfg := config(t, t.TempDir())
	r := build(t, cfg)
	compact := sign(t, builder("a"))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if w := push(r, compact); w.Code != http.StatusAccepted || w.Body.Len() != 0 {
				t.Errorf("PUSH-2-03: got %d %s, want 202", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	if c := counts(t, cfg.Inbox); c.Waiting != 1 {
		t.Errorf("PUSH-2-03: got %+v, want one", c)
	}
}
