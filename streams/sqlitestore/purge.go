package sqlitestore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// sweepBatch is how many rows of what was purged one transaction erases.
const sweepBatch = 500

// moveQueue gives the stream another, empty queue; with keep its
// stream-updated items go with it, and it returns how many. The rows left
// behind are erased later.
func moveQueue(t *tx, st *stream, queue int64, keep bool) (kept int64, err error) {
	if _, err := t.Exec(`INSERT INTO garbage_queues (queue) VALUES (?)`, st.queue); err != nil {
		return 0, err
	}
	if _, err := t.Exec(`UPDATE states SET queue = ? WHERE stream = ?`, queue, st.num); err != nil {
		return 0, err
	}
	if !keep {
		return 0, nil
	}
	return change(t, sqlKeepUpdated, queue, st.queue, streams.TypeStreamUpdated)
}

// emptied makes moveQueue count and returns how many items were dropped.
// kept is how many went to the new queue. Needs st.mu.
func (s *Store) emptied(st *stream, queue int64, kept int) int {
	st.queue = queue
	dropped := int(st.items.Load()) - kept
	st.items.Store(int64(kept))
	st.control = kept
	if kept == 0 {
		st.oldest.Store(0)
	}
	w := st.win
	if w == nil {
		return dropped
	}
	for i := range w.lanes {
		l := &w.lanes[i]
		for e := l.head; e != nil; e = e.next {
			if kept == 0 || i != laneControl || e.item.Type != streams.TypeStreamUpdated {
				s.drop(st, e)
			}
		}
		if i != laneControl || kept == 0 {
			l.complete, l.skipped = true, nil
		}
	}
	return dropped
}

// Purge implements [streams.Queue].
func (s *Store) Purge(ctx context.Context, id string) (int, error) {
	st, err := s.index.find(id)
	if err != nil {
		return 0, err
	}
	st.put.Lock()
	defer st.put.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return 0, streams.ErrNotFound
	}
	queue := s.lastQueue.Add(1)
	err = s.db.Write(ctx, func(t *tx) error {
		_, err := moveQueue(t, st, queue, false)
		return err
	})
	if err != nil {
		return 0, failure("purge", err)
	}
	n := s.emptied(st, queue, 0)
	s.sweep()
	return n, nil
}

// sweeper is the state of the erasing in the background.
type sweeper struct {
	mu      sync.Mutex
	running bool
	again   bool // something was purged since it began
}

// begin reports whether the caller is to sweep.
func (w *sweeper) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again = w.running
	begin := !w.running
	w.running = true
	return begin
}

// end reports whether sweeping may end.
func (w *sweeper) end(failed bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = w.again && !failed
	w.again = false
	return !w.running
}

// sweep erases in the background what was purged, a little at a time.
func (s *Store) sweep() {
	if !s.sweeper.begin() {
		return
	}
	if !s.enter() {
		return
	}
	go func() {
		defer s.background.Done()
		for {
			err := s.sweepAll()
			if err != nil {
				s.report(failure("sweep", err))
			}
			if s.sweeper.end(err != nil) {
				return
			}
		}
	}()
}

