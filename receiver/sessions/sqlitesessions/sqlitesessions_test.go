package sqlitesessions_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sessionstest"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sqlitesessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func open(t *testing.T, cfg sqlitesessions.Config) *sqlitesessions.Store {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "sessions.db")
	}
	s, err := sqlitesessions.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestIndex(t *testing.T) {
	sessionstest.RunIndex(t, func(t *testing.T, cfg sessions.IndexConfig) sessions.Lookup {
		return open(t, sqlitesessions.Config{Index: cfg})
	})
}

func TestRevocations(t *testing.T) {
	sessionstest.RunRevocations(t, func(t *testing.T, cfg sessions.RevocationsConfig) sessions.Revocations {
		return open(t, sqlitesessions.Config{Revocations: cfg})
	})
}

func TestDurable(t *testing.T) {
	sessionstest.RunDurable(t, func(t *testing.T, dir string, index sessions.IndexConfig, revocations sessions.RevocationsConfig) sessionstest.Store {
		return open(t, sqlitesessions.Config{Path: filepath.Join(dir, "sessions.db"), Index: index, Revocations: revocations})
	})
}

// A file with more marks than may be in memory is refused, not half loaded.
func TestTooManyMarks(t *testing.T) {
	cfg := sqlitesessions.Config{Path: filepath.Join(t.TempDir(), "sessions.db")}
	s := open(t, cfg)
	scope := receiver.ScopeOf(subject.Aliases(subject.Email("jo@example.com"), subject.Email("mo@example.com")))
	if err := s.Revoke(t.Context(), scope, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Revocations.MaxMarks = 3
	if _, err := sqlitesessions.Open(t.Context(), cfg); !errors.Is(err, sessions.ErrFull) || !strings.Contains(err.Error(), "MaxMarks") {
		t.Errorf("got %v, want ErrFull that names MaxMarks", err)
	}
	cfg.Index.Lifetime = -1
	if _, err := sqlitesessions.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "Lifetime") {
		t.Errorf("got %v, want an error that names Lifetime", err)
	}
}

// The file has no identifier in clear.
func TestNoIdentifiers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sqlitesessions.Config{Path: filepath.Join(dir, "sessions.db")})
	jo := subject.Email("somebody-to-look-for@example.com")
	err := errors.Join(
		s.Add(t.Context(), sessions.Session{ID: "id-to-be-found", Begun: time.Now(), Members: map[string][]subject.Identifier{"user": {jo}}}),
		s.Revoke(t.Context(), receiver.ScopeOf(jo), time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(raw)
	}
	if strings.Contains(all.String(), "somebody-to-look-for") || !strings.Contains(all.String(), "id-to-be-found") {
		t.Error("got the identifier in the file or the session not, want digests alone")
	}
}

// update makes the file of schema version 1 anew; a later version gets one of its own.
var update = flag.Bool("update", false, "make testdata/v1.db anew")

// A file of each older schema version opens with what it knew.
func TestUpgrade(t *testing.T) {
	const first = "testdata/v1.db"
	then := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return then }
	cfg := sqlitesessions.Config{Index: sessions.IndexConfig{Now: clock}, Revocations: sessions.RevocationsConfig{Now: clock}}
	jo := sessions.Session{ID: "a", Begun: then, Members: map[string][]subject.Identifier{"user": {subject.Email("jo@example.com")}}}
	scope := receiver.ScopeOf(jo.Members["user"][0])
	if *update {
		s := open(t, cfg)
		if err := errors.Join(s.Add(t.Context(), jo), s.Deny(t.Context(), scope, "", then), os.RemoveAll(first), s.Backup(t.Context(), first)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Path = filepath.Join(t.TempDir(), "sessions.db")
	if err := os.WriteFile(cfg.Path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg)
	found, err := s.Find(t.Context(), scope, then, "", 10)
	if err != nil || len(found) != 1 || found[0].ID != "a" {
		t.Errorf("got %v %v, want the session", found, err)
	}
	gate, err := sessions.NewGate(sessions.Config{Revocations: s, Fail: sessions.FailClosed})
	if err != nil {
		t.Fatal(err)
	}
	if got := gate.Session(jo); got != sessions.Denied {
		t.Errorf("got %v, want denied", got)
	}
}
