package transmitter_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/ssf"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// all polls each stream once and returns the SETs by stream.
func (h *house) all(token string, streams ...string) map[string][]*set.Token {
	h.t.Helper()
	got := map[string][]*set.Token{}
	for _, stream := range streams {
		_, sets := h.poll(token, stream, `{"maxEvents":2}`)
		for _, compact := range sets {
			got[stream] = append(got[stream], parse(h.t, compact))
		}
	}
	return got
}

// Two receivers, three streams, two events about users known by three names
// (SET-2.2-02, SET-2.2-04, SSF-4.1.8-01, SSF-4.1.8-02, SSF-4.1.9-01, SSF-4.2.1-01,
// SUBJ-6-01, SET-6-01, U32).
func TestSETsOfSeveralReceivers(t *testing.T) {
	h := open(t)
	alice, bob := h.client("alice", everyScope), h.client("bob", everyScope)
	sinks := newSink(t)
	one, two := h.stream(alice, ""), h.stream(alice, "")
	three := h.stream(bob, "")
	for _, token := range []string{alice, bob} { // SSF-4.1.8-02: the same URL, and yet apart
		h.stream(token, pushTo(sinks.URL))
	}
	names := []string{"a@example.com", "sub-of-a", "+12065550100"}
	event := about(sessionRevoked, `[{"format":"email","email":"`+names[0]+`"},{"format":"opaque","id":"`+names[1]+`"},{"format":"phone_number","phone_number":"`+names[2]+`"}]`)
	causes := []string{h.post(alice, event), h.post(alice, event)}
	jtis := map[string]bool{}
	count := 0
	check := func(s *set.Token, app string) {
		t.Helper()
		count++
		jtis[s.ID] = true
		if !slices.Equal(s.Audience, []string{audience(app)}) {
			t.Errorf("SSF-4.1.8-02, SET-2.2-04: got aud %v, want %s alone", s.Audience, audience(app))
		}
		if len(s.Events) != 1 {
			t.Errorf("SSF-4.2.1-01: got %d events, want one", len(s.Events))
		}
		if !slices.Contains(causes, s.TransactionID) {
			t.Errorf("SSF-4.1.9-01: got txn %q, want one of %v", s.TransactionID, causes)
		}
		seen := 0
		for _, name := range names {
			seen += strings.Count(string(s.Claims()), name)
		}
		if seen != 1 {
			t.Errorf("SUBJ-6-01: got %d identifiers in %s, want the one that the recipient knows", seen, s.Claims())
		}
	}
	// Each event goes to all its streams in one transaction: what is pushed can be polled.
	until(t, "four pushes", func() bool { return len(sinks.requests()) == 4 })
	for stream, sets := range h.all(alice, one, two) {
		if len(sets) != 2 || sets[0].TransactionID == sets[1].TransactionID {
			t.Errorf("stream %s: got %d SETs, want one of each cause", stream, len(sets))
		}
		for _, s := range sets {
			check(s, "alice")
		}
	}
	for _, s := range h.all(bob, three)[three] {
		check(s, "bob")
	}
	pushes := map[string]int{}
	for _, p := range sinks.requests() {
		s := parse(t, p.compact)
		app := strings.TrimSuffix(strings.TrimPrefix(s.Audience[0], "https://"), ".example")
		pushes[app]++
		check(s, app)
	}
	if want := map[string]int{"alice": 2, "bob": 2}; !maps.Equal(pushes, want) {
		t.Errorf("SSF-4.1.8-02: got pushes %v, want %v", pushes, want)
	}
	if count != 10 || len(jtis) != count {
		t.Errorf("SET-2.2-02: got %d jtis of %d SETs, want 10 of 10", len(jtis), count)
	}
}

// SSF-6.1.2-01: each poll stream has an endpoint of its own, under the issuer, and
// what is queued for one is not polled at another.
func TestPollEndpointsAreUnique(t *testing.T) {
	h := open(t)
	token := h.client("alice", everyScope)
	seen := map[string]bool{}
	for range 3 {
		made := h.must(http.StatusCreated, http.MethodPost, "/ssf/streams", token, `{}`)
		delivery := made.member("delivery")
		if seen[delivery] || !strings.Contains(delivery, `"endpoint_url":"`+h.issuer+`/`) {
			t.Errorf("SSF-6.1.2-01: got %s, want an endpoint that no other stream has: %v", delivery, seen)
		}
		seen[delivery] = true
	}
}

// What the transmitter decides is told first, to a push stream and a poll stream:
// stream-updated is the last SET before a stop and the first upon enabling
// (SSF-8.1.5-01, SSF-8.1.5-02, SSF-8.1.5-03, SSF-8.1.2-01, U18, U31).
func TestTransmittersDecision(t *testing.T) {
	h := open(t)
	o := h.operator(h.AdminHandler())
	admin, token := h.client("operators", "admin"), h.client("alice", everyScope)
	sink := newSink(t)
	polled, pushed := h.stream(token, ""), h.stream(token, pushTo(sink.URL))
	decide := func(status, reason string) {
		for _, stream := range []string{polled, pushed} {
			o.must(http.StatusOK, http.MethodPost, "/admin/streams/"+stream+"/status", admin, `{"status":"`+status+`","reason":"`+reason+`"}`)
		}
	}
	decide("paused", "under review")
	held := h.emit(token, "a")
	_, sets := h.poll(token, polled, `{}`)
	until(t, "SSF-8.1.5-01: the push", func() bool { return len(sink.requests()) == 1 })
	if len(sets) != 1 {
		t.Fatalf("SSF-8.1.5-01: got %d SETs polled, want one", len(sets))
	}
	checkUpdated(t, h, sets[0], polled, `{"status":"paused","reason":"under review"}`)
	checkUpdated(t, h, sink.requests()[0].compact, pushed, `{"status":"paused","reason":"under review"}`)
	h.must(http.StatusOK, http.MethodPost, "/ssf/poll/"+polled, token, `{"maxEvents":0,"ack":["`+parse(t, sets[0]).ID+`"]}`)
	decide("enabled", "reviewed")
	until(t, "the held event", func() bool { return slices.Contains(sink.transactions(), held) })
	checkUpdated(t, h, sink.requests()[1].compact, pushed, `{"status":"enabled","reason":"reviewed"}`)
	_, sets = h.poll(token, polled, `{}`)
	if len(sets) != 2 || parse(t, sets[1]).TransactionID != held {
		t.Fatalf("SSF-8.1.5-02: got %d SETs, want stream-updated ahead of the held event", len(sets))
	}
	checkUpdated(t, h, sets[0], polled, `{"status":"enabled","reason":"reviewed"}`)
}

