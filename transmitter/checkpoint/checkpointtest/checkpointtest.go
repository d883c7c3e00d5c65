// Package checkpointtest is the suite of the contract checkpoint.Store: each promise of
// it is a case that every backend passes.
package checkpointtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Open opens the store kept in the folder dir, or makes it, as a process does that
// begins; the one before may still be open. It is closed with the test.
type Open func(t *testing.T, dir string) checkpoint.Store

// Run runs every case against stores made by open.
func Run(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(*suite)
	}{
		{"the key is made once", keyOnce},
		{"another form of the key", keyReplaced},
		{"kept", kept},
		{"no fork, contracts.md §9", noFork},
		{"goes on from the last", goesOn},
		{"stored once", storedOnce},
		{"another origin", anotherOrigin},
		{"thinned out", thinned},
		{"cosignatures", cosignatures},
		{"by page", pages},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &suite{T: t, open: open, dir: t.TempDir(), origin: "ssf.example/log", now: epoch}
			s.store = open(t, s.dir)
			tt.test(s)
		})
	}
}

var epoch = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// suite is one case with its store.
type suite struct {
	*testing.T
	open   Open
	dir    string
	store  checkpoint.Store
	origin string
	now    time.Time
	last   eventlog.Tree
}

func (s *suite) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("got %v, want no error", err)
	}
}

// made is a checkpoint of a size. Stores do not look at signatures.
func (s *suite) made(size uint64) checkpoint.Checkpoint {
	c := checkpoint.Checkpoint{Origin: s.origin, Made: s.now}
	c.Size = size
	c.Root[0], c.Root[1] = byte(size), byte(size>>8)
	c.Root[31] = 1
	c.Text = fmt.Appendf(nil, "%s\n%d\nroot\n\n— %s signature\n", c.Origin, size, c.Origin)
	return c
}

// add stores one behind the last.
func (s *suite) add(size uint64) checkpoint.Checkpoint {
	s.Helper()
	c := s.made(size)
	s.check(s.store.Add(s.Context(), c, s.last))
	s.last = c.Tree
	return c
}

func (s *suite) want(what string, got checkpoint.Checkpoint, err error, want checkpoint.Checkpoint) {
	s.Helper()
	if err != nil || got.Tree != want.Tree || got.Origin != want.Origin || !got.Made.Equal(want.Made) || string(got.Text) != string(want.Text) {
		s.Errorf("%s: got %+v %q (%v), want %+v %q", what, got, got.Text, err, want, want.Text)
	}
}

func (s *suite) sizes() (sizes []uint64) {
	s.Helper()
	all, err := s.store.All(s.Context(), 0, checkpoint.MaxPage)
	s.check(err)
	for _, c := range all {
		sizes = append(sizes, c.Size)
	}
	return sizes
}

func keyOnce(s *suite) {
	if _, err := s.store.Verifier(s.Context()); !errors.Is(err, checkpoint.ErrNone) {
		s.Errorf("at first: got %v, want ErrNone", err)
	}
	k, origin, err := s.store.Key(s.Context())
	if err != nil || origin != "" {
		s.Fatalf("got origin %q (%v), want none", origin, err)
	}
	if _, err := s.store.Verifier(s.Context()); !errors.Is(err, checkpoint.ErrNone) {
		s.Errorf("before anything was signed: got %v, want ErrNone", err)
	}
	s.add(1)
	s.store = s.open(s.T, s.dir)
	again, origin, err := s.store.Key(s.Context())
	if err != nil || origin != s.origin || again.Verifier("x") != k.Verifier("x") {
		s.Errorf("again: got origin %q (%v), want %q and the same key", origin, err, s.origin)
	}
	if got, err := s.store.Verifier(s.Context()); err != nil || got != k.Verifier(s.origin) {
		s.Errorf("got verifier %q (%v), want %q", got, err, k.Verifier(s.origin))
	}
}

