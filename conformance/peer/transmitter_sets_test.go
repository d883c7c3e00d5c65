package peer_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver/client"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// endpoint is a push endpoint that answers what a test says, and tells what came.
type endpoint struct {
	url  string
	got  chan *http.Request
	sets chan string
	say  func(n int) (status int, body string)
}

func listen(t *testing.T, say func(n int) (int, string)) *endpoint {
	t.Helper()
	e := &endpoint{got: make(chan *http.Request, 100), sets: make(chan string, 100), say: say}
	n := 0
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		n++
		status, body := e.say(n)
		mu.Unlock()
		e.got <- r
		e.sets <- string(raw)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	e.url = server.URL + "/in"
	return e
}

// Pushes are as RFC 8935 has them, tried again where that may help, and their verdicts
// are told.
func TestTransmitterPushes(t *testing.T) {
	p, issuer := serve(t)
	at := listen(t, func(n int) (int, string) {
		switch n {
		case 1:
			return http.StatusServiceUnavailable, ""
		case 3:
			return http.StatusBadRequest, `{"err":"invalid_audience","description":"not me"}`
		}
		return http.StatusAccepted, ""
	})
	c := manage(t, issuer, static)
	s, err := c.Create(t.Context(), client.Request{
		EventsRequested: []string{caep.SessionRevokedType},
		Delivery:        &streams.Delivery{Method: delivery.MethodPush, EndpointURL: at.url, AuthorizationHeader: "Secret abc"},
	})
	if err != nil {
		t.Fatal(err)
	}
	first := p.Emit(happened("a@example.com"))[0].ID
	second := p.Emit(happened("b@example.com"))[0].ID
	for n, want := range []string{first, first, second} {
		r, compact := <-at.got, <-at.sets
		if got := r.Header; r.Method != http.MethodPost || got.Get("Content-Type") != delivery.MediaType || got.Get("Accept") != "application/json" || got.Get("Authorization") != "Secret abc" {
			t.Errorf("push %d: got %s %v, want one of RFC 8935 §2.1", n, r.Method, got)
		}
		token, err := set.Parse([]byte(compact))
		if err != nil || token.ID != want {
			t.Errorf("push %d: got %v, %v, want %s", n, token, err, want)
		}
	}
	v, next, err := p.Verdict(t.Context(), 0, first)
	if err != nil || v.Accepted || v.Exchange.Status != http.StatusServiceUnavailable {
		t.Errorf("got %+v, %v, want no verdict yet", v, err)
	}
	if v, _, err = p.Verdict(t.Context(), next, first); err != nil || !v.Accepted {
		t.Errorf("got %+v, %v, want it accepted", v, err)
	}
	if v, _, err = p.Verdict(t.Context(), 0, second); err != nil || !v.Refused || v.Code != delivery.CodeInvalidAudience {
		t.Errorf("got %+v, %v, want it refused", v, err)
	}
	// It stops a stream only after it has said so.
	if err := p.SetStatus(s.StreamID, streams.Paused, "tests"); err != nil {
		t.Fatal(err)
	}
	p.Emit(happened("c@example.com"))
	if token, err := set.Parse([]byte(<-at.sets)); err != nil || token.Type() != streams.TypeStreamUpdated {
		t.Errorf("got %v, %v, want stream-updated", token, err)
	}
	if err := p.SetStatus(s.StreamID, streams.Enabled, ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{streams.TypeStreamUpdated, caep.SessionRevokedType} {
		if token, err := set.Parse([]byte(<-at.sets)); err != nil || token.Type() != want {
			t.Errorf("got %v, %v, want %s", token, err, want)
		}
	}
}

// A SET that is sent with a break is the one that has it.
func TestSetBreaks(t *testing.T) {
	p, issuer := serve(t)
	s, err := manage(t, issuer, static).Create(t.Context(), client.Request{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := set.NewVerifier(set.VerifierConfig{Issuer: issuer, Audience: []string{audience}, Keys: wellknown.NewClient(wellknown.Config{HTTP: loopback()}).Keys(issuer)})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]delivery.Code{
		"": "", "SET-2-01": "invalid_request", "SET-2.2-01": "invalid_request", "SET-2.2-03": "invalid_request", "SET-2.2-04": "invalid_audience",
		"SET-2.4-01": "invalid_key", "SET-5.1-01": "authentication_failed", "SSF-4.1.1-01": "invalid_request", "SSF-4.1.2-01": "invalid_request",
		"SSF-4.1.7-01": "invalid_request", "SSF-3.1-01": "invalid_request", "SSF-4.1.6-01": "invalid_issuer", "SSF-4.1.8-01": "invalid_request",
		"JWT-3.1-01": "invalid_key", "JWT-3.2-01": "invalid_key", "JWT-3.7-01": "invalid_request", "JWT-3.9-01": "invalid_audience",
		"SUBJ-3-01": "invalid_request", "SSF-3.3-01": "invalid_request", "SUBJ-3.2.8-01": "invalid_request", "INTEROP-2.6-01": "invalid_key",
		"unknown-kid": "invalid_key", "own-key": "invalid_key", "borrowed-kid": "authentication_failed", "wrong-iss": "invalid_issuer", "wrong-aud": "invalid_audience",
		"no-jti": "invalid_request", "future": "invalid_request", "old": "", "typ-case": "", "SET-2.3-01": "", "aud-list": "", "extra-members": "", "large": "",
		"huge": "invalid_request", "deep": "", "twice-iss": "invalid_request", "twice-alg": "invalid_request", "no-jwt": "invalid_request",
		"two-parts": "invalid_request", "critical-header": "invalid_request", "long-kid": "invalid_request", "unknown-format": "", "milliseconds": "",
	} {
		breaks := []string{id}
		if id == "" {
			breaks = nil
		}
		jti, err := p.Send(s.StreamID, happened("jo@example.com"), breaks...)
		if err != nil {
			t.Fatal(err)
		}
		answer := poll(t, s.Delivery.EndpointURL, `{"returnImmediately":true}`)
		poll(t, s.Delivery.EndpointURL, `{"returnImmediately":true,"maxEvents":0,"ack":["`+jti+`"]}`)
		if len(answer.Sets) != 1 {
			t.Fatalf("%s: got %d SETs, want one", id, len(answer.Sets))
		}
		_, err = v.Verify(t.Context(), []byte(answer.Sets[0].SET))
		var code delivery.Code
		if refusal, ok := errors.AsType[*set.Error](err); ok {
			code = refusal.Code
		} else if err != nil {
			t.Errorf("%s: got %v, want a verdict", id, err)
		}
		if code != want {
			t.Errorf("%s: got %q (%v), want %q", id, code, err, want)
		}
	}
}
