package sessions_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// Digests and clauses are on disk and on servers: they never change.
func TestClausesAreOnDisk(t *testing.T) {
	jo, err := subject.Complex(map[string]subject.Identifier{
		"user": subject.IssSub("https://idp.example", "1"), "session": subject.Opaque("s1"), "tenant": subject.Opaque("t1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		id   subject.Identifier
		want []string
	}{
		{subject.Email("jo@example.com"), []string{"user", "session"}},
		{jo, []string{"both", "alone"}},
	} {
		clauses, err := sessions.Clauses(receiver.ScopeOf(tt.id))
		if err != nil || len(clauses) != len(tt.want) {
			t.Fatalf("got %d clauses %v, want %d", len(clauses), err, len(tt.want))
		}
		for i, c := range clauses {
			if got, want := hex.EncodeToString([]byte(c)), golden()[tt.want[i]]; got != want {
				t.Errorf("%s: got %s, want %s", tt.want[i], got, want)
			}
		}
	}
}

// golden are SHA-256 of each text with its length before it, cut, with the role in the
// last two bits: reckoned by other means.
func golden() map[string]string {
	return map[string]string{
		"user":    "d70c7e7e14a601a9bbbd90a6352d94a4",
		"session": "d70c7e7e14a601a9bbbd90a6352d94a6",
		"both":    "5de2ddcb893b705adb5b9f56a12ddd3640fc4a72bee1e9e753850144dfaaaf109890e5f993db8929a017b1a50463f0fb",
		"alone":   "40fc4a72bee1e9e753850144dfaaaf119890e5f993db8929a017b1a50463f0fb",
	}
}

// Two identifiers have one digest exactly if they are equal, under one name.
func TestDigestIsEquality(t *testing.T) {
	list := []subject.Identifier{
		subject.Email("jo@example.com"), subject.Email("Jo@example.com"), subject.Opaque("jo@example.com"),
		subject.IssSub("a", "bc"), subject.IssSub("ab", "c"), subject.JWTID("a", "bc"), subject.Opaque(""),
		subject.Phone("+15550100"), subject.URI("urn:x"), subject.DID("did:x:1"), subject.Account("acct:a@b.example"),
		subject.Aliases(subject.Email("jo@example.com")), parse(t, `{"format":"custom","id":"jo@example.com"}`),
		parse(t, `{"format":"email", "email":"j\u006f@example.com","ignored":1}`), parse(t, `{"iss":"a","sub":"bc","format":"iss_sub"}`),
	}
	keys := func(name string, id subject.Identifier) []sessions.Digest {
		s := sessions.Session{ID: "a", Begun: time.Unix(1, 0), Members: map[string][]subject.Identifier{name: {id}}}
		return s.Bearer().Keys()
	}
	for i, a := range list {
		for j, b := range list {
			for _, name := range []string{"user", "session", "device"} {
				if got, want := slices.Equal(keys(name, a), keys(name, b)), a.Equal(b); got != want {
					t.Errorf("%s %d and %d: got same digest %v, want %v", name, i, j, got, want)
				}
			}
			for _, d := range keys("user", a) {
				if slices.Contains(keys("session", b), d) || slices.Contains(keys("device", b), d) {
					t.Errorf("%d and %d: got one digest for two names, want two", i, j)
				}
			}
		}
	}
}

func parse(t *testing.T, raw string) subject.Identifier {
	t.Helper()
	id, err := subject.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// What a hostile transmitter makes of aliases is bounded.
func TestClausesBounded(t *testing.T) {
	ids := make([]subject.Identifier, subject.MaxAliases)
	for i := range ids {
		ids[i] = subject.Opaque(fmt.Sprint(i))
	}
	scope := receiver.Scope{{Name: "user", Identifiers: ids}, {Name: "device", Identifiers: ids}}
	if clauses, err := sessions.Clauses(scope); err != nil || len(clauses) != sessions.MaxClauses {
		t.Errorf("got %d clauses and %v, want %d", len(clauses), err, sessions.MaxClauses)
	}
	scope = append(scope, receiver.ScopeMember{Name: "session", Identifiers: ids[:1]})
	if _, err := sessions.Clauses(scope); !errors.Is(err, sessions.ErrScope) {
		t.Errorf("got %v, want ErrScope", err)
	}
}
