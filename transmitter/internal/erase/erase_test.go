package erase_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
)

// An order removes the events, what was said of them and of the subject, and
// its own name; others stay, and every leaf.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	inSession, err := subject.Complex(map[string]subject.Identifier{"user": jo, "session": session})
	w.must(err)
	w.event(nil, jo, joID)                                                                                 // 1
	w.event(nil, al)                                                                                       // 2
	w.event([]string{"shop"}, inSession)                                                                   // 3
	w.note(eventlog.KindAnnotation, `{"tag":"secret"}`, eventlog.Ref(1))                                   // 4
	w.note(eventlog.KindAnnotation, `{"tag":"other"}`, eventlog.Ref(2))                                    // 5
	w.note(eventlog.KindConsent, `{"subject":"jo@example.com"}`, eventlog.RefSubject(jo), eventlog.RefAll) // 6
	w.note(eventlog.KindConsent, `{"subject":"al"}`, eventlog.RefSubject(al), eventlog.RefAll)             // 7
	w.note(eventlog.KindParticipation, `{"state":"opt-out"}`, eventlog.RefSubject(jo), eventlog.RefAll)    // 8: names nobody
	w.must(w.streams.Add(t.Context(), "s1", jo, 0))
	w.must(w.streams.Add(t.Context(), "s1", al, 0))
	x := w.order(erase.Order{Subjects: []subject.Identifier{jo}, Reason: "asked for", By: "op"}) // 9
	w.is("state", x.State, erase.Pending)
	w.event(nil, jo) // 10: after the order
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "1 3 4 6 9")
	w.is("waited for the index up to", w.index.waited, uint64(9))
	x = w.state(x.ID)
	w.is("state", x.State, erase.Done)
	w.is("records", x.Records, 2)
	w.is("entries", x.Entries, 2)
	w.is("registered", x.Registered, 1)
	w.is("reason", x.Reason, "asked for")
	w.is("signed SETs let go of", w.cleared > 0, true)
	n, err := w.streams.SubjectCount(t.Context(), "s1")
	w.must(err)
	w.is("subjects of the stream", n, 1)
	w.carryOut()
	w.is("erased, again", w.erased(), "1 3 4 6 9")
	// Event 10 is of later and still names jo.
	w.order(erase.Order{Subjects: []subject.Identifier{jo, joID}})
	w.caughtUp()
	w.carryOut()
	for _, name := range []string{"jo@example.com", "jo-7", "session-1"} {
		if inFiles(t, w.path, name) {
			t.Errorf("%s: got it in the log's files, want it gone", name)
		}
	}
	if !inFiles(t, w.path, "al@example.com") {
		t.Error("al: got no trace in the log's files, want the event")
	}
}

// An address among the attributes is enough: what could not be mapped has no
// subject.
func TestOrderFindsAddresses(t *testing.T) {
	w := newWorld(t)
	for _, address := range []string{"jo@example.com", "al@example.com", "jo@example.com", "jo@example.com"} {
		_, err := w.log.Append(t.Context(), eventlog.Event{
			Source: "idp", Type: "idme:x", MappingError: "identifier is missing", Attributes: eventlog.Attributes{Email: address},
		})
		w.must(err)
	}
	w.order(erase.Order{Subjects: []subject.Identifier{session, jo}})
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "1 3 4 5")
}

func inFiles(t *testing.T, path, text string) bool {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// It takes effect once the subject's queued SETs are settled; dead letters go.
func TestOrderWaitsForDelivery(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.queue("s1", w.event(nil, jo))
	}
	_, err := w.streams.Settle(t.Context(), "s1", []streams.Outcome{{ID: "jti-1", Verdict: streams.Refused}}, nil)
	w.must(err)
	x := w.order(erase.Order{Subjects: []subject.Identifier{jo}})
	w.carryOut()
	w.is("before the fan-out has read it", w.erased(), "")
	w.caughtUp()
	w.carryOut()
	w.is("while SETs wait", w.erased(), "")
	w.is("waits for", w.state(x.ID).Waiting, 2)
	_, err = w.streams.Settle(t.Context(), "s1", []streams.Outcome{{ID: "jti-2", Verdict: streams.Delivered}, {ID: "jti-3", Verdict: streams.Delivered}}, nil)
	w.must(err)
	w.carryOut()
	w.is("after that", w.erased(), "1 2 3 4")
	x = w.state(x.ID)
	w.is("dropped", len(x.Dropped), 1)
	w.is("the dead letter", x.Dropped[0], "jti-1")
	d, err := w.streams.Depth(t.Context(), "s1")
	w.must(err)
	w.is("dead letters", d.Dead, 0)
}

