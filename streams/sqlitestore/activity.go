package sqlitestore

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
)

// activityDelay is how long a mark of activity may stay in memory alone.
const activityDelay = time.Minute

// activityBatch bounds the marks that one transaction saves.
const activityBatch = 500

// activity holds the streams whose mark is not on the disk yet.
type activity struct {
	mu      sync.Mutex
	dirty   map[*stream]struct{}
	timer   *time.Timer
	stopped bool
}

func (a *activity) init() { a.dirty = make(map[*stream]struct{}) }

// note remembers st and sets the timer for the first one.
func (a *activity) note(st *stream, save func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return
	}
	a.dirty[st] = struct{}{}
	if a.timer == nil {
		a.timer = time.AfterFunc(activityDelay, save)
	}
}

// take returns what is to be saved.
func (a *activity) take() []*stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]*stream, 0, len(a.dirty))
	for st := range a.dirty {
		list = append(list, st)
	}
	clear(a.dirty)
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	return list
}

func (a *activity) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// Touch implements [streams.Registry]. The mark is saved within a minute.
func (s *Store) Touch(_ context.Context, id string, at time.Time) {
	st, err := s.index.find(id)
	if err != nil {
		return
	}
	n := form.Nanos(at)
	for {
		old := st.active.Load()
		if n <= old {
			return
		}
		if st.active.CompareAndSwap(old, n) {
			break
		}
	}
	s.activity.note(st, s.activityDue)
}

// activityDue saves the marks when the timer says so.
func (s *Store) activityDue() {
	if !s.enter() {
		return
	}
	defer s.background.Done()
	if err := s.saveActivity(context.Background()); err != nil {
		s.report(err)
	}
}

// saveActivity writes the marks that are in memory alone.
func (s *Store) saveActivity(ctx context.Context) error {
	list := s.activity.take()
	for len(list) > 0 {
		batch := list[:min(activityBatch, len(list))]
		err := s.db.Write(ctx, func(t *tx) error {
			for _, st := range batch {
				if _, err := t.Exec(`UPDATE streams SET active = ? WHERE num = ?`, st.active.Load(), st.num); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			for _, st := range list {
				s.activity.note(st, s.activityDue)
			}
			return failure("save activity", err)
		}
		list = list[len(batch):]
	}
	return nil
}

// inactivity finds the streams without activity. A stream with a timeout is
// in the heap under a time that is no later than its own; a look at the heap
// puts right what it meets.
type inactivity struct {
	mu   sync.Mutex
	heap idleHeap
	at   map[*stream]int64
}

type idleEntry struct {
	st *stream
	at int64
}

// watch enters st with its facts.
func (x *inactivity) watch(st *stream, f *facts) {
	if f.timeout <= 0 {
		return
	}
	at := st.active.Load() + int64(f.timeout)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.at == nil {
		x.at = make(map[*stream]int64)
	}
	if old, ok := x.at[st]; ok && old <= at {
		return
	}
	x.at[st] = at
	heap.Push(&x.heap, idleEntry{st, at})
}

// idleAt returns when st becomes inactive; false if never.
func (s *Store) idleAt(st *stream) (int64, bool) {
	f := st.facts.Load()
	if f.timeout <= 0 || s.index.numbered(st.num) != st {
		return 0, false
	}
	return st.active.Load() + int64(f.timeout), true
}

// Inactive implements [streams.Registry].
func (s *Store) Inactive(_ context.Context, now time.Time, max int) ([]string, error) {
	x := &s.idle
	x.mu.Lock()
	defer x.mu.Unlock()
	var ids []string
	var back []idleEntry
	for len(x.heap) > 0 && x.heap[0].at <= now.UnixNano() && len(ids) < max {
		e := heap.Pop(&x.heap).(idleEntry)
		if x.at[e.st] != e.at {
			continue // entered again under an earlier time
		}
		at, ok := s.idleAt(e.st)
		if !ok {
			delete(x.at, e.st)
			continue
		}
		f := e.st.facts.Load()
		if f.status != streams.Enabled && (f.status != streams.Paused || f.by != streams.ByReceiver) {
			delete(x.at, e.st) // the next update enters it again
			continue
		}
		x.at[e.st] = at
		back = append(back, idleEntry{e.st, at})
		if at <= now.UnixNano() {
			ids = append(ids, e.st.id)
		}
	}
	for _, e := range back {
		heap.Push(&x.heap, e)
	}
	return ids, nil
}

// idleHeap is the heap of entries by time.
type idleHeap []idleEntry

func (h idleHeap) Len() int           { return len(h) }
func (h idleHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h idleHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push appends x.
func (h *idleHeap) Push(x any) { *h = append(*h, x.(idleEntry)) }

// Pop removes the last.
func (h *idleHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = idleEntry{}
	*h = (*h)[:last]
	return e
}
