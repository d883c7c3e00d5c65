package sessionstest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// OpenIndex returns an empty index for one case, which closes it by t.Cleanup.
type OpenIndex func(t *testing.T, cfg sessions.IndexConfig) sessions.Lookup

// RunIndex runs every case of sessions.Index and sessions.Lookup.
func RunIndex(t *testing.T, open OpenIndex) {
	for _, tt := range []struct {
		name string
		test func(*index)
	}{
		{"found once added", indexFound},
		{"an invalid session is refused", indexInvalid},
		{"in place of one with the same id", indexReplaced},
		{"begun at or before until", indexUntil},
		{"by user, session, device, tenant", indexScopes},
		{"user and session narrow each other", indexNarrow},
		{"ALL is every session of the user", indexAll},
		{"any alias is enough", indexAliases},
		{"as Scope.Fits says", indexModel},
		{"in order, by page", indexPages},
		{"removed while paging", indexRemovedWhilePaging},
		{"max and scope are checked", indexBounds},
		{"removed", indexRemoved},
		{"expired ones are not found", indexExpired},
		{"kept for the lifetime without a time of its end", indexLifetime},
		{"looked up", indexLookup},
		{"added, found and removed at once", indexConcurrent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			cfg := sessions.IndexConfig{Lifetime: 8 * time.Hour, Now: c.Now}
			tt.test(&index{T: t, clock: c, Lookup: open(t, cfg)})
		})
	}
}

// index is one case's index.
type index struct {
	*testing.T
	*clock
	sessions.Lookup
}

func (x *index) add(list ...sessions.Session) {
	x.Helper()
	for _, s := range list {
		if err := x.Add(x.Context(), s); err != nil {
			x.Fatalf("add: %v", err)
		}
	}
}

// finds fails the case unless the sessions in scope begun until now are want.
func (x *index) finds(scope receiver.Scope, want ...string) {
	x.Helper()
	x.findsUntil(scope, x.Now(), want...)
}

func (x *index) findsUntil(scope receiver.Scope, until time.Time, want ...string) {
	x.Helper()
	if got := x.page(scope, until, "", sessions.MaxPage); !slices.Equal(got, want) {
		x.Errorf("got sessions %q, want %q", got, want)
	}
}

func (x *index) page(scope receiver.Scope, until time.Time, after string, max int) []string {
	x.Helper()
	found, err := x.Find(x.Context(), scope, until, after, max)
	if err != nil {
		x.Fatalf("find: %v", err)
	}
	var got []string
	for _, s := range found {
		got = append(got, s.ID)
	}
	return got
}

func indexFound(x *index) {
	x.add(of("a", "jo", "s1", x.Now()), of("b", "mo", "s2", x.Now()))
	x.finds(userScope(x, "jo"), "a")
	x.finds(receiver.ScopeOf(email("mo")), "b")
	x.finds(userScope(x, "nobody"))
	found, err := x.Find(x.Context(), userScope(x, "jo"), x.Now(), "", 1)
	if err != nil || len(found) != 1 || !found[0].Begun.Equal(x.Now()) {
		x.Errorf("got %v %v, want one session begun at %v", found, err, x.Now())
	}
}

func indexInvalid(x *index) {
	if err := x.Add(x.Context(), sessions.Session{ID: "a"}); !errors.Is(err, sessions.ErrInvalid) {
		x.Errorf("got %v, want ErrInvalid", err)
	}
}

func indexReplaced(x *index) {
	x.add(of("a", "jo", "s1", x.Now()), of("a", "mo", "", x.Now().Add(-time.Hour)))
	x.finds(userScope(x, "jo"))
	x.finds(receiver.ScopeOf(sid("s1")))
	x.findsUntil(userScope(x, "mo"), x.Now().Add(-time.Hour), "a")
	x.finds(userSession(x, "mo", "s9"), "a") // its session is not known any more
}

func indexUntil(x *index) {
	x.add(of("before", "jo", "", x.Now().Add(-time.Second)), of("now", "jo", "", x.Now()), of("later", "jo", "", x.Now().Add(time.Second)))
	x.finds(userScope(x, "jo"), "before", "now")
	x.findsUntil(userScope(x, "jo"), x.Now().Add(-time.Hour))
}

