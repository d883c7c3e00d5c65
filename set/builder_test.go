package set_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// The claims, member by member: required ones always (SET-2.2-01), one event
// (SSF-4.2.1-01), sub_id (SSF-3.1-01), never sub or exp (SSF-4.1.2-01,
// SSF-4.1.7-01), nothing that the builder was not given (SET-6-01).
func TestBuilderClaims(t *testing.T) {
	least := set.Builder{Issuer: "https://i", ID: "1", Audience: []string{"a"}, IssuedAt: time.Unix(5, 999), Subject: subject.Opaque("s"), Event: set.Event{Type: "urn:x"}}
	const head, tail = `{"iss":"https://i","jti":"1","iat":5,"aud":"a"`, `,"sub_id":{"format":"opaque","id":"s"},"events":{"urn:x":{}}}`
	cases := []struct {
		name string
		with func(*set.Builder)
		want string
	}{
		{"least", func(*set.Builder) {}, head + tail},
		{
			"SSF-4.1.8-01 several audiences", func(b *set.Builder) { b.Audience = []string{"a", "b"} },
			`{"iss":"https://i","jti":"1","iat":5,"aud":["a","b"]` + tail,
		},
		{"SSF-4.1.9-01 txn", func(b *set.Builder) { b.TransactionID = "8675309" }, head + `,"txn":"8675309"` + tail},
		{"SET-2.2-05 toe", func(b *set.Builder) { b.TimeOfEvent = time.Unix(7, 999999999) }, head + `,"toe":7` + tail},
		{"SET-2.2-05 toe of 1970", func(b *set.Builder) { b.TimeOfEvent = time.Unix(0, 0) }, head + `,"toe":0` + tail},
		{
			"SSF-4.2.3-01 payload as it is", func(b *set.Builder) { b.Event.Payload = json.RawMessage(`{ "x" : 1.0 }`) },
			head + `,"sub_id":{"format":"opaque","id":"s"},"events":{"urn:x":{ "x" : 1.0 }}}`,
		},
		{
			"JWT-3.7-01 texts", func(b *set.Builder) { b.ID = "\"\\\n\u0000\u00fc<\U0001f512" },
			strings.Replace(head, `"jti":"1"`, `"jti":"\"\\\n\u0000`+"\u00fc<\U0001f512"+`"`, 1) + tail,
		},
	}
	for _, c := range cases {
		b := least
		c.with(&b)
		got, err := b.Claims()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
		if again, _ := b.Claims(); !bytes.Equal(again, got) { // contracts, SET identity
			t.Errorf("%s: got other claims from the same builder: %s", c.name, again)
		}
	}
}

