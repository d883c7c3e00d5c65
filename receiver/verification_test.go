package receiver_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

const verification = ssf.VerificationType

func aboutStream(b set.Builder) set.Builder {
	b.Subject = ssf.Subject(streamID)
	return b
}

// management returns a client whose transmitter is answer.
func management(t testing.TB, answer roundTrip) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		Issuer: issuer, HTTP: &http.Client{Transport: answer},
		Metadata: &wellknown.Configuration{
			Issuer: issuer, ConfigurationEndpoint: issuer + "/streams", StatusEndpoint: issuer + "/status",
			VerificationEndpoint: issuer + "/verify",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// SSF-8.1.4-01: without a state, verification is welcome at any time.
func TestVerificationUnasked(t *testing.T) {
	r := build(t, config(t, t.TempDir()))
	wantAccepted(t, push(r, sign(t, aboutStream(event(builder("a"), verification, `{}`)))))
	wantAccepted(t, push(r, sign(t, aboutStream(event(builder("b"), verification, `{}`)))))
}

// SSF-8.1.4.2-05, SSF-8.1.4.2-06, SSF-8.1.4.1-02: the event may come before the
// answer to the request, and after a restart.
func TestVerificationRequested(t *testing.T) {
	dir := t.TempDir()
	cfg := config(t, dir)
	var r *receiver.Receiver
	early := 0
	cfg.Client = management(t, func(req *http.Request) (*http.Response, error) {
		var body struct {
			StreamID string `json:"stream_id"`
			State    string `json:"state"`
		}
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil || body.StreamID != streamID {
			t.Errorf("got request %+v, %v, want the stream's", body, err)
		}
		early = push(r, sign(t, aboutStream(event(builder("v-"+body.State), verification, `{"state":"`+body.State+`"}`)))).Code
		return respond(http.StatusNoContent, ""), nil
	})
	r = build(t, cfg)
	state, err := r.RequestVerification(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if early != http.StatusAccepted {
		t.Errorf("got %d for an event ahead of the answer, want 202", early)
	}
	wantAccepted(t, push(r, sign(t, aboutStream(event(builder("v-"+state), verification, `{"state":"`+state+`"}`)))))

	cfg.Client = management(t, func(*http.Request) (*http.Response, error) { return respond(http.StatusNoContent, ""), nil })
	r = build(t, cfg)
	if state, err = r.RequestVerification(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Inbox.(interface{ Close() error }).Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Inbox = openInbox(t, dir)
	r = build(t, cfg)
	wantAccepted(t, push(r, sign(t, aboutStream(event(builder("late"), verification, `{"state":"`+state+`"}`)))))
}

func TestVerificationNeedsClient(t *testing.T) {
	r := build(t, config(t, t.TempDir()))
	if _, err := r.RequestVerification(t.Context()); err == nil {
		t.Error("got no error without a client, want one")
	}
}

// SSF-8.1.2-02: a status that the transmitter decided is recorded, not fought.
func TestStreamUpdated(t *testing.T) {
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, dir)
		cfg.Client = management(t, func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodGet {
				t.Errorf("got %s %s, want the status left alone", req.Method, req.URL)
			}
			return respond(http.StatusNotFound, ""), nil
		})
		r := build(t, cfg)
		stop := running(t, r)
		if _, ok := r.Status(); ok {
			t.Error("got a status before any was told, want none")
		}
		wantAccepted(t, push(r, sign(t, aboutStream(event(builder("a"), ssf.StreamUpdatedType, `{"status":"paused","reason":"quiet"}`)))))
		synctest.Wait()
		got, ok := r.Status()
		if !ok || got.Status != "paused" || got.Reason != "quiet" {
			t.Errorf("got %+v, want paused for quiet", got)
		}
		<-time.After(time.Hour)
		stop()
	})
}

// SSF-8.1.1-07: a push stream with an inactivity timeout is read twice in that time.
func TestKeepAlive(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, dir)
		var calls []time.Time
		cfg.Client = management(t, func(req *http.Request) (*http.Response, error) {
			if req.URL.Query().Get("stream_id") != streamID {
				t.Errorf("got %s, want a call about the stream", req.URL)
			}
			if req.URL.Path == "/status" {
				calls = append(calls, time.Now())
				return respond(http.StatusOK, `{"stream_id":"stream-1","status":"enabled"}`), nil
			}
			return respond(http.StatusOK, `{"stream_id":"stream-1","iss":"`+issuer+`","aud":"`+audience+`","events_delivered":[],
				"delivery":{"method":"urn:ietf:rfc:8935"},"inactivity_timeout":600}`), nil
		})
		stop := running(t, build(t, cfg))
		<-time.After(time.Hour)
		stop()
		if len(calls) < 12 || len(calls) > 14 {
			t.Errorf("got %d status calls in an hour, want one each 5 min", len(calls))
		}
	})
}