// enter begins work in the background; false if the store is closing.
func (s *Store) enter() bool {
	s.closeMu.Lock()
	defer s.closeMu.Unlock()
	if s.isClosing() {
		return false
	}
	s.background.Add(1)
	return true
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// sweepAll erases until nothing is left or the store is closing.
func (s *Store) sweepAll() error {
	ctx := context.Background()
	for !s.isClosing() {
		var more bool
		var sets []nameSet
		err := s.db.Write(ctx, func(t *tx) error {
			var err error
			more, sets, err = sweepSome(t)
			return err
		})
		if err != nil {
			return err
		}
		s.subjects.change(sets)
		if !more {
			return nil
		}
	}
	return nil
}

// sweepSome erases some rows and reports whether there may be more.
func sweepSome(t *tx) (more bool, sets []nameSet, err error) {
	var queue, num int64
	switch found, err := first(t, `SELECT queue FROM garbage_queues LIMIT 1`, &queue); {
	case err != nil:
		return false, nil, err
	case found:
		n, err := change(t, `DELETE FROM items WHERE (queue, lane, seq, n) IN
			(SELECT queue, lane, seq, n FROM items WHERE queue = ? LIMIT ?)`, queue, sweepBatch)
		if err == nil && n < sweepBatch {
			_, err = t.Exec(`DELETE FROM garbage_queues WHERE queue = ?`, queue)
		}
		return true, nil, err
	}
	if found, err := first(t, `SELECT stream FROM garbage_streams LIMIT 1`, &num); err != nil || !found {
		return false, nil, err
	}
	dead, err := change(t, `DELETE FROM dead WHERE num IN (SELECT num FROM dead WHERE stream = ? LIMIT ?)`, num, sweepBatch)
	if err != nil {
		return false, nil, err
	}
	swept, sets, err := sweepSubjects(t, num, sweepBatch)
	if err == nil && dead < sweepBatch && swept < sweepBatch {
		_, err = t.Exec(`DELETE FROM garbage_streams WHERE stream = ?`, num)
	}
	return true, sets, err
}

// Expire implements [streams.Queue].
func (s *Store) Expire(ctx context.Context, before time.Time, max int) (map[string]int, error) {
	expired := make(map[string]int)
	limit := form.Nanos(before)
	for _, st := range s.index.snapshot() {
		if max <= 0 {
			break
		}
		if old := st.oldest.Load(); st.items.Load() == 0 || old != 0 && old >= limit {
			continue
		}
		n, err := s.expireStream(ctx, st, limit, max)
		if n > 0 {
			expired[st.id] = n
			max -= n
		}
		if err != nil {
			return expired, failure("expire", err)
		}
	}
	return expired, nil
}

// expireStream makes dead letters of up to max items of a stream that were
// added before limit. In a lane items come in the order in which they were
// added, so the first later one ends the search.
func (s *Store) expireStream(ctx context.Context, st *stream, limit int64, max int) (int, error) {
	st.put.Lock()
	defer st.put.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return 0, nil
	}
	s.endLeases(st, s.now())
	var dead []*entry
	oldest := int64(0)
	err := s.db.Write(ctx, func(t *tx) error {
		dead, oldest = dead[:0], 0
		for i := range lanes {
			found, first, err := s.overdue(t, st, i, limit, max-len(dead))
			if err != nil {
				return err
			}
			dead = append(dead, found...)
			if first != 0 && (oldest == 0 || first < oldest) {
				oldest = first
			}
		}
		now := form.Nanos(s.now())
		for _, e := range dead {
			at := []any{st.queue, e.lane, int64(e.at.Seq), int64(e.at.N)}
			if _, err := bury(t, st.num, 0, "expired", "", now, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	st.oldest.Store(oldest)
	for _, e := range dead {
		v := verdict{Outcome: streams.Outcome{ID: e.item.ID, Verdict: streams.Refused}, e: e, changes: 1}
		s.apply(st, &v, 0)
	}
	return len(dead), nil
}

// overdue returns items of a lane to be expired, and when the first item that
// stays was added. Needs st.mu.
func (s *Store) overdue(t *tx, st *stream, lane int, limit int64, max int) (found []*entry, first int64, err error) {
	var after place
	for {
		page, err := readItems(t, st.queue, lane, after, pageSize, st.id)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range page {
			after = e.at
			stays := form.Nanos(e.item.Added) >= limit
			if stays || len(found) >= max || st.isOut(e.item.ID) {
				if first == 0 {
					first = form.Nanos(e.item.Added)
				}
				if stays || len(found) >= max {
					return found, first, nil
				}
				continue
			}
			found = append(found, e)
		}
		if len(page) < pageSize {
			return found, first, nil
		}
	}
}

// isOut reports whether the item is leased or about to leave. Needs mu.
func (st *stream) isOut(jti string) bool {
	if st.win == nil {
		return false
	}
	e := st.win.byID[jti]
	return e != nil && (e.until != 0 || e.settling > 0)
}

// first reads the first row of a query; false if it has none.
func first(q querier, sql string, dest ...any) (bool, error) {
	err := q.QueryRow(sql).Scan(dest...)
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