func keyReplaced(s *suite) {
	first, second := checkpoint.NewKey(), checkpoint.NewKey()
	if err := s.store.ReplaceKey(s.Context(), first, second); !errors.Is(err, checkpoint.ErrOtherKey) {
		s.Errorf("in the place of one that is not there: got %v, want ErrOtherKey", err)
	}
	s.check(s.store.ReplaceKey(s.Context(), checkpoint.Key{}, first))
	if err := s.store.ReplaceKey(s.Context(), checkpoint.Key{}, second); !errors.Is(err, checkpoint.ErrOtherKey) {
		s.Errorf("in the place of none: got %v, want ErrOtherKey", err)
	}
	s.add(1)
	s.check(s.store.ReplaceKey(s.Context(), first, second))
	s.store = s.open(s.T, s.dir)
	if got, origin, err := s.store.Key(s.Context()); err != nil || got != second || origin != s.origin {
		s.Errorf("got origin %q (%v), want the second key of %q", origin, err, s.origin)
	}
}

func kept(s *suite) {
	for what, err := range map[string]error{
		"last": second(s.store.Last(s.Context())), "at 1": second(s.store.At(s.Context(), 1)), "cosigned": second(s.store.Cosigned(s.Context(), "w")),
	} {
		if !errors.Is(err, checkpoint.ErrNone) {
			s.Errorf("%s: got %v, want ErrNone", what, err)
		}
	}
	empty, first := s.add(0), s.add(300)
	s.store = s.open(s.T, s.dir)
	got, err := s.store.Last(s.Context())
	s.want("last", got, err, first)
	got, err = s.store.At(s.Context(), 0)
	s.want("of the empty log", got, err, empty)
	if _, err := s.store.At(s.Context(), 299); !errors.Is(err, checkpoint.ErrNone) {
		s.Errorf("at 299: got %v, want ErrNone", err)
	}
	if got := s.sizes(); !slices.Equal(got, []uint64{0, 300}) {
		s.Errorf("got sizes %v, want 0 and 300", got)
	}
}

func second[T any](_ T, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }

func noFork(s *suite) {
	s.add(5)
	first := s.add(10)
	for _, size := range []uint64{5, 10} {
		fork := s.made(size)
		fork.Root[0] ^= 1
		for _, after := range []eventlog.Tree{s.last, fork.Tree, {}} {
			if err := s.store.Add(s.Context(), fork, after); !errors.Is(err, checkpoint.ErrFork) {
				s.Errorf("another tree of %d: got %v, want ErrFork", size, err)
			}
		}
	}
	got, err := s.store.Last(s.Context())
	s.want("afterwards", got, err, first)
}

func goesOn(s *suite) {
	five := s.add(5)
	s.add(10)
	other := s.last
	other.Root[0] ^= 1
	for what, after := range map[string]eventlog.Tree{"nothing": {}, "the one before": five.Tree, "another": other, "a later one": s.made(20).Tree} {
		if err := s.store.Add(s.Context(), s.made(11), after); !errors.Is(err, checkpoint.ErrBehind) {
			s.Errorf("after %s: got %v, want ErrBehind", what, err)
		}
	}
	if got := s.sizes(); !slices.Equal(got, []uint64{5, 10}) {
		s.Errorf("got sizes %v, want 5 and 10", got)
	}
	s.add(11)
}

func storedOnce(s *suite) {
	five, ten := s.add(5), s.add(10)
	for range 2 {
		s.check(s.store.Add(s.Context(), ten, five.Tree)) // its answer was lost
		s.check(s.store.Add(s.Context(), five, eventlog.Tree{}))
	}
	got, err := s.store.Last(s.Context())
	s.want("last", got, err, ten)
}

func anotherOrigin(s *suite) {
	s.check(third(s.store.Key(s.Context())))
	s.add(3)
	s.check(s.store.Cosign(s.Context(), 3, "w.example", 1, "— w.example x\n"))
	s.origin = "moved.example/log"
	s.now = s.now.Add(time.Minute)
	moved := s.add(3)
	got, err := s.store.Last(s.Context())
	s.want("last", got, err, moved)
	if _, err := s.store.Cosigned(s.Context(), "w.example"); !errors.Is(err, checkpoint.ErrNone) {
		s.Errorf("cosigned: got %v, want ErrNone: that is of another text", err)
	}
	if _, origin, err := s.store.Key(s.Context()); err != nil || origin != s.origin {
		s.Errorf("got origin %q (%v), want %q", origin, err, s.origin)
	}
}

