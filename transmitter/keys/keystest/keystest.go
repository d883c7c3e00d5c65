// Package keystest is the suite of the contract keys.Store: each promise of it is a
// case that every backend passes.
package keystest

import (
	"errors"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

// Open opens the store kept in the folder dir, or makes it, as a process does that
// begins. It is closed with the test.
type Open func(t *testing.T, dir string) keys.Store

// Run runs every case against stores made by open.
func Run(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(*suite)
	}{
		{"kept in order, the current one last", inOrder},
		{"none at first", none},
		{"replaced in one step", replaced},
		{"added beside another's current key", changed},
		{"bounded", bounded},
		{"announced, then promoted", announced},
		{"announced beside another's keys", announcedChanged},
		{"the next one goes with a rotation, or alone", nextGoes},
		{"another form of the private half", anotherForm},
		{"marks never go back", marks},
		{"removed", removed},
		{"removed no sooner than its last use allows, contracts.md §6", removedLate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &suite{T: t, open: open, dir: t.TempDir()}
			s.store = open(t, s.dir)
			tt.test(s)
		})
	}
}

// suite is one case with its store.
type suite struct {
	*testing.T
	open  Open
	dir   string
	store keys.Store
	last  string // the current key
}

// epoch is when the first key of a case is made.
var epoch = time.Unix(1_800_000_000, 0).UTC()

// record makes a key. Stores do not look into the private half.
func record(kid string, at time.Time) keys.Record {
	return keys.Record{
		Key:     keys.Key{ID: kid, Algorithm: jose.ES256, Created: at, LastUsed: at, Current: true},
		Private: []byte(`{"d":"` + kid + ` \u0000 of private text"}`),
	}
}

func (s *suite) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("got %v, want no error", err)
	}
}

// add adds keys one after the other, the time between them a minute.
func (s *suite) add(kids ...string) {
	s.Helper()
	for i, kid := range kids {
		at := epoch.Add(time.Duration(i) * time.Minute)
		s.check(s.store.Add(s.Context(), record(kid, at), s.last, at))
		s.last = kid
	}
}

func (s *suite) all() []keys.Record {
	s.Helper()
	got, err := s.store.Keys(s.Context())
	s.check(err)
	return got
}

// key returns the stored key of a kid.
func (s *suite) key(kid string) keys.Record {
	s.Helper()
	for _, r := range s.all() {
		if r.ID == kid {
			return r
		}
	}
	s.Fatalf("got no key %s, want it", kid)
	return keys.Record{}
}

func (s *suite) wantUsed(kid string, want time.Time) {
	s.Helper()
	if got := s.key(kid).LastUsed; !got.Equal(want) {
		s.Errorf("last use of %s: got %v, want %v", kid, got, want)
	}
}

func none(s *suite) {
	if got := s.all(); len(got) != 0 {
		s.Errorf("got %v, want no key", got)
	}
	s.check(s.store.Mark(s.Context(), map[string]time.Time{"unknown": epoch}))
	s.check(s.store.Remove(s.Context(), "unknown", time.Time{}))
	if got := s.all(); len(got) != 0 {
		s.Errorf("got %v after marks and removals of none, want no key", got)
	}
}

func inOrder(s *suite) {
	s.add("c", "a")
	// Its clock went back: it is the current one all the same.
	back := epoch.Add(-time.Hour)
	s.check(s.store.Add(s.Context(), record("b", back), "a", epoch))
	s.store = s.open(s.T, s.dir)
	got := s.all()
	if len(got) != 3 || got[0].ID != "c" || got[1].ID != "a" || got[2].ID != "b" {
		s.Fatalf("got %v, want c, a, b", got)
	}
	for i, r := range got {
		want := record(r.ID, map[string]time.Time{"c": epoch, "a": epoch.Add(time.Minute), "b": back}[r.ID])
		if r.Current != (i == 2) || r.Algorithm != want.Algorithm || !r.Created.Equal(want.Created) || string(r.Private) != string(want.Private) {
			s.Errorf("got %+v with %q, want %+v with %q, the last one current", r.Key, r.Private, want.Key, want.Private)
		}
	}
}

