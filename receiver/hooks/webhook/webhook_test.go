package webhook_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/hookstest"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/message"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/webhook"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	older  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

var _ hooks.Hook = (*webhook.Hook)(nil)

func action(effect hooks.Effect) hooks.Action {
	return hooks.NewAction(receiver.Delivery{
		Issuer: "https://idp.example", ID: "j", Type: "urn:e", Subject: subject.Email("jo@example.com"), EventTime: time.Unix(1700000000, 0),
	}, "webhook", effect)
}

func newHook(t *testing.T, cfg webhook.Config) *webhook.Hook {
	t.Helper()
	h, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// consumer verifies what it is sent with the specification's own library.
func consumer(t *testing.T, secret, answer string, seen *[]message.Message) http.Handler {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var m message.Message
		if err := json.Unmarshal(body, &m); err != nil || m.Data.Key != r.Header.Get("Webhook-Id") {
			t.Errorf("got %s, %v with the id %q, want a message with its key as id", body, err, r.Header.Get("Webhook-Id"))
		}
		if seen != nil {
			*seen = append(*seen, m)
		}
		_, _ = io.WriteString(w, answer)
	})
}

func TestSuite(t *testing.T) {
	hookstest.Run(t, hookstest.Subject{
		New: func(t *testing.T, base string, client call.Config) hooks.Hook {
			client.Headers = map[string]string{"Authorization": "Bearer hunter2"}
			return newHook(t, webhook.Config{URL: base + "/hook", Secrets: []string{secret}, HTTP: client})
		},
		Server:  func(t *testing.T) http.Handler { return consumer(t, secret, "", nil) },
		Action:  action(hooks.End),
		Secrets: []string{"hunter2", secret, "jo@example.com"},
	})
}

// What is told, and what the answer says.
func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		answer string
		want   int
	}{{`{"ended":3}`, 3}, {"", hooks.Unknown}, {`{"ended":-7}`, hooks.Unknown}, {"thanks", hooks.Unknown}} {
		var seen []message.Message
		server := httptest.NewServer(consumer(t, older, tt.answer, &seen))
		h := newHook(t, webhook.Config{URL: server.URL, Secrets: []string{secret, older}, HTTP: call.Config{InsecureLoopback: true}})
		for range 2 {
			if got, err := h.Act(t.Context(), action(hooks.Deny)); err != nil || got.Ended != tt.want {
				t.Errorf("%q: got %+v, %v, want %d ended", tt.answer, got, err, tt.want)
			}
		}
		server.Close()
		if len(seen) != 2 || seen[0].Type != "tocsin.deny" || seen[0].Data.Key != seen[1].Data.Key {
			t.Errorf("%q: got %+v, want the same message twice", tt.answer, seen)
		}
	}
}

// What the endpoint refuses for good is not tried again; what it is not told of does
// not reach it.
func TestRefused(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusGone, http.StatusUnprocessableEntity} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		h := newHook(t, webhook.Config{URL: server.URL, Secrets: []string{secret}, Effects: []hooks.Effect{hooks.End}, HTTP: call.Config{InsecureLoopback: true}})
		if _, err := h.Act(t.Context(), action(hooks.End)); !receiver.IsPermanent(err) {
			t.Errorf("%d: got %v, want a permanent error", status, err)
		}
		server.Close()
		if _, err := h.Act(t.Context(), action(hooks.Reload)); !errors.Is(err, hooks.ErrNotApplicable) {
			t.Errorf("another effect: got %v, want %v", err, hooks.ErrNotApplicable)
		}
	}
}

func TestConfig(t *testing.T) {
	_, err := webhook.New(webhook.Config{URL: "http://example.com/?token=hunter2", Secrets: []string{"hunter2"}, Effects: []hooks.Effect{"kill"}})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"url:", "secrets[0]:", "effects:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %q, want it without the secret", err)
	}
	if _, err := webhook.New(webhook.Config{URL: "https://example.com"}); err == nil {
		t.Error("got no error without a secret, want one")
	}
}