// checkUpdated checks that a SET is a stream-updated with that payload.
func checkUpdated(t *testing.T, h *house, compact, stream, payload string) {
	t.Helper()
	got, err := h.verifier("alice").Verify(t.Context(), []byte(compact))
	if err != nil {
		t.Fatalf("U31: got %v, want it good in the eyes of a receiver", err)
	}
	if got.Type() != ssf.StreamUpdatedType || !got.Subject.Equal(ssf.Subject(stream)) || string(got.Events[0].Payload) != payload {
		t.Errorf("SSF-8.1.5-03: got %s, want stream-updated %s about %s", got.Claims(), payload, stream)
	}
}

// A push goes out over TLS 1.2 or newer, to the server that the endpoint_url names,
// by the certificate of an authority that is trusted, or not at all (PUSH-3-01,
// PUSH-5.3-01, PUSH-2.1-01).
func TestPushOverTLS(t *testing.T) {
	for _, c := range []struct {
		name    string
		most    uint16
		host    string // "" stays the address, which the certificate names
		trusted bool
		want    bool
	}{
		{"PUSH-5.3-01 TLS 1.2", tls.VersionTLS12, "", true, true},
		{"PUSH-5.3-01 TLS 1.3", tls.VersionTLS13, "", true, true},
		{"PUSH-5.3-01 TLS 1.1", tls.VersionTLS11, "", true, false},
		{"PUSH-3-01 authority not trusted", tls.VersionTLS13, "", false, false},
		{"PUSH-3-01 certificate of another name", tls.VersionTLS13, "localhost", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := &sink{t: t, seen: map[string]bool{}}
			sink.Server = httptest.NewUnstartedServer(sink)
			sink.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: c.most} // the test's own peer
			sink.Config.ErrorLog = log.New(io.Discard, "", 0)
			sink.StartTLS()
			t.Cleanup(sink.Close)
			trusted := x509.NewCertPool()
			if c.trusted {
				trusted.AddCert(sink.Certificate())
			}
			h := open(t, func(s *setup) { s.Push.RootCAs, s.PushSchedule = trusted, []time.Duration{time.Hour} })
			token := h.client("alice", everyScope)
			url := sink.URL
			if c.host != "" {
				url = strings.Replace(url, "127.0.0.1", c.host, 1)
			}
			stream := h.stream(token, pushTo(url))
			h.emit(token, "a")
			until(t, "an attempt", func() bool {
				health, err := h.store.Health(t.Context(), stream)
				return err != nil || health.Failures > 0 || len(sink.transactions()) > 0
			})
			if got := len(sink.requests()) > 0; got != c.want {
				t.Errorf("got the SET sent %v, want %v; %s", got, c.want, h.logs)
			}
		})
	}
}

// SUBJ-6-01: of a user's identifiers a SET bears the one that the recipient has
// registered, else the one of the format it prefers, else the first; never two.
func TestIdentifierThatTheRecipientKnows(t *testing.T) {
	const mail, opaque, phone = `{"format":"email","email":"a@example.com"}`, `{"format":"opaque","id":"x"}`, `{"format":"phone_number","phone_number":"+12065550100"}`
	for _, c := range []struct {
		name, prefers, registered, want string
	}{
		{"nothing known", "", "", mail},
		{"preferred", "phone_number", "", phone},
		{"preferred, but not among them", "did", "", mail},
		{"registered", "", opaque, opaque},
		{"registered and another preferred", "phone_number", opaque, opaque},
	} {
		t.Run("SUBJ-6-01 "+c.name, func(t *testing.T) {
			h := open(t, func(s *setup) {
				if c.registered != "" {
					s.DefaultSubjects = streams.SubjectsNone
				}
			})
			if _, err := h.apps.AddApplication(t.Context(), auth.Application{ID: "alice", Audience: []string{audience("alice")}, SubjectFormat: c.prefers}); err != nil {
				t.Fatal(err)
			}
			token := h.client("alice", everyScope)
			stream := h.stream(token, "")
			if c.registered != "" {
				h.must(http.StatusOK, http.MethodPost, "/ssf/subjects/add", token, `{"stream_id":"`+stream+`","subject":`+c.registered+`}`)
			}
			h.post(token, about(sessionRevoked, `[`+mail+`,`+opaque+`,`+phone+`]`))
			_, sets := h.poll(token, stream, `{}`)
			if len(sets) != 1 {
				t.Fatalf("got %d SETs, want one", len(sets))
			}
			if got := string(parse(t, sets[0]).Subject.Raw()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
