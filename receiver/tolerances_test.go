package receiver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/streams"
)

// empty_event_body: required members may be absent; one of a wrong type stays refused,
// since no hook could read the event.
func TestEmptyEventBody(t *testing.T) {
	for _, c := range []struct {
		payload          string
		strict, tolerant int
	}{
		{`{}`, http.StatusBadRequest, http.StatusAccepted},
		{`{"change_type":"revoke"}`, http.StatusBadRequest, http.StatusAccepted},
		{`{"change_type":1}`, http.StatusBadRequest, http.StatusBadRequest},
		{`{"credential_type":"password","change_type":"revoke"}`, http.StatusAccepted, http.StatusAccepted},
	} {
		for tolerances, want := range map[set.Tolerances]int{{}: c.strict, {EmptyEventBody: true}: c.tolerant} {
			cfg := config(t, t.TempDir())
			cfg.Tolerances = tolerances
			w := push(build(t, cfg), sign(t, event(builder("a"), caep.CredentialChangeType, c.payload)))
			if w.Code != want {
				t.Errorf("%s, %v: got %d %s, want %d", c.payload, tolerances, w.Code, w.Body, want)
			}
		}
	}
}

// legacy_verification_uri: Google's verification names no stream, and its state is one
// that we did not ask for; a null one is none where null is tolerated.
func TestVerificationWithoutSubject(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Tolerances = set.Tolerances{LegacyVerificationURI: true, NullMembers: true}
	r := build(t, cfg)
	if err := cfg.Inbox.Expect(t.Context(), issuer, "asked for", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	verification := func(id, typ, payload string) string {
		claims := `{"iss":"` + issuer + `","aud":"` + audience + `","iat":1763999940,"jti":"` + id + `","events":{"` + typ + `":` + payload + `}}`
		return signClaims(t, claims, transmitterKey(), set.HeaderType)
	}
	const legacy = "https://schemas.openid.net/secevent/risc/event-type/verification"
	for _, c := range []struct {
		id, typ, payload string
		want             int
	}{
		{"1", legacy, `{"state":"asked for"}`, http.StatusAccepted},
		{"2", legacy, `{"state":"asked for at Google's API"}`, http.StatusAccepted},
		{"3", legacy, `{"state":null}`, http.StatusAccepted},
		{"4", legacy, `{"state":1}`, http.StatusBadRequest},
		{"5", streams.TypeVerification, `{"state":"asked for"}`, http.StatusBadRequest},
		{"6", streams.TypeStreamUpdated, `{"status":"enabled"}`, http.StatusBadRequest},
	} {
		if w := push(r, verification(c.id, c.typ, c.payload)); w.Code != c.want {
			t.Errorf("%s %s: got %d %s, want %d", c.typ, c.payload, w.Code, w.Body, c.want)
		}
	}
}

// The push URL is an audience by its switch alone; a receiver of SETs does not read
// events_as_string.
func TestConfigTolerances(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Audience, cfg.PushURL = nil, "https://receiver.example/push"
	if _, err := receiver.New(cfg); err == nil || !strings.Contains(err.Error(), "Audience") {
		t.Errorf("got %v, want Audience named", err)
	}
	cfg.Tolerances.AudIsURLOfPush = true
	b := builder("a")
	b.Audience = []string{cfg.PushURL}
	wantAccepted(t, push(build(t, cfg), sign(t, b)))
	b.Audience = []string{cfg.PushURL + "/"}
	if w := push(build(t, cfg), sign(t, b)); w.Code != http.StatusBadRequest {
		t.Errorf("got %d, want another URL refused", w.Code)
	}
	cfg.Tolerances.EventsAsString = true
	if _, err := receiver.New(cfg); err == nil || !strings.Contains(err.Error(), "events_as_string") {
		t.Errorf("got %v, want events_as_string named", err)
	}
}
