package sqlitestore

import (
	"context"
	"encoding/json"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
)

const (
	sqlBury = `INSERT INTO dead (stream, hash, jti, seq, n, epoch, type, key, subject, payload, added, attempts, control, resent, ref_seq, ref_n, code, text, at)
		SELECT ?, hash, jti, seq, n, epoch, type, key, subject, payload, added, attempts + ?, control, resent, ref_seq, ref_n, ?, ?, ?
		FROM items WHERE queue = ? AND lane = ? AND seq = ? AND n = ?`
	sqlAttempt    = `UPDATE items SET attempts = attempts + 1 WHERE queue = ? AND lane = ? AND seq = ? AND n = ?`
	sqlSaveHealth = `INSERT INTO health (stream, state) VALUES (?, ?) ON CONFLICT (stream) DO UPDATE SET state = excluded.state`
	sqlNoHealth   = `DELETE FROM health WHERE stream = ?`
	sqlUnbury     = `DELETE FROM dead WHERE stream = ? AND hash = ? AND jti = ?`
)

// verdict is an outcome with the item it is about.
type verdict struct {
	streams.Outcome
	e       *entry
	memory  bool // e is the window's own
	changes int64
}

// settlement is what one Settle does.
type settlement struct {
	queue  int64
	list   []verdict
	health *streams.Health // nil: it is the stream's already
	// acked are jtis that were delivered and are on the queue no more: they
	// may be dead letters, of which erased is the number.
	acked  []string
	erased int64
}

// leaves reports whether the item leaves the queue.
func (v *verdict) leaves() bool {
	return v.Verdict == streams.Delivered || v.Verdict == streams.Refused
}

// Settle implements [streams.Queue].
func (s *Store) Settle(ctx context.Context, id string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	st, err := s.index.find(id)
	if err != nil {
		return nil, err
	}
	for {
		items, again, err := s.settleOnce(ctx, st, outcomes, health)
		if err != nil {
			return nil, failure("settle", err)
		}
		if !again {
			return items, nil
		}
	}
}