func indexScopes(x *index) {
	x.add(
		sessions.Session{ID: "a", Begun: x.Now(), Members: members{
			"user": ids(email("jo")), "session": ids(sid("s1")), "device": ids(sid("d1")), "tenant": ids(sid("t1")), "ward": ids(sid("w1")),
		}},
		sessions.Session{ID: "b", Begun: x.Now(), Members: members{
			"user": ids(email("mo")), "session": ids(sid("s2")), "device": ids(sid("d1")), "tenant": ids(sid("t1")),
		}},
	)
	one := func(name string, id subject.Identifier) receiver.Scope {
		return complexScope(x, map[string]subject.Identifier{name: id})
	}
	x.finds(one("user", email("jo")), "a")
	x.finds(one("session", sid("s1")), "a")
	x.finds(one("device", sid("d1")), "a", "b")
	x.finds(one("tenant", sid("t1")), "a", "b")
	x.finds(one("ward", sid("w1")), "a")
	x.finds(one("user", sid("s1"))) // a session's id is no user
	x.finds(one("session", sid("d1")))
	x.finds(receiver.ScopeOf(sid("s1")), "a") // a simple subject is a user or a session
	x.finds(receiver.ScopeOf(email("jo")), "a")
	x.finds(receiver.ScopeOf(sid("d1")))
	x.finds(complexScope(x, map[string]subject.Identifier{"device": sid("d1"), "user": email("mo")}), "b")
	x.finds(complexScope(x, map[string]subject.Identifier{"tenant": sid("t1"), "user": email("no")}))
}

func indexNarrow(x *index) {
	x.add(of("a", "jo", "s1", x.Now()), of("b", "jo", "s2", x.Now()), of("c", "jo", "", x.Now()), of("d", "mo", "s1", x.Now()))
	x.finds(userSession(x, "jo", "s1"), "a", "c") // of c only the user is known: it might be the one
	x.finds(userSession(x, "mo", "s2"))
}

func indexAll(x *index) {
	x.add(of("a", "jo", "s1", x.Now()), of("b", "jo", "s2", x.Now()), of("c", "mo", "s3", x.Now()))
	x.finds(userSession(x, "jo", "ALL"), "a", "b")
}

func indexAliases(x *index) {
	phone := subject.Phone("+15550100")
	x.add(sessions.Session{ID: "a", Begun: x.Now(), Members: members{"user": ids(email("jo"), phone, subject.IssSub("https://idp.example", "1"))}})
	x.finds(receiver.ScopeOf(subject.Aliases(email("other"), phone)), "a")
	x.finds(receiver.ScopeOf(subject.Aliases(email("jo"), phone)), "a")
	x.finds(receiver.ScopeOf(subject.IssSub("https://idp.example", "1")), "a")
	x.finds(receiver.ScopeOf(subject.IssSub("https://idp.example", "2")))
}

func indexPages(x *index) {
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("s%02d", (i*7)%25)
		x.add(of(id, "jo", id, x.Now()))
		want = append(want, id)
	}
	slices.Sort(want)
	var got []string
	for after := ""; ; {
		page := x.page(userScope(x, "jo"), x.Now(), after, 10)
		got = append(got, page...)
		if len(page) < 10 {
			break
		}
		after = page[9]
	}
	if !slices.Equal(got, want) {
		x.Errorf("got %q, want %q", got, want)
	}
	if got := x.page(userScope(x, "jo"), x.Now(), "s23", 10); !slices.Equal(got, []string{"s24"}) {
		x.Errorf("after s23: got %q, want s24 alone", got)
	}
}

func indexRemovedWhilePaging(x *index) {
	for i := range 30 {
		x.add(of(fmt.Sprintf("s%02d", i), "jo", "", x.Now()))
	}
	n := 0
	for after := ""; ; {
		page := x.page(userScope(x, "jo"), x.Now(), after, 7)
		if len(page) == 0 {
			break
		}
		if n += len(page); x.Remove(x.Context(), page...) != nil {
			x.Fatal("remove failed")
		}
		after = page[len(page)-1]
	}
	if n != 30 {
		x.Errorf("got %d sessions, want 30", n)
	}
	x.finds(userScope(x, "jo"))
}