func replaced(s *suite) {
	s.add("a")
	at := epoch.Add(time.Hour)
	s.check(s.store.Add(s.Context(), record("b", at), "a", at))
	s.wantUsed("a", at)
	s.wantUsed("b", at)
	later := at.Add(time.Hour)
	s.check(s.store.Mark(s.Context(), map[string]time.Time{"b": later}))
	s.check(s.store.Add(s.Context(), record("c", at), "b", at))
	s.wantUsed("b", later)
	if s.key("a").Current || s.key("b").Current || !s.key("c").Current {
		s.Errorf("got %+v, want c alone current", s.all())
	}
}

func changed(s *suite) {
	s.add("a", "b")
	for _, before := range []string{"a", "", "unknown"} {
		if err := s.store.Add(s.Context(), record("x", epoch), before, epoch); !errors.Is(err, keys.ErrChanged) {
			s.Errorf("in place of %q: got %v, want ErrChanged", before, err)
		}
	}
	if got := s.all(); len(got) != 2 || !got[1].Current || got[1].ID != "b" {
		s.Errorf("got %v, want a and b as they were", got)
	}
}

func bounded(s *suite) {
	var kids []string
	for i := range keys.MaxKeys {
		kids = append(kids, string(rune('A'+i)))
	}
	s.add(kids...)
	if err := s.store.Add(s.Context(), record("more", epoch), s.last, epoch); !errors.Is(err, keys.ErrFull) {
		s.Errorf("got %v, want ErrFull", err)
	}
	s.check(s.store.Remove(s.Context(), kids[0], time.Time{}))
	s.add("more")
	if got := s.all(); len(got) != keys.MaxKeys {
		s.Errorf("got %d keys, want %d", len(got), keys.MaxKeys)
	}
}

// next makes a next key.
func next(kid string, at time.Time) keys.Record {
	r := record(kid, at)
	r.Current, r.Next = false, true
	return r
}

// wantKeys wants these keys, in this order, after the store was opened anew.
func (s *suite) wantKeys(current, next string, kids ...string) {
	s.Helper()
	s.store = s.open(s.T, s.dir)
	got := s.all()
	if len(got) != len(kids) {
		s.Fatalf("got %v, want %v", got, kids)
	}
	for i, r := range got {
		if r.ID != kids[i] || r.Current != (r.ID == current) || r.Next != (r.ID == next) {
			s.Errorf("%d: got %+v, want %s, of which %q is current and %q next", i, r.Key, kids[i], current, next)
		}
	}
}

func announced(s *suite) {
	s.add("c", "b")
	s.check(s.store.Announce(s.Context(), next("a", epoch.Add(-time.Hour)), "b")) // its clock went back
	s.wantKeys("b", "a", "c", "b", "a")
	at := epoch.Add(time.Hour)
	if err := s.store.Promote(s.Context(), "a", "c", at); !errors.Is(err, keys.ErrChanged) {
		s.Errorf("in place of another: got %v, want ErrChanged", err)
	}
	if err := s.store.Promote(s.Context(), "c", "b", at); !errors.Is(err, keys.ErrChanged) {
		s.Errorf("one that is not next: got %v, want ErrChanged", err)
	}
	s.wantKeys("b", "a", "c", "b", "a")
	later := at.Add(time.Hour)
	s.check(s.store.Mark(s.Context(), map[string]time.Time{"b": later}))
	s.check(s.store.Promote(s.Context(), "a", "b", at))
	s.store = s.open(s.T, s.dir)
	if k := s.key("a"); !k.Current || k.Next || s.key("b").Current {
		s.Errorf("got %+v, want a current", s.all())
	}
	s.wantUsed("a", at)
	s.wantUsed("b", later)
	s.check(s.store.Add(s.Context(), record("d", at), "a", at))
}