// Now drops what is queued and names it.
func TestOrderNow(t *testing.T) {
	w := newWorld(t)
	w.queue("s1", w.event(nil, jo))
	w.queue("s1", w.event(nil, al))
	x := w.order(erase.Order{Subjects: []subject.Identifier{jo}, Now: true})
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "1 3")
	x = w.state(x.ID)
	w.is("dropped", len(x.Dropped) == 1 && x.Dropped[0] == "jti-1" && x.DroppedCount == 1, true)
	items, err := w.streams.Take(t.Context(), "s1", streams.TakeOptions{Max: 10, Lease: 1})
	w.must(err)
	w.is("still queued", len(items) == 1 && items[0].ID == "jti-2", true)
}

// An application's order takes events for it alone, its streams' subjects and
// what bears its name, and is nobody else's to see.
func TestOrderOfAnApplication(t *testing.T) {
	w := newWorld(t)
	w.stream("s2", "bank")
	w.event(nil, jo)                                                                // 1
	w.event([]string{"shop"}, jo)                                                   // 2
	w.event([]string{"shop", "bank"}, jo)                                           // 3
	w.note(eventlog.KindConsent, `{"application":"shop"}`, eventlog.RefSubject(jo)) // 4
	w.note(eventlog.KindConsent, `{"application":"bank"}`, eventlog.RefSubject(jo)) // 5
	w.note(eventlog.KindAnnotation, `{}`, eventlog.Ref(2))                          // 6
	w.must(w.streams.Add(t.Context(), "s1", jo, 0))
	w.must(w.streams.Add(t.Context(), "s2", jo, 0))
	x := w.order(erase.Order{Subjects: []subject.Identifier{jo}, Application: "shop"}) // 7
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "2 4 6 7")
	n, err := w.streams.SubjectCount(t.Context(), "s2")
	w.must(err)
	w.is("subjects of another's stream", n, 1)
	if _, err := w.eraser.Erasure(t.Context(), "bank", x.ID); !errors.Is(err, erase.ErrNotFound) {
		t.Errorf("another's: got %v, want ErrNotFound", err)
	}
	if got, err := w.eraser.Erasure(t.Context(), "shop", x.ID); err != nil || got.State != erase.Done {
		t.Errorf("its own: got %+v (%v), want it done", got, err)
	}
}

// A hold stops an order before it, and one that has not taken effect, also by
// another identifier of an event.
func TestHold(t *testing.T) {
	w := newWorld(t)
	w.event(nil, jo, joID) // 1
	held, err := w.eraser.Hold(t.Context(), []subject.Identifier{joID}, "case 7", "op")
	w.must(err)
	if _, err := w.eraser.Order(t.Context(), erase.Order{Subjects: []subject.Identifier{joID}}); !errors.Is(err, erase.ErrHeld) {
		t.Errorf("on hold: got %v, want ErrHeld", err)
	}
	x := w.order(erase.Order{Subjects: []subject.Identifier{jo}, Now: true})
	w.caughtUp()
	w.carryOut()
	w.is("on hold by another identifier", w.erased(), "")
	w.is("state", w.state(x.ID).State, erase.Pending)
	second, err := w.eraser.Hold(t.Context(), []subject.Identifier{jo}, "case 8", "op")
	w.must(err)
	w.must(w.eraser.Lift(t.Context(), held.ID, "judge"))
	w.carryOut()
	w.is("one of two lifted", w.erased(), "")
	list, err := w.eraser.Holds(t.Context())
	w.must(err)
	w.is("holds", len(list) == 2 && list[0].Lifted != nil && list[0].LiftedBy == "judge" && list[1].Lifted == nil && list[1].Reason == "case 8", true)
	w.must(w.eraser.Lift(t.Context(), second.ID, "judge"))
	for _, id := range []string{second.ID, x.ID, "nonsense"} {
		if err := w.eraser.Lift(t.Context(), id, "judge"); !errors.Is(err, erase.ErrNotFound) {
			t.Errorf("lift %s: got %v, want ErrNotFound", id, err)
		}
	}
	w.restart()
	w.carryOut()
	w.is("both lifted", w.state(x.ID).State, erase.Done)
	w.is("erased", w.erased(), "1 3 4 6") // the event, the order, the second hold and its end
}

// A crash at every point ends, after a restart, as without it.
func TestOrderSurvivesCrashes(t *testing.T) {
	for _, point := range []string{erase.CrashAfterOrder, erase.CrashAfterReport, erase.CrashAfterErase} {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t)
			w.queue("s1", w.event(nil, jo))
			w.event(nil, jo)
			w.crash = point
			died := func() (died bool) {
				defer func() { died = recover() == crashed(point) }()
				w.order(erase.Order{Subjects: []subject.Identifier{jo}, Now: true})
				w.caughtUp()
				w.carryOut()
				return false
			}()
			w.is("crashed", died, true)
			w.restart()
			w.caughtUp()
			w.carryOut()
			w.is("erased", w.erased(), "1 2 3")
			w.is("gone from the index", w.index.forgotten[1] && w.index.forgotten[2], true)
			r, err := w.log.Record(t.Context(), 3)
			w.must(err)
			x := w.state(r.ID)
			w.is("records, dropped", x.Records == 2 && x.DroppedCount == 1 && x.State == erase.Done, true)
		})
	}
}
