package sqlitesessions_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sqlitesessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// What closes the gate does so before the disk has it, and also if the disk fails: the
// call is repeated then. What opens it waits for the disk.
func TestClosedBeforeTheDisk(t *testing.T) {
	store, err := sqlitesessions.Open(t.Context(), sqlitesessions.Config{Path: filepath.Join(t.TempDir(), "sessions.db")})
	if err != nil {
		t.Fatal(err)
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: store, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	jo := sessions.Claims{Email: "jo@example.com", IssuedAt: now.Add(-time.Minute)}
	scope := receiver.ScopeOf(subject.Email("jo@example.com"))
	failing, cancel := context.WithCancel(t.Context())
	cancel()
	by := func(call func(context.Context, receiver.Scope, string, time.Time) error) func(context.Context, receiver.Scope, time.Time) error {
		return func(ctx context.Context, scope receiver.Scope, at time.Time) error {
			return call(ctx, scope, "https://idp.example", at)
		}
	}
	for _, step := range []struct {
		name string
		call func(context.Context, receiver.Scope, time.Time) error
		ctx  context.Context
		want sessions.Verdict
	}{
		{"revoked, not kept", store.Revoke, failing, sessions.Revoked},
		{"denied, not kept", by(store.Deny), failing, sessions.Denied},
		{"denied", by(store.Deny), t.Context(), sessions.Denied},
		{"allowed, not kept", by(store.Allow), failing, sessions.Denied},
		{"allowed", by(store.Allow), t.Context(), sessions.Revoked},
	} {
		err := step.call(step.ctx, scope, now)
		if (err != nil) != (step.ctx == failing) {
			t.Errorf("%s: got error %v", step.name, err)
		}
		if got := gate.Claims(jo); got != step.want {
			t.Errorf("%s: got %v, want %v", step.name, got, step.want)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