// Of what is older than an hour one an hour is kept, and what was cosigned.
func thinned(s *suite) {
	for i := range uint64(4 * 6) {
		s.add(i + 1)
		if i == 8 {
			s.check(s.store.Cosign(s.Context(), 9, "w.example", 1, "— w.example x\n"))
		}
		s.now = s.now.Add(10 * time.Minute)
	}
	want := []uint64{1, 7, 9, 13, 18, 19, 20, 21, 22, 23, 24}
	if got := s.sizes(); !slices.Equal(got, want) {
		s.Errorf("got sizes %v, want %v", got, want)
	}
	if _, err := s.store.At(s.Context(), 8); !errors.Is(err, checkpoint.ErrNone) {
		s.Errorf("at 8: got %v, want ErrNone", err)
	}
	if err := s.store.Cosign(s.Context(), 8, "w.example", 1, "x\n"); !errors.Is(err, checkpoint.ErrNone) {
		s.Errorf("cosigned when it is gone: got %v, want ErrNone", err)
	}
	// A clock that goes back lets nothing newer go.
	s.now = s.now.Add(-48 * time.Hour)
	s.add(25)
	if got := s.sizes(); !slices.Equal(got, append(want, 25)) {
		s.Errorf("after the clock went back: got sizes %v, want %v", got, append(want, 25))
	}
}

func cosignatures(s *suite) {
	plain := s.add(2)
	c := s.add(30)
	for _, w := range []struct {
		size uint64
		name string
		hash uint32
		line string
	}{
		{30, "b.example", 7, "old"},
		{2, "b.example", 7, "— b.example of two\n"},
		{30, "a.example", 9, "— a.example x\n"},
		{30, "b.example", 7, "— b.example new\n"},
		{30, "b.example", 1, "— b.example other key\n"},
		{2, "a", 1, "— a x\n"},
	} {
		s.check(s.store.Cosign(s.Context(), w.size, w.name, w.hash, w.line))
	}
	s.store = s.open(s.T, s.dir)
	want := c
	want.Text = append(slices.Clone(c.Text), "— a.example x\n— b.example other key\n— b.example new\n"...)
	got, err := s.store.Last(s.Context())
	s.want("last", got, err, want)
	for _, name := range []string{"a.example", "b.example"} {
		got, err = s.store.Cosigned(s.Context(), name)
		s.want("cosigned by "+name, got, err, want)
	}
	if got, err := s.store.Cosigned(s.Context(), "a"); err != nil || got.Size != plain.Size {
		s.Errorf("cosigned by a: got %d (%v), want %d", got.Size, err, plain.Size)
	}
	if _, err := s.store.Cosigned(s.Context(), "a.exampl"); !errors.Is(err, checkpoint.ErrNone) {
		s.Errorf("cosigned by another: got %v, want ErrNone", err)
	}
	all, err := s.store.All(s.Context(), 30, 10)
	if err != nil || len(all) != 1 || strings.Contains(string(all[0].Text), "example x") {
		s.Errorf("all: got %v (%v), want one without cosignatures", all, err)
	}
}

func pages(s *suite) {
	const n = 600 // more than a backend reads at once
	for i := range uint64(n) {
		s.add(i * 1000)
	}
	all, err := s.store.All(s.Context(), 1, checkpoint.MaxPage+1)
	if err != nil || len(all) != n-1 {
		s.Fatalf("got %d (%v), want %d", len(all), err, n-1)
	}
	for i, c := range all {
		if c.Size != uint64(i+1)*1000 {
			s.Fatalf("got size %d at %d, want them smallest first", c.Size, i)
		}
	}
	page, err := s.store.All(s.Context(), 5001, 2)
	if err != nil || len(page) != 2 || page[0].Size != 6000 || page[1].Size != 7000 {
		s.Errorf("a page: got %v (%v), want 6000 and 7000", page, err)
	}
	for _, max := range []int{0, -1} {
		if page, err := s.store.All(s.Context(), 0, max); err != nil || len(page) != 0 && max == 0 {
			s.Errorf("up to %d: got %d (%v), want none", max, len(page), err)
		}
	}
}