func indexBounds(x *index) {
	for _, max := range []int{0, -1, sessions.MaxPage + 1} {
		if _, err := x.Find(x.Context(), userScope(x, "jo"), x.Now(), "", max); err == nil {
			x.Errorf("max %d: got no error, want one", max)
		}
	}
	if _, err := x.Find(x.Context(), nil, x.Now(), "", 1); !errors.Is(err, sessions.ErrScope) {
		x.Errorf("a scope that fits nothing: got %v, want ErrScope", err)
	}
	long := of(strings.Repeat("é", sessions.MaxIDBytes/2), "jo", "", x.Now())
	x.add(long)
	x.finds(userScope(x, "jo"), long.ID)
}

func indexRemoved(x *index) {
	x.add(of("a", "jo", "", x.Now()), of("b", "jo", "", x.Now()), of("c", "jo", "", x.Now()))
	for range 2 {
		if err := x.Remove(x.Context(), "a", "c", "never there"); err != nil {
			x.Fatal(err)
		}
		x.finds(userScope(x, "jo"), "b")
	}
	if err := x.Remove(x.Context()); err != nil {
		x.Errorf("none to remove: got %v, want none", err)
	}
	x.add(of("a", "jo", "", x.Now()))
	x.finds(userScope(x, "jo"), "a", "b")
}

func indexExpired(x *index) {
	soon, late := of("soon", "jo", "", x.Now()), of("late", "jo", "", x.Now())
	soon.Expires, late.Expires = x.Now().Add(time.Minute), x.Now().Add(2*time.Hour)
	over := of("over", "jo", "", x.Now().Add(-time.Hour))
	over.Expires = x.Now()
	x.add(soon, late, over)
	x.finds(userScope(x, "jo"), "late", "soon")
	x.advance(time.Minute)
	x.finds(userScope(x, "jo"), "late")
	late.Expires = x.Now() // as if the user had logged out elsewhere
	x.add(late)
	x.finds(userScope(x, "jo"))
}

func indexLifetime(x *index) {
	x.add(of("a", "jo", "", x.Now()), of("b", "jo", "", x.Now()))
	x.advance(7 * time.Hour)
	x.add(of("b", "jo", "", x.Now()))
	x.advance(time.Hour)
	x.finds(userScope(x, "jo"), "b")
}

func indexLookup(x *index) {
	s := of("a", "jo", "s1", x.Now())
	s.Expires = x.Now().Add(time.Hour)
	x.add(s)
	got, err := x.Lookup.Lookup(x.Context(), "a")
	if err != nil || !slices.Equal(got.Keys(), s.Bearer().Keys()) || !got.Begun().Equal(s.Begun) || !got.Expires().Equal(s.Expires) {
		x.Errorf("got %v %v, want the bearer of the session", got, err)
	}
	x.advance(time.Hour)
	for _, id := range []string{"a", "b", ""} {
		if _, err := x.Lookup.Lookup(x.Context(), id); !errors.Is(err, sessions.ErrUnknown) {
			x.Errorf("%q: got %v, want ErrUnknown", id, err)
		}
	}
}

func indexConcurrent(x *index) {
	done := make(chan error)
	const callers, each = 8, 20
	for c := range callers {
		go func() {
			var err error
			for i := range each {
				s := of(fmt.Sprintf("%d-%02d", c, i), "jo", "", x.Now())
				err = errors.Join(err, x.Add(x.Context(), s))
				_, findErr := x.Find(x.Context(), userScope(x, "jo"), x.Now(), "", 10)
				err = errors.Join(err, findErr)
				if i%2 == 0 {
					err = errors.Join(err, x.Remove(x.Context(), s.ID))
				}
			}
			done <- err
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			x.Error(err)
		}
	}
	if got := x.page(userScope(x, "jo"), x.Now(), "", sessions.MaxPage); len(got) != callers*each/2 {
		x.Errorf("got %d sessions, want %d", len(got), callers*each/2)
	}
}
