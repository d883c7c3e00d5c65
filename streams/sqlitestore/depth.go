package sqlitestore

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
)

const sqlOldest = `SELECT coalesce(min(added), 0) FROM (
	SELECT * FROM (SELECT added FROM items WHERE queue = ?1 AND lane = 0 ORDER BY seq, n LIMIT 1)
	UNION ALL SELECT * FROM (SELECT added FROM items WHERE queue = ?1 AND lane = 1 ORDER BY seq, n LIMIT 1)
	UNION ALL SELECT * FROM (SELECT added FROM items WHERE queue = ?1 AND lane = 2 ORDER BY seq, n LIMIT 1))`

// Depth implements [streams.Queue].
func (s *Store) Depth(ctx context.Context, id string) (streams.Depth, error) {
	st, err := s.index.find(id)
	if err != nil {
		return streams.Depth{}, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return streams.Depth{}, streams.ErrNotFound
	}
	s.endLeases(st, s.now())
	return s.depth(ctx, st)
}

// depth returns the depth of st. Needs st.mu.
func (s *Store) depth(ctx context.Context, st *stream) (streams.Depth, error) {
	d := streams.Depth{Items: int(st.items.Load()), Dead: int(st.dead.Load())}
	if st.win != nil {
		d.Leased = st.win.out
	}
	if d.Items == 0 {
		return d, nil
	}
	oldest, known := st.firstAdded()
	if !known {
		err := s.db.Read(ctx, func(v *view) error { return v.QueryRow(sqlOldest, st.queue).Scan(&oldest) })
		if err != nil {
			return streams.Depth{}, failure("depth", err)
		}
	}
	st.oldest.Store(oldest)
	d.Oldest = form.Instant(oldest)
	return d, nil
}

// firstAdded returns when the oldest of the lanes' first items was added, if
// they are all in memory. Needs mu.
func (st *stream) firstAdded() (oldest int64, known bool) {
	if st.win == nil {
		return 0, false
	}
	for i := range st.win.lanes {
		switch l := &st.win.lanes[i]; {
		case l.head != nil:
			if n := form.Nanos(l.head.item.Added); oldest == 0 || n < oldest {
				oldest = n
			}
		case !l.complete:
			return 0, false
		}
	}
	return oldest, true
}

// Depths implements [streams.Queue]. It costs one look at each stream in
// memory, and a read for each whose oldest item is not known yet.
func (s *Store) Depths(ctx context.Context, max int) (streams.Depth, map[string]streams.Depth, error) {
	var total streams.Depth
	var oldest time.Time
	var busy []*stream
	for _, st := range s.index.snapshot() {
		n := int(st.items.Load())
		total.Items += n
		total.Dead += int(st.dead.Load())
		if n == 0 {
			continue
		}
		busy = append(busy, st)
		old, err := s.oldestOf(ctx, st)
		if err != nil {
			return streams.Depth{}, nil, err
		}
		if !old.IsZero() && (oldest.IsZero() || old.Before(oldest)) {
			oldest = old
		}
	}
	total.Oldest = oldest
	total.Leased = int(s.leased.Load())
	slices.SortFunc(busy, func(a, b *stream) int { return int(b.items.Load() - a.items.Load()) })
	top := make(map[string]streams.Depth)
	for _, st := range busy[:min(max, len(busy))] {
		d, err := s.Depth(ctx, st.id)
		if err != nil {
			continue // deleted meanwhile
		}
		top[st.id] = d
	}
	return total, top, nil
}

// oldestOf returns when the oldest item of a stream was added.
func (s *Store) oldestOf(ctx context.Context, st *stream) (time.Time, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone || st.items.Load() == 0 {
		return time.Time{}, nil
	}
	if _, known := st.firstAdded(); !known && st.oldest.Load() != 0 {
		return form.Instant(st.oldest.Load()), nil
	}
	d, err := s.depth(ctx, st)
	return d.Oldest, err
}
