package sqlitestore

import (
	"context"
	"errors"
	"sync"
)

// readyList holds the streams for which something happened that may be work
// for a sender, each once, in order of the first cause. What is on it is only
// a hint: Ready looks at the stream itself after taking it off, so a cause
// that comes meanwhile puts it on again and none is lost.
type readyList struct {
	mu    sync.Mutex
	queue []*stream
	wake  chan struct{} // closed when the list gets its first entry
}

func (r *readyList) init() { r.wake = make(chan struct{}) }

// add puts st on the list unless it is no stream for a sender.
func (r *readyList) add(st *stream) {
	if !st.facts.Load().push {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if st.queued {
		return
	}
	st.queued = true
	r.queue = append(r.queue, st)
	if len(r.queue) == 1 {
		close(r.wake)
		r.wake = make(chan struct{})
	}
}

// next takes the first stream off the list; if there is none, wake is closed
// when there may be one.
func (r *readyList) next() (st *stream, wake <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return nil, r.wake
	}
	st = r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	st.queued = false
	return st, nil
}

// Ready implements [streams.Queue].
func (s *Store) Ready(ctx context.Context, max int) ([]string, error) {
	if max < 1 {
		return nil, errors.New("sqlitestore: ready: max must be positive")
	}
	var ids []string
	for {
		if err := ctx.Err(); err != nil && len(ids) == 0 {
			return nil, err
		}
		st, wake := s.ready.next()
		switch {
		case st != nil:
			due, err := s.isDue(ctx, st)
			if err != nil {
				s.ready.add(st)
				if len(ids) == 0 {
					return nil, failure("ready", err)
				}
				return ids, nil
			}
			if due {
				ids = append(ids, st.id)
			}
			if len(ids) == max {
				return ids, nil
			}
		case len(ids) > 0:
			return ids, nil
		default:
			select {
			case <-wake:
			case <-s.closing:
				return nil, ErrClosed
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// isDue reports whether a sender could take from st now.
func (s *Store) isDue(ctx context.Context, st *stream) (bool, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone || !st.facts.Load().push {
		return false, nil
	}
	now := s.now()
	if st.health.BacksOff(now) {
		s.due.schedule(st, st.health.NextDue.UnixNano())
		return false, nil
	}
	picked, err := s.pick(ctx, st, 1, now)
	return len(picked) > 0, err
}
