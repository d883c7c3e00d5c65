package erase_test

import (
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
