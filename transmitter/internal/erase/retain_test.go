package erase_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/erase"
)

func (w *world) retainNow() int {
	w.Helper()
	n, err := w.eraser.Retain(w.Context())
	w.must(err)
	return n
}

// By age, with what was said of an event; decisions stay, and nothing goes that
// an undelivered SET points at.
func TestRetain(t *testing.T) {
	w := newWorld(t)
	w.retain = 24 * time.Hour
	w.restart()
	w.event(nil, jo)                                                          // 1
	w.note(eventlog.KindAnnotation, `{}`, eventlog.Ref(1))                    // 2
	w.note(eventlog.KindConsent, `{"subject":"al"}`, eventlog.RefSubject(al)) // 3
	w.queue("s1", w.event(nil, al))                                           // 4
	w.queue("s1", w.event(nil, al))                                           // 5
	w.is("nothing is old", w.retainNow(), 0)
	w.clock.Store(int64(25 * time.Hour))
	w.is("before the fan-out has read it", w.retainNow(), 0)
	w.caughtUp()
	w.event(nil, al) // 6, young
	w.is("first", w.retainNow(), 1)
	w.is("erased", w.erased(), "1 2")
	_, err := w.streams.Settle(t.Context(), "s1", []streams.Outcome{{ID: "jti-4", Verdict: streams.Refused}, {ID: "jti-5", Verdict: streams.Delivered}}, nil)
	w.must(err)
	w.is("once delivered or set aside", w.retainNow(), 2)
	w.is("erased", w.erased(), "1 2 4 5")
	d, err := w.streams.Depth(t.Context(), "s1")
	w.must(err)
	w.is("dead letters", d.Dead, 0)
	head, err := w.log.Head(t.Context())
	w.must(err)
	w.is("again", w.retainNow(), 0)
	after, err := w.log.Head(t.Context())
	w.must(err)
	w.is("entries when there is nothing to do", after, head)
}

// What a hold keeps is erased once it is lifted.
func TestRetainKeepsWhatIsOnHold(t *testing.T) {
	w := newWorld(t)
	w.retain = time.Hour
	w.restart()
	held, err := w.eraser.Hold(t.Context(), []subject.Identifier{joID}, "", "op") // 1
	w.must(err)
	w.event(nil, jo, joID) // 2
	w.event(nil, al)       // 3
	w.clock.Store(int64(2 * time.Hour))
	for i := range 3 { // later events come of age, too
		w.caughtUp()
		w.retainNow()
		w.event(nil, al)
		w.clock.Add(int64(time.Duration(i+2) * time.Hour))
	}
	r, err := w.log.Record(t.Context(), 2)
	w.must(err)
	w.is("on hold", r.Erased, false)
	w.must(w.eraser.Lift(t.Context(), held.ID, "op"))
	w.caughtUp()
	w.retainNow()
	r, err = w.log.Record(t.Context(), 2)
	w.must(err)
	w.is("lifted", r.Erased, true)
}

// A crash between the report and the end is made good by the next run.
func TestRetainSurvivesCrashes(t *testing.T) {
	for _, point := range []string{erase.CrashAfterReport, erase.CrashAfterErase} {
		w := newWorld(t)
		w.retain = time.Hour
		w.restart()
		w.event(nil, jo)
		w.event(nil, al)
		w.caughtUp()
		w.clock.Store(int64(2 * time.Hour))
		w.crash = point
		func() {
			defer func() {
				if p := recover(); p != crashed(point) {
					t.Errorf("%s: got %v, want a crash there", point, p)
				}
			}()
			w.retainNow()
		}()
		w.restart()
		w.caughtUp()
		w.retainNow()
		w.is("erased", w.erased(), "1 2")
		w.is("gone from the index", w.index.forgotten[1] && w.index.forgotten[2], true)
	}
}

// Where nothing can be erased the log is not read again each time, also after a
// hold was lifted.
func TestRetainGoesOn(t *testing.T) {
	w := newWorld(t)
	w.retain = time.Hour
	w.restart()
	held, err := w.eraser.Hold(t.Context(), []subject.Identifier{al}, "", "op") // 1
	w.must(err)
	w.must(w.eraser.Lift(t.Context(), held.ID, "op")) // 2
	for range 5 {
		w.note(eventlog.KindConsent, `{}`, eventlog.RefAll) // 3 to 7
	}
	w.clock.Store(int64(2 * time.Hour))
	w.caughtUp()
	w.is("first", w.retainNow(), 0)
	w.reads = nil
	w.is("again", w.retainNow(), 0)
	w.is("read after", fmt.Sprint(w.reads), "[7]")
	_, err = w.eraser.Hold(t.Context(), []subject.Identifier{al}, "", "op") // 8
	w.must(err)
	w.reads = nil
	w.retainNow()
	w.is("after another hold", w.reads[0], uint64(0))
}

// What is said of an event while it goes, goes too, and is named.
func TestRetainFindsLateAnnotations(t *testing.T) {
	for _, point := range []string{erase.CrashAfterReport, erase.CrashAfterErase} {
		w := newWorld(t)
		w.retain = time.Hour
		w.restart()
		w.event(nil, jo) // 1
		w.caughtUp()
		w.clock.Store(int64(2 * time.Hour))
		w.meet = map[string]func(){point: func() {
			w.note(eventlog.KindAnnotation, `{"tag":"secret"}`, eventlog.Ref(1)) // 3, after the report
		}}
		w.is("retained", w.retainNow(), 1)
		w.is("erased", w.erased(), "1 3")
		last, err := w.log.Entries(t.Context(), eventlog.KindRetention, eventlog.RefAll, eventlog.Span{Newest: true, Max: 1})
		w.must(err)
		w.is("named", strings.Contains(string(last[0].Entry), `"entries":[[3,3]]`), true)
	}
}
