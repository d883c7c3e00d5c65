package erase_test

import (
	"context"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
)

// filed is a log whose records up to one are in files.
type filed struct {
	*sqlitelog.Log
	upTo uint64
}

func (f *filed) Archived(context.Context) (uint64, error) { return f.upTo, nil }

// knowing is an index that has indexed events before they went to files.
type knowing struct {
	*index
	of     map[uint64][]subject.Identifier
	during func() // called when it is asked
}

func (x *knowing) Of(_ context.Context, ids []subject.Identifier, after, before uint64, max int) (found []uint64, err error) {
	if x.during != nil {
		x.during()
	}
	for seq := after + 1; seq < before && len(found) < max; seq++ {
		if !x.forgotten[seq] && eventlog.MentionsAny(&eventlog.Event{Subjects: x.of[seq]}, ids) {
			found = append(found, seq)
		}
	}
	return found, nil
}

// filing is a world whose first events have gone to files: 1 and 3 are jo's, 2 is al's,
// and 4, which is in the log, jo's again.
func filing(t *testing.T, cfg erase.Config) (*world, *erase.Eraser) {
	w := newWorld(t)
	log := &filed{w.log, 3}
	x := &knowing{index: w.index, of: map[uint64][]subject.Identifier{1: {jo}, 2: {al, joID}, 3: {jo}, 4: {jo}}}
	w.event([]string{"shop"}, jo)
	w.event(nil, al, joID)
	w.event(nil, jo)
	w.event(nil, jo)
	if n, err := w.log.Erase(t.Context(), 1, 2, 3); err != nil || n != 3 { // as trimming leaves them
		t.Fatalf("got %d (%v), want 3", n, err)
	}
	cfg.Log, cfg.Index, cfg.Streams, cfg.Follower, cfg.Now = log, x, w.streams, "fanout", w.now
	w.eraser = erase.New(cfg)
	return w, w.eraser
}

// named returns what entries of a kind say was erased.
func (w *world) named(kind eventlog.Kind) map[uint64]bool {
	w.Helper()
	entries, err := w.log.Entries(w.Context(), kind, eventlog.RefAll, eventlog.Span{Max: 100})
	w.must(err)
	named := make(map[uint64]bool)
	for _, r := range entries {
		runs, err := r.Erasures()
		w.must(err)
		for _, run := range runs {
			for seq := run[0]; seq <= run[1]; seq++ {
				named[seq] = true
			}
		}
	}
	return named
}

// An order reaches events whose bytes are in files: it says that they are erased, which
// removes them there. One of an application leaves them, since they do not say whom they
// are for; a hold keeps them.
func TestOrderOfFiledEvents(t *testing.T) {
	w, e := filing(t, erase.Config{})
	w.order(erase.Order{Subjects: []subject.Identifier{jo}, Application: "shop"})
	w.caughtUp()
	w.carryOut()
	if named := w.named(eventlog.KindErasure); named[1] || named[3] || named[4] {
		t.Errorf("an application's: got %v named, want none of 1, 3 and 4", named)
	}
	hold, err := e.Hold(t.Context(), []subject.Identifier{joID}, "case", "op")
	w.must(err)
	if _, err := e.Order(t.Context(), erase.Order{Subjects: []subject.Identifier{al}}); err != nil {
		t.Fatal(err)
	}
	w.order(erase.Order{Subjects: []subject.Identifier{jo}})
	w.caughtUp()
	w.carryOut()
	named := w.named(eventlog.KindErasure)
	if !named[1] || !named[3] || !named[4] {
		t.Errorf("got %v named, want 1, 3 and 4", named)
	}
	if named[2] {
		t.Error("got event 2 named, want it kept by the hold on another of its identifiers")
	}
	w.must(e.Lift(t.Context(), hold.ID, "judge"))
	w.carryOut()
	if named := w.named(eventlog.KindErasure); !named[2] {
		t.Errorf("got %v named, want 2 when the hold is lifted", named)
	}
}

// What has come of age leaves files as well, but not while a hold stands.
func TestRetainFiledEvents(t *testing.T) {
	w, e := filing(t, erase.Config{Retention: time.Hour})
	hold, err := e.Hold(t.Context(), []subject.Identifier{session}, "case", "op")
	w.must(err)
	w.caughtUp()
	w.clock.Store(int64(2 * time.Hour))
	_, err = e.Retain(t.Context())
	w.must(err)
	if named := w.named(eventlog.KindRetention); named[1] || named[2] || named[3] || !named[4] {
		t.Errorf("while a hold stands: got %v named, want 4 alone", named)
	}
	w.must(e.Lift(t.Context(), hold.ID, "judge"))
	_, err = e.Retain(t.Context())
	w.must(err)
	if named := w.named(eventlog.KindRetention); !named[1] || !named[2] || !named[3] {
		t.Errorf("got %v named, want 1, 2 and 3, too", named)
	}
}

// An event that goes to a file while an order looks for it is found as well.
func TestOrderWhileEventsAreFiled(t *testing.T) {
	w := newWorld(t)
	w.event(nil, jo)
	log, x := &filed{Log: w.log}, &knowing{index: w.index, of: map[uint64][]subject.Identifier{1: {jo}}}
	x.during = func() {
		_, err := w.log.Erase(t.Context(), 1)
		w.must(err)
		log.upTo = 1
	}
	w.eraser = erase.New(erase.Config{Log: log, Index: x, Streams: w.streams, Follower: "fanout", Now: w.now})
	w.order(erase.Order{Subjects: []subject.Identifier{jo}})
	w.caughtUp()
	w.carryOut()
	if named := w.named(eventlog.KindErasure); !named[1] {
		t.Errorf("got %v named, want 1", named)
	}
}
