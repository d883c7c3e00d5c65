package log_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/log"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

var (
	_ hooks.Hook      = (*log.Hook)(nil)
	_ hooks.Previewer = (*log.Hook)(nil)
)

// A line says what was asked for, and of whom a digest.
func TestAct(t *testing.T) {
	id := subject.Email("jo@example.com")
	a := hooks.NewAction(receiver.Delivery{
		Issuer: "https://idp.example", ID: "j", TransactionID: "t", Type: "urn:e", Subject: id, EventTime: time.Unix(1700000000, 0), Attempt: 2,
	}, "log", hooks.Deny)
	var out bytes.Buffer
	h, err := log.New(log.Config{Logger: slog.New(slog.NewJSONHandler(&out, nil)), Level: "warn", Effects: []hooks.Effect{hooks.Deny}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Preview(t.Context(), a); err != nil || out.Len() > 0 {
		t.Errorf("preview: got %v and %q, want nothing", err, &out)
	}
	if _, err := h.Act(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "jo@example.com") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("got %s, want one line without the user", &out)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"level": "WARN", "effect": "deny", "kind": "user", "subject": id.String(), "issuer": "https://idp.example", "jti": "j",
		"txn": "t", "event_type": "urn:e", "attempt": 2.0, "key": a.Key, "until": "2023-11-14T22:13:20Z",
	} {
		if line[name] != want {
			t.Errorf("%s: got %v, want %v", name, line[name], want)
		}
	}
	a.Effect = hooks.End
	if _, err := h.Act(t.Context(), a); !errors.Is(err, hooks.ErrNotApplicable) {
		t.Errorf("another effect: got %v, want %v", err, hooks.ErrNotApplicable)
	}
}

func TestConfig(t *testing.T) {
	_, err := log.New(log.Config{Level: "loud", Effects: []hooks.Effect{"kill"}})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"logger:", "level:", "effects:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
}
