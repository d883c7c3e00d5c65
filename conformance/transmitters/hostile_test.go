package transmitters_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
	"github.com/tocsin-ssf/tocsin/conformance/transmitters"
)

// hostilities are what a transmitter may answer to do harm, until the test is over.
func hostilities(over <-chan struct{}) map[string]http.HandlerFunc {
	raw := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	return map[string]http.HandlerFunc{
		"hangs": func(http.ResponseWriter, *http.Request) { <-over },
		"floods": func(w http.ResponseWriter, r *http.Request) {
			chunk := []byte(strings.Repeat(`"x",`, 16<<10))
			_, err := w.Write([]byte("["))
			for err == nil && r.Context().Err() == nil {
				_, err = w.Write(chunk)
			}
		},
		"drips": func(w http.ResponseWriter, _ *http.Request) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = w.Write([]byte(" "))
					_ = http.NewResponseController(w).Flush()
				case <-over:
					return
				}
			}
		},
		"closes": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"nests":  raw(200, strings.Repeat(`{"sets":[`, 200_000)),
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		},
		"lists":     raw(200, `[[],{},null,1,"x",{"stream_id":7},{"stream_id":null}]`),
		"nothing":   raw(201, `null`),
		"types":     raw(201, `{"stream_id":"x","iss":[],"aud":{},"delivery":[1],"events_delivered":{"a":1},"status":7,"sets":{"a":null,"b":7,"c":"x","c":"ey.ey.ey"},"min_verification_interval":1e300}`),
		"ids":       raw(201, `{"stream_id":"../../\u0000`+strings.Repeat("A", 1<<20)+`?x=y#z","delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":"file:///etc/passwd"}}`),
		"elsewhere": raw(201, `{"stream_id":"x","delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":"http://169.254.169.254/latest/meta-data"}}`),
		"busy": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
	}
}

// A transmitter that hangs, floods, lies about types or leads elsewhere neither holds up
// the suite nor breaks it, whether it does so everywhere or behind good metadata, and is
// not said to conform.
func TestHostileTransmitter(t *testing.T) {
	for name := range hostilities(nil) {
		for _, everywhere := range []bool{true, false} {
			title := name + " behind good metadata"
			if everywhere {
				title = name + " everywhere"
			}
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				over := make(chan struct{})
				does := hostilities(over)[name]
				var handler http.Handler
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if everywhere || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/.well-known/") {
						does(w, r)
						return
					}
					handler.ServeHTTP(w, r)
				}))
				t.Cleanup(func() { close(over); server.CloseClientConnections(); server.Close() })
				p, err := peer.NewTransmitter(peer.TransmitterConfig{Issuer: server.URL, Key: testKey(), Clients: []peer.Client{{ID: clientID, Token: token, Audience: audience}}})
				if err != nil {
					t.Fatal(err)
				}
				handler = p.Handler()
				cfg := config(t, p, server.URL, false)
				cfg.HTTP.Timeout = 200 * time.Millisecond
				cfg.Wait, cfg.Quiet = 200*time.Millisecond, 20*time.Millisecond
				began := time.Now()
				report := runSuite(t, cfg, conformance.Options{Timeout: 5 * time.Second, CheckTimeout: time.Second})
				if took := time.Since(began); took > 45*time.Second {
					t.Errorf("got a run of %v, want it bounded", took)
				}
				if report.OK() {
					t.Errorf("got a report that is OK, want one that is not: %s", report.Summary)
				}
				written, err := json.Marshal(report)
				if err != nil || len(written) > 8<<20 {
					t.Errorf("got %v and a report of %d bytes, want it bounded", err, len(written))
				}
			})
		}
	}
}

// What a run that is interrupted has made is deleted, and what others have made stays.
func TestInterrupted(t *testing.T) {
	p, issuer := counterpart(t, false, func(*peer.TransmitterConfig) {})
	cfg := config(t, p, issuer, false)
	theirs := createByHand(t, cfg, `{"description":"of another program"}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	report, err := transmitters.Run(ctx, cfg, conformance.Options{Progress: func(progress conformance.Progress) {
		if progress.Check.Name == "paused" && !progress.Done {
			time.AfterFunc(20*time.Millisecond, cancel) // in the middle of it
		}
	}})
	if err != nil || !report.Interrupted || report.OK() {
		t.Errorf("got %v, interrupted %v, want an interrupted run", err, report.Interrupted)
	}
	left := p.Streams()
	if len(left) != 1 || left[0].ID != theirs || len(report.Notes) > 0 {
		t.Errorf("got streams %+v and notes %q, want the one alone that is another's", left, report.Notes)
	}
}

// A transmitter that allows one stream is tested when its stream may go, and told of
// when it may not.
func TestOneStream(t *testing.T) {
	p, issuer := counterpart(t, false, func(c *peer.TransmitterConfig) { c.OneStream = true })
	cfg := config(t, p, issuer, false)
	theirs := createByHand(t, cfg, `{}`)
	only := conformance.Options{Only: []string{"SSF-8.1.1.1-01", "SSF-8.1.1.1-03"}}
	report := runSuite(t, cfg, only)
	if got, _ := report.Result("SSF-8.1.1.1-01"); got.Verdict != conformance.Skipped || !strings.Contains(got.Reason, "--delete-stale-streams") {
		t.Errorf("got %s %q, want it skipped with what to do", got.Verdict, got.Reason)
	}
	if left := p.Streams(); len(left) != 1 || left[0].ID != theirs {
		t.Errorf("got streams %+v, want the one that was there", left)
	}
	cfg = config(t, p, issuer, false)
	cfg.DeleteStale = true
	report = runSuite(t, cfg, only)
	if report.Summary.Passed != 2 || len(p.Streams()) > 0 {
		t.Errorf("got %+v and streams %+v, want both passed and none left", report.Results, p.Streams())
	}
}

// createByHand makes a stream as another program would, and returns its id.
func createByHand(t *testing.T, cfg transmitters.Config, body string) string {
	t.Helper()
	answer, err := conformance.Ask{
		Method: http.MethodPost, URL: cfg.Issuer + "/streams", Body: []byte(body),
		Header: http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}},
	}.Send(t.Context(), cfg.HTTP, &conformance.Mask{})
	var made struct {
		ID string `json:"stream_id"`
	}
	if err != nil || answer.Status != http.StatusCreated || json.Unmarshal(answer.Body, &made) != nil {
		t.Fatalf("got %v, %d %s, want a stream", err, answer.Status, answer.Body)
	}
	return made.ID
}
