package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// The program verifies a SET with keys in a file, and refuses one that is for others.
func TestVerify(t *testing.T) {
	key, err := jose.Generate(jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, set.HeaderType)
	if err != nil {
		t.Fatal(err)
	}
	token, err := set.Builder{
		Issuer: "https://ssf.example", ID: "one", Audience: []string{"https://app.example"}, IssuedAt: time.Now(), Subject: subject.Email("jo@example.com"),
		Event: set.Event{Type: caep.SessionRevokedType, Payload: []byte(`{"event_timestamp":1763999940}`)},
	}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(jose.NewKeySet(key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := verify(t.Context(), "https://ssf.example", "https://app.example", keys, strings.NewReader(token+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	if want := "jti one\nevent " + caep.SessionRevokedType + "\nsessions were revoked at 2025-11-24 15:59:00 +0000 UTC\n"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
	if err := verify(t.Context(), "https://ssf.example", "https://other.example", keys, strings.NewReader(token), &out); err == nil || !strings.Contains(err.Error(), "audience") {
		t.Errorf("for others: got %v, want a refusal for its audience", err)
	}
}
