package sqliteindex

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// signal wakes all who wait for a change.
type signal struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next change; nil: nobody waits
}

// wait returns a channel that is closed at the next tell.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

func (s *signal) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}

// Wait implements eventlog.Index.
func (x *Index) Wait(ctx context.Context, seq uint64) error {
	x.waiting.Add(1)
	defer x.waiting.Add(-1)
	for {
		moved := x.moved.wait()
		if x.place.Load() >= seq {
			return nil
		}
		select {
		case x.hurry <- struct{}{}:
		default:
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pace implements eventlog.Pacer. While the index is built anew nothing is held up.
func (x *Index) Pace(ctx context.Context) error {
	head, err := x.log.Head(ctx)
	if err != nil {
		return err
	}
	trail := x.trail()
	if x.building.Load() || head <= x.place.Load()+trail {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, paceWait)
	defer cancel()
	if err := x.Wait(wait, head-trail); err != nil && ctx.Err() == nil {
		return eventlog.ErrPaced
	}
	return ctx.Err()
}

// trail is how many records the index may be behind.
func (x *Index) trail() uint64 {
	rate := x.rate.Load()
	if rate == 0 {
		return MaxTrail
	}
	return uint64(min(max(int64(paceTime.Seconds()*float64(rate)), minTrail), MaxTrail))
}

// measure takes note of how fast a batch was indexed.
func (x *Index) measure(records int, took time.Duration) {
	if records < minBatch/4 || took <= 0 {
		return // too few to tell
	}
	now := int64(float64(records) / took.Seconds())
	if had := x.rate.Load(); had > 0 {
		now = (3*had + now) / 4
	}
	x.rate.Store(max(now, 1))
}
