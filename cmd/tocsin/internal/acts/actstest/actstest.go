// Package actstest is the suite of the contract acts.Store: each promise of it is a case
// that every backend passes.
package actstest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/acts"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Closer is a store that can be closed.
type Closer interface {
	acts.Store
	Close() error
}

// Open opens what is kept in the folder dir, or makes it: at most most acts, each for
// remember. now is its clock.
type Open func(t *testing.T, dir string, most int, remember time.Duration, now func() time.Time) Closer

// Bounds of the suite's stores.
const (
	Most     = 20
	Remember = time.Hour
)

// suite is one case's store.
type suite struct {
	*testing.T
	open  Open
	dir   string
	clock *clock
	s     Closer
}

// clock is told the time by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Run runs every case against stores made by open.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*suite){
		"whole":                    whole,
		"open until it is settled": settled,
		"filters":                  filters,
		"pages":                    pages,
		"bounded by number":        bounded,
		"bounded by age":           aged,
		"too large":                tooLarge,
		"survives a restart":       survives,
		"concurrent":               concurrent,
		"closed":                   closed,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, open: open, dir: t.TempDir(), clock: &clock{at: time.UnixMilli(1_800_000_000_123)}}
			s.s = s.another()
			test(s)
			_ = s.s.Close() // a case may have closed it
		})
	}
}