// What is missing or wrong is named, and nothing is returned (SET-2-01,
// SET-2.2-01, SET-2.2-04, JWT-3.9-01, SSF-3.1-01, EVT-02).
func TestBuilderRefuses(t *testing.T) {
	long := strings.Repeat("x", set.MaxIssuerBytes+1)
	cases := []struct {
		name, want string
		with       func(*set.Builder)
	}{
		{"no issuer", "Issuer", func(b *set.Builder) { b.Issuer = "" }},
		{"issuer too long", "Issuer", func(b *set.Builder) { b.Issuer = long }},
		{"issuer not UTF-8", "UTF-8", func(b *set.Builder) { b.Issuer = "\xff" }},
		{"no jti", "ID", func(b *set.Builder) { b.ID = "" }},
		{"jti too long", "ID", func(b *set.Builder) { b.ID = long }},
		{"no audience", "Audience", func(b *set.Builder) { b.Audience = nil }},
		{"empty audience", "Audience", func(b *set.Builder) { b.Audience = []string{"a", ""} }},
		{"audience not UTF-8", "UTF-8", func(b *set.Builder) { b.Audience = []string{"a", "\xff"} }},
		{"too many audiences", "Audience", func(b *set.Builder) { b.Audience = make([]string, set.MaxAudience+1) }},
		{"no iat", "IssuedAt", func(b *set.Builder) { b.IssuedAt = time.Time{} }},
		{"iat beyond", "IssuedAt", func(b *set.Builder) { b.IssuedAt = time.Unix(253402300800, 0) }},
		{"toe before 1970", "TimeOfEvent", func(b *set.Builder) { b.TimeOfEvent = time.Unix(-1, 0) }},
		{"txn too long", "TransactionID", func(b *set.Builder) { b.TransactionID = long }},
		{"no subject", "Subject", func(b *set.Builder) { b.Subject = subject.Identifier{} }},
		{"no type", "Event.Type", func(b *set.Builder) { b.Event.Type = "" }},
		{"type no URI", "Event.Type", func(b *set.Builder) { b.Event.Type = "session-revoked" }},
		{"payload null", "Event.Payload", func(b *set.Builder) { b.Event.Payload = json.RawMessage(`null`) }},
		{"payload empty", "Event.Payload", func(b *set.Builder) { b.Event.Payload = json.RawMessage{} }},
		{"payload an array", "Event.Payload", func(b *set.Builder) { b.Event.Payload = json.RawMessage(`[]`) }},
		{"payload cut", "Event.Payload", func(b *set.Builder) { b.Event.Payload = json.RawMessage(`{`) }},
		{"payload two objects", "Event.Payload", func(b *set.Builder) { b.Event.Payload = json.RawMessage(`{},"x":{}`) }},
		{"payload with a member twice", "Event.Payload", func(b *set.Builder) { b.Event.Payload = json.RawMessage(`{"a":[{"b":1,"b":1}]}`) }},
	}
	signer := newSigner(t)
	for _, c := range cases {
		b := sessionRevoked()
		c.with(&b)
		if got, err := b.Claims(); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %s, %v, want an error that names %s", c.name, got, err, c.want)
		}
		if got, err := b.Sign(signer); err == nil || got != "" {
			t.Errorf("%s, signed: got %q, %v, want an error alone", c.name, got, err)
		}
	}
}

// SET-5.1-01, SET-2.3-01, SSF-4.1.6-01: what a builder signs bears the header of a
// SET, a signature, and the issuer byte for byte; a strict verifier takes it.
func TestBuilderSign(t *testing.T) {
	signer := newSigner(t)
	b := sessionRevoked()
	compact, err := b.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := newVerifier(t, set.Tolerances{}).Verify(t.Context(), []byte(compact))
	if err != nil {
		t.Fatal(err)
	}
	if want := (jose.Header{Algorithm: "RS256", KeyID: signer.KeyID(), Type: "secevent+jwt"}); tok.Header != want {
		t.Errorf("header: got %+v, want %+v", tok.Header, want)
	}
	if tok.Issuer != b.Issuer || tok.ID != b.ID || !reflect.DeepEqual(tok.Audience, b.Audience) || !tok.Subject.Equal(b.Subject) || !tok.IssuedAt.Equal(b.IssuedAt) {
		t.Errorf("got %+v, want what the builder says: %+v", tok, b)
	}
	again, err := b.Sign(signer)
	if err != nil || sha256.Sum256([]byte(again)) != sha256.Sum256([]byte(compact)) {
		t.Errorf("signed again: got other bytes, %v, want the same", err)
	}
}

// SEC-04: neither a builder nor a token nor an event shows a subject or a payload
// in the log.
func TestLogHidesContent(t *testing.T) {
	b := sessionRevoked()
	b.Subject, b.Event.Payload = subject.Email("secret@example.com"), json.RawMessage(`{"x":"secret"}`)
	tok, err := set.Parse([]byte(sign(t, header, mustClaims(t, b))))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("x", "builder", b, "token", tok, "event", tok.Events[0], "subject", tok.Subject)
	}
	if text := out.String(); strings.Contains(text, "secret") || strings.Count(text, b.ID) != 4 || !strings.Contains(text, b.TransactionID) {
		t.Errorf("got %s, want jti and txn, and no content", text)
	}
}