func announcedChanged(s *suite) {
	s.add("a")
	for _, current := range []string{"", "x"} {
		if err := s.store.Announce(s.Context(), next("b", epoch), current); !errors.Is(err, keys.ErrChanged) {
			s.Errorf("beside %q: got %v, want ErrChanged", current, err)
		}
	}
	s.check(s.store.Announce(s.Context(), next("b", epoch), "a"))
	if err := s.store.Announce(s.Context(), next("c", epoch), "a"); !errors.Is(err, keys.ErrChanged) {
		s.Errorf("a second one: got %v, want ErrChanged", err)
	}
	s.wantKeys("a", "b", "a", "b")
}

func nextGoes(s *suite) {
	s.add("a")
	s.check(s.store.Announce(s.Context(), next("b", epoch), "a"))
	s.check(s.store.Add(s.Context(), record("c", epoch.Add(time.Minute)), "a", epoch))
	s.wantKeys("c", "", "a", "c")
	s.check(s.store.Announce(s.Context(), next("d", epoch), "c"))
	s.check(s.store.Remove(s.Context(), "d", time.Time{}))
	s.wantKeys("c", "", "a", "c")
	s.check(s.store.Announce(s.Context(), next("e", epoch), "c"))
	s.wantKeys("c", "e", "a", "c", "e")
}

func anotherForm(s *suite) {
	s.add("a", "b")
	was, to := s.key("a").Private, []byte(`{"sealed":"of a"}`)
	for kid, from := range map[string][]byte{"b": was, "unknown": was} {
		if err := s.store.Replace(s.Context(), kid, from, to); !errors.Is(err, keys.ErrChanged) {
			s.Errorf("%s in the place of what is not there: got %v, want ErrChanged", kid, err)
		}
	}
	before := s.key("a")
	s.check(s.store.Replace(s.Context(), "a", before.Private, to))
	s.store = s.open(s.T, s.dir)
	got := s.all()
	if len(got) != 2 || string(got[0].Private) != string(to) || got[0].Key != before.Key || string(got[1].Private) != string(record("b", epoch).Private) {
		s.Errorf("got %+v, want a in its other form and b as it was", got)
	}
	if err := s.store.Replace(s.Context(), "a", before.Private, []byte("x")); !errors.Is(err, keys.ErrChanged) {
		s.Errorf("in the place of what was: got %v, want ErrChanged", err)
	}
}

func marks(s *suite) {
	s.add("a", "b")
	late, early := epoch.Add(2*time.Hour), epoch.Add(time.Hour)
	s.check(s.store.Mark(s.Context(), map[string]time.Time{"a": late, "b": early, "unknown": late}))
	s.check(s.store.Mark(s.Context(), map[string]time.Time{"a": early, "b": late}))
	s.wantUsed("a", late)
	s.wantUsed("b", late)
	s.store = s.open(s.T, s.dir)
	s.wantUsed("a", late)
	if got := s.all(); len(got) != 2 {
		s.Errorf("got %v, want two keys: a mark makes none", got)
	}
}

func removed(s *suite) {
	s.add("a", "b")
	if err := s.store.Remove(s.Context(), "b", time.Time{}); !errors.Is(err, keys.ErrCurrent) {
		s.Errorf("the current one: got %v, want ErrCurrent", err)
	}
	s.check(s.store.Remove(s.Context(), "a", time.Time{}))
	s.check(s.store.Remove(s.Context(), "a", time.Time{}))
	s.check(s.store.Mark(s.Context(), map[string]time.Time{"a": epoch}))
	s.store = s.open(s.T, s.dir)
	if got := s.all(); len(got) != 1 || got[0].ID != "b" || !got[0].Current {
		s.Errorf("got %v, want b alone", got)
	}
}

func removedLate(s *suite) {
	s.add("a", "b")
	used := epoch.Add(time.Hour)
	s.check(s.store.Mark(s.Context(), map[string]time.Time{"a": used}))
	if err := s.store.Remove(s.Context(), "a", used.Add(-time.Millisecond)); !errors.Is(err, keys.ErrTooSoon) {
		s.Errorf("used after that: got %v, want ErrTooSoon", err)
	}
	s.wantUsed("a", used)
	s.check(s.store.Remove(s.Context(), "a", used))
	if got := s.all(); len(got) != 1 {
		s.Errorf("got %v, want b alone", got)
	}
}
