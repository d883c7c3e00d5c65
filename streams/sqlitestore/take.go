package sqlitestore

import (
	"context"
	"errors"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// Take implements [streams.Queue].
func (s *Store) Take(ctx context.Context, id string, opts streams.TakeOptions) ([]streams.Item, error) {
	if opts.Max < 1 || opts.Lease <= 0 {
		return nil, errors.New("sqlitestore: take: Max and Lease must be positive")
	}
	st, err := s.index.find(id)
	if err != nil {
		return nil, err
	}
	for {
		items, wake, err := s.takeNow(ctx, st, opts)
		if err != nil || len(items) > 0 || !opts.Wait {
			return items, err
		}
		select {
		case <-wake:
		case <-s.closing:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// takeNow leases what can be handed out now; if that is nothing, wake is
// closed when it may have changed.
func (s *Store) takeNow(ctx context.Context, st *stream, opts streams.TakeOptions) (items []streams.Item, wake <-chan struct{}, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return nil, nil, streams.ErrNotFound
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	now := s.now()
	picked, err := s.pick(ctx, st, opts.Max, now)
	if err != nil {
		return nil, nil, failure("take", err)
	}
	if len(picked) == 0 {
		if !opts.Wait {
			return nil, nil, nil
		}
		return nil, st.waiting(), nil
	}
	until := now.Add(opts.Lease).UnixNano()
	items = make([]streams.Item, len(picked))
	for i, e := range picked {
		if st.win.lease(e, until) {
			s.leased.Add(1)
		}
		items[i] = e.item
	}
	s.due.schedule(st, until)
	return items, nil, nil
}

// pick chooses up to max items that can be handed out at now, in order.
// Needs st.mu.
func (s *Store) pick(ctx context.Context, st *stream, max int, now time.Time) ([]*entry, error) {
	if st.items.Load() == 0 {
		return nil, nil
	}
	w := st.window()
	s.windows.keep(st)
	s.endLeases(st, now)
	wanted := func(*entry) bool { return true }
	last := laneEvents
	if st.facts.Load().status != streams.Enabled {
		wanted = func(e *entry) bool { return e.item.Type == streams.TypeStreamUpdated }
		last = laneControl
	}
	p := picker{max: max}
	for i := laneControl; i <= last && !p.full(); i++ {
		l := &w.lanes[i]
		s.reconsider(st, i)
		p.walk(w, l, wanted)
		for !p.full() && !l.complete {
			more, err := s.loadMore(ctx, st, i)
			if err != nil {
				p.done()
				return nil, err
			}
			if !more {
				break
			}
			p.walk(w, l, wanted)
		}
	}
	return p.done(), nil
}

// endLeases gives back what is over at now and tells those who wait for it.
// Needs st.mu.
func (s *Store) endLeases(st *stream, now time.Time) {
	if st.win == nil {
		return
	}
	if n := st.win.expire(now.UnixNano()); n > 0 {
		s.leased.Add(int64(-n))
		st.wakeTakers()
		s.ready.add(st)
	}
}

// Extend implements [streams.Queue].
func (s *Store) Extend(_ context.Context, id string, ids []string, lease time.Duration) error {
	st, err := s.index.find(id)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	now := s.now()
	s.endLeases(st, now)
	if st.win == nil {
		return nil
	}
	until := now.Add(lease).UnixNano()
	for _, jti := range ids {
		if e := st.win.byID[jti]; e != nil && e.until != 0 {
			st.win.lease(e, until)
		}
	}
	if st.win.until != 0 {
		s.due.schedule(st, st.win.until)
	}
	return nil
}

// More implements [streams.Queue].
func (s *Store) More(ctx context.Context, id string) (bool, error) {
	st, err := s.index.find(id)
	if err != nil {
		return false, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return false, streams.ErrNotFound
	}
	picked, err := s.pick(ctx, st, 1, s.now())
	return len(picked) > 0, err
}
