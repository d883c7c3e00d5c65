package erase_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
)

// An order that waits for SETs stays to be carried out when a later one of the
// same subject does not wait.
func TestOrderLeavesThoseThatWait(t *testing.T) {
	w := newWorld(t)
	w.event(nil, jo)                                                                         // 1
	w.queue("s1", w.event(nil, joID))                                                        // 2
	first := w.order(erase.Order{Subjects: []subject.Identifier{jo, joID}, Reason: "first"}) // 3
	second := w.order(erase.Order{Subjects: []subject.Identifier{jo}, Now: true})            // 4
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "1 4")
	w.is("the second", w.state(second.ID).State, erase.Done)
	w.is("the first", w.state(first.ID).State, erase.Pending)
	_, err := w.streams.Settle(t.Context(), "s1", []streams.Outcome{{ID: "jti-2", Verdict: streams.Delivered}}, nil)
	w.must(err)
	w.carryOut()
	w.is("erased after that", w.erased(), "1 2 3 4")
	w.is("the first", w.state(first.ID).State, erase.Done)
}

// What is said of an event after an order was begun, and before the event is
// gone, goes too, and is named.
func TestOrderFindsLateAnnotations(t *testing.T) {
	w := newWorld(t)
	w.event(nil, jo) // 1
	w.crash = erase.CrashAfterReport
	func() {
		defer func() { w.is("crashed", recover(), crashed(erase.CrashAfterReport)) }()
		w.order(erase.Order{Subjects: []subject.Identifier{jo}}) // 2, its report 3
		w.caughtUp()
		w.carryOut()
	}()
	w.note(eventlog.KindAnnotation, `{"tag":"secret"}`, eventlog.Ref(1)) // 4
	w.restart()
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "1 2 4")
	r, err := w.log.Record(t.Context(), 2)
	w.must(err)
	x := w.state(r.ID)
	w.is("records, entries", x.Records == 1 && x.Entries == 1, true)
}

// A decision that an event told from before the order is noted when the fan-out
// comes to the event, after the order perhaps: it goes too. What was decided
// after the order stays.
func TestOrderFindsToldDecisions(t *testing.T) {
	w := newWorld(t)
	w.event([]string{"shop"}, jo) // 1, tells of consent
	decision := func(at string) {
		w.note(eventlog.KindConsent, `{"decision":"grant","application":"shop","subject":[{"format":"email","email":"jo@example.com"}]`+at+`}`,
			eventlog.RefAll, eventlog.RefSubject(jo))
	}
	w.order(erase.Order{Subjects: []subject.Identifier{jo}, Application: "shop"}) // 2
	w.event([]string{"shop"}, jo)                                                 // 3, tells another
	decision(`,"at":1`)                                                           // 4
	decision(`,"at":3`)                                                           // 5
	decision(``)                                                                  // 6
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "1 2 4")
}

// Identifiers as long as an event may have them.
func TestOrderLong(t *testing.T) {
	w := newWorld(t)
	long := subject.Opaque(strings.Repeat("x", 5000))
	w.event(nil, long)
	w.order(erase.Order{Subjects: []subject.Identifier{long}})
	w.caughtUp()
	w.carryOut()
	w.is("erased", w.erased(), "1 2")
}

// One application's orders that wait are bounded, and another's are not by them.
func TestOrdersAreBounded(t *testing.T) {
	w := newWorld(t)
	w.event(nil, jo)
	entries := make([]eventlog.Entry, erase.MaxPending)
	for i := range entries {
		body := fmt.Sprintf(`{"order":"erase","subjects":[{"format":"opaque","id":"u%d"}],"application":"shop"}`, i)
		entries[i] = eventlog.Entry{Kind: eventlog.KindErasure, Body: json.RawMessage(body), Refs: []string{"orders", eventlog.RefAll}}
	}
	_, err := w.log.Note(t.Context(), entries...)
	w.must(err)
	ask := func(application string) error {
		_, err := w.eraser.Order(t.Context(), erase.Order{Subjects: []subject.Identifier{al}, Application: application})
		return err
	}
	w.is("one more", errors.Is(ask("shop"), erase.ErrTooMany), true)
	w.is("another's", ask("bank"), nil)
	w.is("an operator's", ask(""), nil)
	_, err = w.log.Erase(t.Context(), 2)
	w.must(err)
	w.is("once one is done", ask("shop"), nil)
	list, err := w.eraser.Pending(t.Context(), "bank")
	w.must(err)
	w.is("pending", len(list), 1)
}

// An order that waits does not make all that came after it, and is done, read again.
func TestOrderThatWaitsCostsNothing(t *testing.T) {
	w := newWorld(t)
	w.queue("s1", w.event(nil, jo))
	waits := w.order(erase.Order{Subjects: []subject.Identifier{jo}})
	for range 20 {
		w.order(erase.Order{Subjects: []subject.Identifier{al}})
	}
	w.caughtUp()
	w.carryOut()
	w.orders = 0
	w.carryOut()
	w.order(erase.Order{Subjects: []subject.Identifier{al}})
	list, err := w.eraser.Pending(t.Context(), "")
	w.must(err)
	w.is("pending", len(list), 2)
	w.is("the first", list[0].ID, waits.ID)
	if w.orders > 2 {
		t.Errorf("got %d orders read again, want the new one", w.orders)
	}
	w.restart()
	w.caughtUp()
	w.carryOut()
	list, err = w.eraser.Pending(t.Context(), "")
	w.must(err)
	w.is("pending after a restart", len(list), 1)
}

// A report that ended between two of its parts is begun anew, and counts once.
func TestReportBegunAnew(t *testing.T) {
	w := newWorld(t)
	w.event(nil, jo)                                              // 1
	w.event(nil, jo)                                              // 2
	x := w.order(erase.Order{Subjects: []subject.Identifier{jo}}) // 3
	w.note(eventlog.KindErasure, `{"carried_out":3,"begins":true,"records":[[1,1]],"count":1,"registered":2,"dropped":["j"],"dropped_count":1}`,
		"carried-out:"+eventlog.Ref(3), eventlog.RefAll)
	w.caughtUp()
	w.carryOut()
	x = w.state(x.ID)
	w.is("records", x.Records, 2)
	w.is("dropped", len(x.Dropped)+x.DroppedCount, 0)
	w.is("registered", x.Registered, 2)
	w.is("erased", w.erased(), "1 2 3")
}

// While what was reported goes, which may take long, others are answered: it is
// decided. A hold that comes while it is still looked for counts.
func TestOrderHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	w.event(nil, jo) // 1
	x := w.order(erase.Order{Subjects: []subject.Identifier{jo}})
	var held erase.Hold
	hold := func() {
		var err error
		held, err = w.eraser.Hold(t.Context(), []subject.Identifier{jo}, "case", "op")
		w.must(err)
	}
	w.index.during = hold
	w.caughtUp()
	w.carryOut()
	w.is("held meanwhile", w.state(x.ID).State, erase.Pending)
	w.must(w.eraser.Lift(t.Context(), held.ID, "op"))
	asked := false
	w.meet = map[string]func(){erase.CrashAfterErase: func() {
		asked = true
		w.is("while it goes", w.state(x.ID).State, erase.Pending)
		hold()
		w.order(erase.Order{Subjects: []subject.Identifier{al}})
	}}
	w.carryOut()
	w.is("asked", asked, true)
	w.is("after all", w.state(x.ID).State, erase.Done)
}
