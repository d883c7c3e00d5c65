package sqlitestore

import (
	"github.com/tocsin-ssf/tocsin/streams"
)

// Lanes of a window, in the order in which they are taken. Resent dead
// letters go ahead of events.
const (
	laneControl = iota
	laneResent
	laneEvents
	lanes
)

// place is where an item stands in its lane: its position, or in the control
// lane its number of arrival.
type place = streams.Position

// entry is an item in memory.
type entry struct {
	item       streams.Item
	lane       int
	at         place
	until      int64 // end of the lease; 0: not out
	settling   int   // settlements under way that take the item away
	picked     bool  // by the Take under way
	prev, next *entry
}

// lane is the part of one lane that is in memory: all its items up to and
// including loaded. If so many of these are out or held back that the lane is
// long, Take looks further: of the items behind loaded up to far all are in
// memory but those that an earlier one with their order key holds back.
type lane struct {
	head, tail *entry
	n          int
	loaded     place
	complete   bool // nothing on the disk stands behind loaded

	far     place
	farDone bool             // nothing on the disk stands behind far
	skipped map[string]place // keys of those on the disk, with the first of each
}

// window is the beginning of a queue, with the leases on it.
type window struct {
	lanes   [lanes]lane
	byID    map[string]*entry
	out     int            // leased items
	outKeys map[string]int // their order keys
	until   int64          // at most the first end of a lease; 0: none is out
	leaving int            // entries that are settling
	held    bool           // an item was held back by its order key since the last wake
}

// newWindow returns a window with nothing in it; empty tells that there is
// nothing on the disk either.
func newWindow(empty bool) *window {
	w := &window{byID: make(map[string]*entry), outKeys: make(map[string]int)}
	for i := range w.lanes {
		w.lanes[i].complete = empty
	}
	return w
}

// insert puts a new item where it belongs, or leaves it on the disk if the
// lane is not in memory so far or full is set. It reports whether it was added.
func (w *window) insert(e *entry, full bool) bool {
	l := &w.lanes[e.lane]
	behind := l.loaded.Before(e.at)
	switch {
	case behind && l.complete && !full:
		l.loaded = e.at
	case e.lane == laneResent && (!behind || !l.complete && !l.far.Before(e.at)):
	case behind && (l.complete || l.far.Before(e.at)):
		l.leave()
		return false
	default:
		return false // numbers only rise, so a load was faster
	}
	if prev := l.before(e.at); prev != nil && prev.at == e.at {
		w.remove(prev) // about to leave, or e would not be new
	}
	w.enter(e)
	return true
}

// leave notes that an item behind all others stays on the disk alone.
func (l *lane) leave() {
	if l.complete {
		l.complete, l.far, l.skipped = false, l.loaded, nil
	}
	l.farDone = false
}

// seen reports whether everything up to the place was looked at.
func (l *lane) seen(at place) bool {
	return l.complete || !l.loaded.Before(at) || !l.far.Before(at)
}

// before returns the last entry at or before the place.
func (l *lane) before(at place) *entry {
	prev := l.tail
	for prev != nil && at.Before(prev.at) {
		prev = prev.prev
	}
	return prev
}

// enter puts e in its place in the lane.
func (w *window) enter(e *entry) {
	l := &w.lanes[e.lane]
	l.link(l.before(e.at), e)
	l.n++
	w.byID[e.item.ID] = e
}

// link puts e behind prev (nil: first).
func (l *lane) link(prev, e *entry) {
	e.prev = prev
	if prev == nil {
		e.next, l.head = l.head, e
	} else {
		e.next, prev.next = prev.next, e
	}
	if e.next == nil {
		l.tail = e
	} else {
		e.next.prev = e
	}
}

// remove takes e out of the window.
func (w *window) remove(e *entry) {
	w.giveBack(e)
	l := &w.lanes[e.lane]
	l.n--
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	if w.byID[e.item.ID] == e {
		delete(w.byID, e.item.ID)
	}
}

// settle marks e as about to leave (by 1) or staying after all (by -1).
func (w *window) settle(e *entry, by int) {
	e.settling += by
	w.leaving += by
}

// lease hides e until the time. It reports whether e was not out before.
func (w *window) lease(e *entry, until int64) bool {
	if w.until == 0 || until < w.until {
		w.until = until
	}
	fresh := e.until == 0
	e.until = until
	if fresh {
		w.out++
		if e.item.OrderKey != "" {
			w.outKeys[e.item.OrderKey]++
		}
	}
	return fresh
}

// giveBack ends the lease of e, if it is out, and reports whether it was.
func (w *window) giveBack(e *entry) bool {
	if e.until == 0 {
		return false
	}
	e.until = 0
	w.out--
	if w.out == 0 {
		w.until = 0
	}
	if key := e.item.OrderKey; key != "" {
		if w.outKeys[key]--; w.outKeys[key] == 0 {
			delete(w.outKeys, key)
		}
	}
	return true
}

// expire ends the leases that are over at now and returns how many.
func (w *window) expire(now int64) int {
	if w.until == 0 || now < w.until {
		return 0
	}
	n, first := 0, int64(0)
	for i := range w.lanes {
		for e := w.lanes[i].head; e != nil; e = e.next {
			switch {
			case e.until == 0:
			case e.until <= now:
				w.giveBack(e)
				n++
			case first == 0 || e.until < first:
				first = e.until
			}
		}
	}
	w.until = first
	return n
}

// earlierOut reports whether an item with the order key is out that stands
// before a place.
func (w *window) earlierOut(key string, lane int, at place) bool {
	if key == "" || w.outKeys[key] == 0 {
		return false
	}
	for i := laneControl; i <= lane; i++ {
		for x := w.lanes[i].head; x != nil && (i < lane || x.at.Before(at)); x = x.next {
			if x.until != 0 && x.item.OrderKey == key {
				return true
			}
		}
	}
	return false
}

// size is the number of items in memory.
func (w *window) size() int { return len(w.byID) }
