package sqlitestore_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
)

// shape is a complex subject with a member of its own name.
func shape(t *testing.T, name string, i int) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(map[string]subject.Identifier{fmt.Sprint(name, i): subject.Opaque("1"), "user": user(i)})
	must(t, err)
	return id
}

// One application cannot use up the sets of member names that all share, not
// by many requests at once either, nor by waiting for a restart.
func TestNameSetsOfAnOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
	must(t, err)
	for _, id := range []string{"a", "b"} {
		one := push(id)
		one.Owner, one.DefaultSubjects = id, streams.SubjectsNone
		must(t, s.Create(t.Context(), one, 0))
	}
	const most = sqlitestore.MaxNameSetsOfOwner
	errs := make([]error, 4*most)
	var group sync.WaitGroup
	for i := range errs {
		sub := shape(t, "x", i)
		group.Go(func() { errs[i] = s.Add(t.Context(), "a", sub, 0) })
	}
	group.Wait()
	admitted := -1
	kept := 0
	for i, err := range errs {
		switch {
		case err == nil:
			admitted = i
			kept++
		case !errors.Is(err, streams.ErrFullNames) || !errors.Is(err, streams.ErrFull):
			t.Errorf("add %d: got %v, want ErrFullNames", i, err)
		}
	}
	if n, err := s.SubjectCount(t.Context(), "a"); kept != most || n != most || err != nil {
		t.Errorf("got %d admitted, %d there (%v), want %d", kept, n, err, most)
	}
	must(t, s.Close())
	s = openAt(t, path)
	if err := s.Add(t.Context(), "a", shape(t, "y", 1), 0); !errors.Is(err, streams.ErrFullNames) {
		t.Errorf("one more after a restart: got %v, want ErrFullNames", err)
	}
	must(t, s.Add(t.Context(), "a", user(1), 0)) // a simple one has no names
	must(t, s.Add(t.Context(), "b", shape(t, "z", 1), 0))
	must(t, s.Remove(t.Context(), "a", shape(t, "x", admitted), 0))
	must(t, s.Add(t.Context(), "a", shape(t, "y", 1), 0))
	must(t, s.Add(t.Context(), "a", shape(t, "z", 1), 0)) // b has brought it in
}
