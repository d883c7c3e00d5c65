package sqlitestore

import "context"

// picker chooses what a Take hands out.
type picker struct {
	max     int
	picked  []*entry
	heldKey map[string]bool // keys known to be held back
}

// done returns what was picked.
func (p *picker) done() []*entry {
	for _, e := range p.picked {
		e.picked = false
	}
	return p.picked
}

// full reports whether nothing more is wanted.
func (p *picker) full() bool { return len(p.picked) >= p.max }

// walk picks from e on, in order.
func (p *picker) walk(w *window, e *entry, wanted func(*entry) bool) {
	for ; e != nil && !p.full(); e = e.next {
		if e.until != 0 || e.settling > 0 || e.picked || !wanted(e) {
			continue
		}
		if p.held(w, e) {
			w.held = true
			continue
		}
		e.picked = true
		p.picked = append(p.picked, e)
	}
}

// held reports whether e must wait for an earlier item with its order key.
func (p *picker) held(w *window, e *entry) bool {
	key := e.item.OrderKey
	if key == "" || w.outKeys[key] == 0 {
		return false
	}
	if p.heldKey[key] {
		return true
	}
	if !w.earlierOut(e) {
		return false
	}
	if p.heldKey == nil {
		p.heldKey = make(map[string]bool)
	}
	p.heldKey[key] = true
	return true
}

// loadMore reads what Take looks at next in a lane that is not complete: the
// next page, or where the lane is long already, a page further on of which
// only items are kept that nothing holds back. It returns the first entry
// that came, nil if none did, and whether there may be more. Needs st.mu.
func (s *Store) loadMore(ctx context.Context, st *stream, lane int) (first *entry, more bool, err error) {
	l := &st.win.lanes[lane]
	if l.n < s.window {
		first, err = s.loadPage(ctx, st, lane)
		return first, !l.complete, err
	}
	if l.farDone {
		return nil, false, nil
	}
	page, err := s.readPage(ctx, st, lane, l.far)
	if err != nil {
		return nil, false, err
	}
	for _, e := range page {
		l.far = e.at
		if key := e.item.OrderKey; key != "" && (st.win.outKeys[key] > 0 || l.skipped[key]) {
			if l.skipped == nil {
				l.skipped = make(map[string]bool)
			}
			l.skipped[key] = true
			st.win.held = true
			continue
		}
		first = s.came(st, e, first)
	}
	l.farDone = len(page) < s.page
	return first, !l.farDone, nil
}

// reconsider begins to look further anew if a key that was skipped is not
// out any more: its items may stand before those found since. Needs st.mu.
func (s *Store) reconsider(st *stream, l *lane) {
	stale := false
	for key := range l.skipped {
		stale = stale || st.win.outKeys[key] == 0
	}
	if !stale {
		return
	}
	l.far, l.farDone, l.skipped = l.loaded, false, nil
	for e := l.tail; e != nil && l.loaded.Before(e.at); e = e.prev {
		if e.until == 0 && e.settling == 0 {
			s.drop(st, e) // read again in its turn
		}
	}
}

// loadPage reads the next page of a lane and returns the first entry that
// came, nil if none did. Needs st.mu.
func (s *Store) loadPage(ctx context.Context, st *stream, lane int) (first *entry, err error) {
	l := &st.win.lanes[lane]
	page, err := s.readPage(ctx, st, lane, l.loaded)
	if err != nil {
		return nil, err
	}
	for _, e := range page {
		l.loaded = e.at
		first = s.came(st, e, first)
	}
	if lane == laneControl {
		st.arrivals = max(st.arrivals, int64(l.loaded.Seq)) // numbers only rise
	}
	l.complete = len(page) < s.page
	if l.complete || !l.loaded.Before(l.far) {
		l.far, l.farDone, l.skipped = l.loaded, l.complete, nil
	}
	return first, nil
}

// came enters an item that was read, unless it is in memory already, and
// returns the first that came.
func (s *Store) came(st *stream, e, first *entry) *entry {
	if st.win.byID[e.item.ID] != nil {
		return first
	}
	st.win.enter(e)
	s.windows.grown(1)
	if first == nil {
		return e
	}
	return first
}

func (s *Store) readPage(ctx context.Context, st *stream, lane int, after place) (page []*entry, err error) {
	err = s.db.Read(ctx, func(v *view) error {
		page, err = readItems(v, st.queue, lane, after, s.page, st.id)
		return err
	})
	return page, err
}
