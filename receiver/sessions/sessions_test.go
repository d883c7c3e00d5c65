package sessions_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

func TestCheck(t *testing.T) {
	users := func(n int) map[string][]subject.Identifier {
		return map[string][]subject.Identifier{"user": slices.Repeat([]subject.Identifier{subject.Email("jo@example.com")}, n)}
	}
	now := time.Unix(1700000000, 0)
	for _, tt := range []struct {
		name    string
		session sessions.Session
		valid   bool
	}{
		{"valid", sessions.Session{ID: "a", Members: users(1), Begun: now}, true},
		{"no id", sessions.Session{Members: users(1), Begun: now}, false},
		{"long id", sessions.Session{ID: strings.Repeat("a", sessions.MaxIDBytes+1), Members: users(1), Begun: now}, false},
		{"nobody's", sessions.Session{ID: "a", Begun: now}, false},
		{"too many identifiers", sessions.Session{ID: "a", Members: users(sessions.MaxIdentifiers + 1), Begun: now}, false},
		{"no begin", sessions.Session{ID: "a", Members: users(1)}, false},
	} {
		if err := tt.session.Check(); (err == nil) != tt.valid || err != nil && !errors.Is(err, sessions.ErrInvalid) {
			t.Errorf("%s: got %v, want valid %v", tt.name, err, tt.valid)
		}
	}
}

// docs/contracts.md §8: sessions begun at or before the event's time end, later ones live.
func TestIn(t *testing.T) {
	begun := time.Unix(1700000000, 0)
	s := sessions.Session{ID: "a", Members: map[string][]subject.Identifier{"user": {subject.Email("jo@example.com")}}, Begun: begun}
	scope := receiver.ScopeOf(subject.Email("jo@example.com"))
	for until, want := range map[time.Time]bool{begun: true, begun.Add(time.Second): true, begun.Add(-time.Second): false} {
		if got := s.In(scope, until); got != want {
			t.Errorf("an event %v after the begin: got ended %v, want %v", until.Sub(begun), got, want)
		}
	}
}