// settleOnce applies the verdicts. again tells that the queue was purged
// meanwhile, so that items that survived it must be looked for anew.
func (s *Store) settleOnce(ctx context.Context, st *stream, outcomes []streams.Outcome, health *streams.Health) (items []streams.Item, again bool, err error) {
	set, err := s.beginSettle(ctx, st, outcomes, health)
	if err != nil {
		return nil, false, err
	}
	list := set.list
	if set.needsWrite() {
		err = s.db.Write(ctx, func(t *tx) error { return s.writeVerdicts(t, st, set) })
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for i := range list {
		if list[i].memory && list[i].leaves() {
			st.win.settle(list[i].e, -1)
		}
	}
	if err != nil {
		return nil, false, err
	}
	if st.gone {
		return nil, false, streams.ErrNotFound
	}
	st.dead.Add(-set.erased)
	if st.queue != set.queue {
		return nil, true, nil
	}
	s.endSettle(st, list, set.health)
	for i := range list {
		items = append(items, list[i].e.item)
	}
	return items, false, nil
}

// beginSettle finds the items and keeps those that leave from being taken.
func (s *Store) beginSettle(ctx context.Context, st *stream, outcomes []streams.Outcome, health *streams.Health) (*settlement, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return nil, streams.ErrNotFound
	}
	list := make([]verdict, 0, len(outcomes))
	var missing []int
	for _, o := range outcomes {
		v := verdict{Outcome: o}
		if st.win != nil {
			v.e = st.win.byID[o.ID]
		}
		if v.memory = v.e != nil; !v.memory {
			missing = append(missing, len(list))
		}
		list = append(list, v)
	}
	if len(missing) > 0 && st.onDisk() {
		err := s.db.Read(ctx, func(v *view) error {
			for _, i := range missing {
				e, err := itemByID(v, st.queue, st.id, list[i].ID)
				if err != nil {
					return err
				}
				list[i].e = e
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	set := &settlement{queue: st.queue}
	known := list[:0]
	for _, v := range list {
		if v.e == nil {
			if v.Verdict == streams.Delivered && st.dead.Load() > 0 {
				set.acked = append(set.acked, v.ID)
			}
			continue
		}
		if !v.memory && v.After > 0 {
			if err := s.bring(ctx, st, &v); err != nil {
				return nil, err
			}
		}
		known = append(known, v)
	}
	for i := range known {
		if known[i].memory && known[i].leaves() {
			st.win.settle(known[i].e, 1)
		}
	}
	set.list = known
	if health != nil && *health != st.health {
		set.health = health
	}
	return set, nil
}

// bring loads the queue as far as the item of v, which is to be hidden in
// memory. Needs st.mu.
func (s *Store) bring(ctx context.Context, st *stream, v *verdict) error {
	l := &st.window().lanes[v.e.lane]
	for l.loaded.Before(v.e.at) && !l.complete {
		if err := s.loadPage(ctx, st, v.e.lane); err != nil {
			return err
		}
	}
	if e := st.win.byID[v.ID]; e != nil {
		v.e, v.memory = e, true
	}
	s.windows.keep(st)
	return nil
}

// onDisk reports whether items of the queue may be on the disk alone. Needs mu.
func (st *stream) onDisk() bool {
	if st.items.Load() == 0 {
		return false
	}
	if st.win == nil {
		return true
	}
	for i := range st.win.lanes {
		if !st.win.lanes[i].complete {
			return true
		}
	}
	return false
}

func (set *settlement) needsWrite() bool {
	for i := range set.list {
		if set.list[i].Verdict != streams.Released {
			return true
		}
	}
	return set.health != nil || len(set.acked) > 0
}

// writeVerdicts writes what became of the items.
func (s *Store) writeVerdicts(t *tx, st *stream, set *settlement) error {
	for i := range set.list {
		v := &set.list[i]
		at := []any{set.queue, v.e.lane, int64(v.e.at.Seq), int64(v.e.at.N)}
		var err error
		switch v.Verdict {
		case streams.Delivered:
			v.changes, err = change(t, sqlDeleteItem, at...)
		case streams.Refused:
			v.changes, err = bury(t, st.num, 1, v.Code, v.Description, form.Nanos(s.now()), at)
		case streams.Failed:
			v.changes, err = change(t, sqlAttempt, at...)
		case streams.Released:
		}
		if err != nil {
			return err
		}
	}
	set.erased = 0 // the transaction may run again
	for _, jti := range set.acked {
		n, err := change(t, sqlUnbury, st.num, hashOf(jti), jti)
		if err != nil {
			return err
		}
		set.erased += n
	}
	return saveHealth(t, st, set.health)
}

// change runs a statement and returns how many rows it changed.
func change(t *tx, sql string, args ...any) (int64, error) {
	r, err := t.Exec(sql, args...)
	return r.Changes, err
}

// bury makes a dead letter of the item at a place of a queue.
func bury(t *tx, num int64, attempts int, code, text string, now int64, at []any) (int64, error) {
	n, err := change(t, sqlBury, append([]any{num, attempts, code, text, now}, at...)...)
	if err != nil || n == 0 {
		return 0, err
	}
	return change(t, sqlDeleteItem, at...)
}

// saveHealth writes a health that changed; nil: it did not.
func saveHealth(t *tx, st *stream, health *streams.Health) error {
	if health == nil {
		return nil
	}
	if *health == (streams.Health{}) {
		_, err := t.Exec(sqlNoHealth, st.num)
		return err
	}
	state, err := json.Marshal(health)
	if err != nil {
		return err
	}
	_, err = t.Exec(sqlSaveHealth, st.num, string(state))
	return err
}

// endSettle makes what was written count. Needs st.mu.
func (s *Store) endSettle(st *stream, list []verdict, health *streams.Health) {
	now := s.now()
	returned := false
	for i := range list {
		if s.apply(st, &list[i], now.UnixNano()) {
			returned = true
		}
	}
	if st.items.Load() == 0 {
		st.oldest.Store(0)
	}
	if health != nil {
		st.health = *health
		returned = true
	}
	if st.win != nil {
		if st.win.held {
			st.win.held, returned = false, true
		}
		if st.win.until != 0 {
			s.due.schedule(st, st.win.until)
		}
	}
	if returned {
		st.wakeTakers()
		s.ready.add(st)
	}
}

// apply makes one verdict count and reports whether the item returned.
func (s *Store) apply(st *stream, v *verdict, now int64) (returned bool) {
	if st.win != nil {
		switch e := st.win.byID[v.ID]; {
		case e == nil:
			v.memory = false
		case e == v.e:
		case !v.memory && e.lane == v.e.lane && e.at == v.e.at: // loaded meanwhile
			v.e, v.memory = e, true
		default:
			v.memory = false
		}
	} else {
		v.memory = false
	}
	if v.leaves() {
		s.left(st, v)
		return false
	}
	if v.Verdict == streams.Failed {
		v.e.item.Attempts++
	}
	if !v.memory {
		return true
	}
	if v.Verdict == streams.Failed && v.After > 0 {
		if st.win.lease(v.e, now+int64(v.After)) {
			s.leased.Add(1)
		}
		return false
	}
	if st.win.giveBack(v.e) {
		s.leased.Add(-1)
	}
	return true
}

// left counts an item that left the queue, and takes it out of memory.
func (s *Store) left(st *stream, v *verdict) {
	st.items.Add(-v.changes)
	if v.e.lane == laneControl {
		st.control -= int(v.changes)
	}
	if v.Verdict == streams.Refused {
		st.dead.Add(v.changes)
		v.e.item.Attempts++
	}
	if v.memory {
		s.drop(st, v.e)
	}
}

// drop takes an item that left the queue out of memory. Needs st.mu.
func (s *Store) drop(st *stream, e *entry) {
	if e.until != 0 {
		s.leased.Add(-1)
	}
	st.win.remove(e)
	s.windows.grown(-1)
}

// Health implements [streams.Queue].
func (s *Store) Health(_ context.Context, id string) (streams.Health, error) {
	st, err := s.index.find(id)
	if err != nil {
		return streams.Health{}, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.health, nil
}