// RunShared runs what is promised when several processes have one store: two that open
// opens in one folder at once.
func RunShared(t *testing.T, open Open) {
	s := &suite{T: t, open: open, dir: t.TempDir(), clock: &clock{at: time.UnixMilli(1_800_000_000_123)}}
	s.s = s.another()
	other := s.another()
	first := s.note("a.b", "x")
	act := act("c.d", "y")
	second, err := other.Note(t.Context(), act)
	if err != nil || second <= first {
		t.Fatalf("got place %d %v of the other's act, want one behind %d", second, err, first)
	}
	act.Outcome = eventlog.ActDone
	if err := s.s.Settle(t.Context(), second, act); err != nil {
		t.Fatal(err)
	}
	s.wants("both", acts.Query{}, "c.d y done", "a.b x open")
	for range Most {
		s.note("a.b", "x")
		if _, err := other.Note(t.Context(), act); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.read(acts.Query{Limit: acts.MaxPage}).Acts); got != Most {
		t.Errorf("got %d acts of both, want %d", got, Most)
	}
	if err := errors.Join(s.s.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) another() Closer {
	s.Helper()
	return s.open(s.T, s.dir, Most, Remember, s.clock.now)
}

func act(name string, objects ...string) *eventlog.Act {
	uid, pid := 1000, 42
	a := &eventlog.Act{Act: name, By: eventlog.Actor{UID: &uid, PID: &pid}, From: "socket", Request: "r-1", Objects: map[string]string{}}
	for i, id := range objects {
		a.Objects[fmt.Sprint("what", i)] = id
	}
	return a
}

// note keeps an act, each at a time of its own.
func (s *suite) note(name string, objects ...string) uint64 {
	s.Helper()
	s.clock.add(time.Millisecond)
	seq, err := s.s.Note(s.Context(), act(name, objects...))
	if err != nil {
		s.Fatal(err)
	}
	return seq
}

func (s *suite) read(q acts.Query) acts.Page {
	s.Helper()
	if q.Limit == 0 {
		q.Limit = 50
	}
	page, err := acts.List(s.Context(), s.s, q)
	if err != nil {
		s.Fatal(err)
	}
	return page
}

func told(list []acts.Listed) []string {
	out := []string{}
	for _, l := range list {
		out = append(out, fmt.Sprint(l.Act.Act, " ", l.Objects["what0"], " ", l.Outcome))
	}
	return out
}

func (s *suite) wants(what string, q acts.Query, want ...string) {
	s.Helper()
	if got := told(s.read(q).Acts); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		s.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func whole(s *suite) {
	at := s.clock.now().Add(time.Millisecond)
	seq := s.note("dead_letter.drop", "jti")
	a := act("dead_letter.drop", "jti")
	a.Asked, a.Outcome, a.Status, a.Code = seq, eventlog.ActRefused, 404, "not_found"
	if err := s.s.Settle(s.Context(), seq, a); err != nil {
		s.Fatal(err)
	}
	got := s.read(acts.Query{}).Acts
	if len(got) != 1 || !got[0].Time.Equal(at) || got[0].ID != fmt.Sprint(seq) || *got[0].By.UID != 1000 || *got[0].By.PID != 42 ||
		got[0].From != "socket" || got[0].Request != "r-1" || got[0].Objects["what0"] != "jti" || got[0].Status != 404 || got[0].Code != "not_found" || got[0].Outcome != "refused" {
		s.Errorf("got %+v, want all of it", got)
	}
}

func settled(s *suite) {
	seq := s.note("a.b", "x")
	s.wants("before", acts.Query{}, "a.b x open")
	s.clock.add(time.Second)
	a := act("a.b", "x", "new") // its id is known now
	a.Outcome = eventlog.ActDone
	for range 2 { // repeated it comes to the same
		if err := s.s.Settle(s.Context(), seq, a); err != nil {
			s.Fatal(err)
		}
	}
	s.wants("after", acts.Query{}, "a.b x done")
	s.wants("by the new id", acts.Query{Object: "new"}, "a.b x done")
	if err := s.s.Settle(s.Context(), seq+99, a); err != nil {
		s.Errorf("one that is not there: got %v, want none", err)
	}
	s.wants("nothing was made", acts.Query{}, "a.b x done")
}

func filters(s *suite) {
	for _, one := range []string{"a.b x", "c.d x", "a.b y"} {
		name, id, _ := strings.Cut(one, " ")
		s.note(name, id)
	}
	start := s.clock.now()
	for query, want := range map[string][]string{
		"":                           {"a.b y open", "c.d x open", "a.b x open"},
		"act=a.b":                    {"a.b y open", "a.b x open"},
		"object=x":                   {"c.d x open", "a.b x open"},
		"object=x&act=a.b":           {"a.b x open"},
		"by=uid:1000&act=c.d":        {"c.d x open"},
		"by=uid:1":                   {},
		"act=a":                      {},
		"since=2100-01-01T00:00:00Z": {},
		"until=2001-01-01T00:00:00Z": {},
	} {
		params, err := url.ParseQuery(query)
		if err != nil {
			s.Fatal(err)
		}
		q, err := acts.QueryOf(params)
		if err != nil {
			s.Fatal(err)
		}
		s.wants(query, q, want...)
	}
	s.wants("since", acts.Query{Since: start}, "a.b y open")
	s.wants("until", acts.Query{Until: start}, "c.d x open", "a.b x open")
}

func pages(s *suite) {
	var want []string
	for i := range 7 {
		id := fmt.Sprint(i)
		s.note("a.b", id)
		s.note("c.d", id)
		want = append([]string{"a.b " + id + " open"}, want...)
	}
	var got []string
	for before := uint64(0); ; {
		page := s.read(acts.Query{Act: "a.b", Limit: 2, Before: before})
		got = append(got, told(page.Acts)...)
		if page.Next == "" {
			break
		}
		if _, err := fmt.Sscan(page.Next, &before); err != nil || len(page.Acts) != 2 {
			s.Fatalf("got %d acts and next %q, want a page of 2", len(page.Acts), page.Next)
		}
	}
	if !slices.Equal(got, want) {
		s.Errorf("got %q, want %q", got, want)
	}
}

func bounded(s *suite) {
	for i := range 3 * Most {
		s.note("a.b", fmt.Sprint(i))
	}
	got := told(s.read(acts.Query{Limit: acts.MaxPage}).Acts)
	if len(got) != Most || got[0] != fmt.Sprintf("a.b %d open", 3*Most-1) {
		s.Errorf("got %d acts, the first %q; want the last %d", len(got), got[0], Most)
	}
	s.wants("the first, by its id", acts.Query{Object: "0"})
}

func aged(s *suite) {
	s.note("a.b", "old")
	s.clock.add(Remember - 10*time.Millisecond)
	s.note("a.b", "mid")
	s.wants("not yet", acts.Query{}, "a.b mid open", "a.b old open")
	s.clock.add(time.Minute)
	s.note("a.b", "new")
	s.wants("after its time", acts.Query{}, "a.b new open", "a.b mid open")
}

func tooLarge(s *suite) {
	a := act("a.b")
	for i := range 20 {
		a.Objects[fmt.Sprint(i)] = strings.Repeat("x", 1000)
	}
	if _, err := s.s.Note(s.Context(), a); !errors.Is(err, acts.ErrTooLarge) {
		s.Errorf("got %v, want ErrTooLarge", err)
	}
	s.wants("nothing is kept", acts.Query{})
}

func survives(s *suite) {
	first := s.note("a.b", "x")
	if err := s.s.Close(); err != nil {
		s.Fatal(err)
	}
	s.s = s.another()
	s.wants("after a restart", acts.Query{}, "a.b x open")
	if next := s.note("a.b", "y"); next <= first {
		s.Errorf("got place %d after a restart, want one behind %d", next, first)
	}
}

func concurrent(s *suite) {
	var all sync.WaitGroup
	for i := range Most {
		all.Go(func() {
			a := act("a.b", fmt.Sprint(i))
			seq, err := s.s.Note(s.Context(), a)
			if err == nil {
				a.Outcome = eventlog.ActDone
				err = s.s.Settle(s.Context(), seq, a)
			}
			if err != nil {
				s.Error(err)
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, one := range told(s.read(acts.Query{}).Acts) {
		seen[one] = true
	}
	for i := range Most {
		if one := fmt.Sprintf("a.b %d done", i); !seen[one] {
			s.Errorf("got no %q, want each act once", one)
		}
	}
}

func closed(s *suite) {
	seq := s.note("a.b", "x")
	if err := s.s.Close(); err != nil {
		s.Fatal(err)
	}
	if _, err := s.s.Note(s.Context(), act("a.b")); err == nil {
		s.Error("Note: got no error of what is closed")
	}
	if err := s.s.Settle(s.Context(), seq, act("a.b")); err == nil {
		s.Error("Settle: got no error of what is closed")
	}
	if _, err := s.s.Page(s.Context(), eventlog.RefAll, 0, 1); err == nil {
		s.Error("Page: got no error of what is closed")
	}
}
