package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// activityDelay is how long a mark of activity may stay in memory alone.
const activityDelay = 10 * time.Second

const _ = uint64(streams.ActivityLag - activityDelay) // not below zero

// activity holds the marks that are not saved yet, by stream, in nanoseconds.
type activity struct {
	mu      sync.Mutex
	marks   map[string]int64
	timer   *time.Timer
	stopped bool
}

func (a *activity) init() { a.marks = make(map[string]int64) }

// note remembers a mark and sets the timer for the first one.
func (a *activity) note(id string, at int64, save func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped || a.marks[id] >= at {
		return
	}
	a.marks[id] = at
	if a.timer == nil {
		a.timer = time.AfterFunc(activityDelay, save)
	}
}

// of returns the mark of a stream, 0 if there is none.
func (a *activity) of(id string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.marks[id]
}

func (a *activity) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.marks, id)
}

// unsaved returns the marks by partition, as arguments, and lets the next one set the timer.
func (a *activity) unsaved() (byPart [streams.Partitions][]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	for id, at := range a.marks {
		n := streams.PartitionOf(id)
		byPart[n] = append(byPart[n], id, at)
	}
	return byPart
}

// saved drops marks that are saved, unless there are later ones.
func (a *activity) saved(marks []any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := 0; i < len(marks); i += 2 {
		if id := redisdb.Text(marks[i]); a.marks[id] == redisdb.Number(marks[i+1]) {
			delete(a.marks, id)
		}
	}
}

// again sets the timer where marks could not be saved.
func (a *activity) again(save func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer == nil && !a.stopped {
		a.timer = time.AfterFunc(activityDelay, save)
	}
}

func (a *activity) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// Touch implements [streams.Registry]. The mark is saved within activityDelay.
func (s *Store) Touch(_ context.Context, id string, at time.Time) {
	s.activity.note(id, form.Nanos(at), s.activityDue)
}

// activityDue saves the marks when the timer says so.
func (s *Store) activityDue() {
	if !s.enter() {
		return
	}
	defer s.background.Done()
	if err := s.saveActivity(context.Background()); err != nil {
		s.log.Warn("the activity of streams could not be saved", "err", err)
		s.activity.again(s.activityDue)
	}
}

// saveActivity saves the marks that are in memory alone.
func (s *Store) saveActivity(ctx context.Context) error {
	var errs []error
	for n, marks := range s.activity.unsaved() {
		for len(marks) > 0 && len(errs) == 0 {
			batch := marks[:min(2*maxBatch, len(marks))]
			marks = marks[len(batch):]
			if _, err := s.call(ctx, request{part: n}, s.scripts.touch, batch...); err != nil {
				errs = append(errs, err)
			} else {
				s.activity.saved(batch)
			}
		}
	}
	return errors.Join(errs...)
}
