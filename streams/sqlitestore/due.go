package sqlitestore

import (
	"container/heap"
	"slices"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// lookAgain bounds the wait of the timer: the clock may be set back meanwhile.
const lookAgain = 10 * time.Minute

// dueTimes wakes streams at a time: for the end of a lease or of a back-off.
// There is one timer for all, set to the first time.
type dueTimes struct {
	store *Store

	mu      sync.Mutex
	heap    dueHeap
	timer   *time.Timer // nil: none was needed yet
	armed   int64       // what the timer is set to; 0: not set
	looked  time.Time   // when all were last looked at
	stopped bool
}

func (d *dueTimes) init(s *Store) { d.store = s }

// schedule makes the stream be looked at no later than at.
func (d *dueTimes) schedule(st *stream, at int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.stopped:
		return
	case st.dueIdx == 0:
		st.dueAt = at
		heap.Push(&d.heap, st)
	case at < st.dueAt:
		st.dueAt = at
		heap.Fix(&d.heap, st.dueIdx-1)
	default:
		return
	}
	d.arm()
}

// arm sets the timer to the first time. Needs mu.
func (d *dueTimes) arm() {
	if len(d.heap) == 0 || d.armed != 0 && d.armed <= d.heap[0].dueAt {
		return
	}
	d.armed = d.heap[0].dueAt
	wait := min(time.Duration(d.armed-d.store.now().UnixNano()), lookAgain)
	if d.timer == nil {
		d.timer = time.AfterFunc(max(wait, 0), d.fire)
	} else {
		d.timer.Reset(max(wait, 0))
	}
}

// fire looks at the streams whose time has come.
func (d *dueTimes) fire() {
	now := d.store.now()
	d.mu.Lock()
	d.armed = 0
	var list []*stream
	for !d.stopped && len(d.heap) > 0 && d.heap[0].dueAt <= now.UnixNano() {
		list = append(list, heap.Pop(&d.heap).(*stream))
	}
	list = append(list, d.tooFar(now)...)
	if !d.stopped {
		d.arm()
	}
	d.mu.Unlock()
	for _, st := range list {
		d.store.comeDue(st, now)
	}
}

// tooFar takes off the streams whose time was set by a clock that was ahead.
// It looks at all of them, and so now and then only. Needs mu.
func (d *dueTimes) tooFar(now time.Time) []*stream {
	if since := now.Sub(d.looked); since >= 0 && since < lookAgain {
		return nil
	}
	d.looked = now
	far := now.Add(streams.MaxBackOff).UnixNano()
	var list []*stream
	for _, st := range slices.Clone(d.heap) {
		if st.dueAt > far {
			heap.Remove(&d.heap, st.dueIdx-1)
			list = append(list, st)
		}
	}
	return list
}

// stop ends the timer.
func (d *dueTimes) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.heap = nil
	if d.timer != nil {
		d.timer.Stop()
	}
}

// comeDue ends the leases that are over and reports a back-off that is over.
func (s *Store) comeDue(st *stream, now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return
	}
	s.endLeases(st, now)
	if st.win != nil && st.win.until != 0 {
		s.due.schedule(st, st.win.until)
	}
	switch next := st.health.NextDue; {
	case st.health.BacksOff(now):
		s.due.schedule(st, next.UnixNano())
	case !next.IsZero():
		s.ready.add(st)
	}
}

// dueHeap is the heap of streams by dueAt.
type dueHeap []*stream

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].dueAt < h[j].dueAt }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].dueIdx, h[j].dueIdx = i+1, j+1
}

// Push appends x.
func (h *dueHeap) Push(x any) {
	st := x.(*stream)
	*h = append(*h, st)
	st.dueIdx = len(*h)
}

// Pop removes the last.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	st := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	st.dueIdx = 0
	return st
}
