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

// walk picks from a lane, in order, as far as it was looked at.
func (p *picker) walk(w *window, l *lane, wanted func(*entry) bool) {
	for e := l.head; e != nil && !p.full() && l.seen(e.at); e = e.next {
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
	if !w.earlierOut(key, e.lane, e.at) {
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
// only items are kept that nothing holds back. It reports whether there may
// be more. Needs st.mu.
func (s *Store) loadMore(ctx context.Context, st *stream, lane int) (more bool, err error) {
	l := &st.win.lanes[lane]
	if l.n < s.window {
		return true, s.loadPage(ctx, st, lane)
	}
	if l.farDone {
		return false, nil
	}
	page, err := s.readPage(ctx, st, lane, l.far)
	if err != nil {
		return false, err
	}
	for _, e := range page {
		l.far = e.at
		key := e.item.OrderKey
		if _, skipped := l.skipped[key]; skipped {
			continue
		}
		if st.win.earlierOut(key, lane, e.at) {
			if l.skipped == nil {
				l.skipped = make(map[string]place)
			}
			l.skipped[key] = e.at
			st.win.held = true
			continue
		}
		s.came(st, e)
	}
	l.farDone = len(page) < s.page
	return true, nil
}

// reconsider begins to look further anew if nothing holds back any more what
// was skipped: it may stand before what was found since. Needs st.mu.
func (s *Store) reconsider(st *stream, lane int) {
	l := &st.win.lanes[lane]
	if len(l.skipped) == 0 || st.win.holdsBack(lane) {
		return
	}
	l.far, l.farDone, l.skipped = l.loaded, false, nil
	for e := l.tail; e != nil && l.loaded.Before(e.at); e = e.prev {
		if e.until == 0 && e.settling == 0 {
			s.drop(st, e) // read again in its turn
		}
	}
}

// holdsBack reports whether something that is out stands before each item
// that was skipped. Needs mu.
func (w *window) holdsBack(lane int) bool {
	skipped := w.lanes[lane].skipped
	held := make(map[string]bool, len(skipped))
	for i := laneControl; i <= lane; i++ {
		for e := w.lanes[i].head; e != nil && len(held) < len(skipped); e = e.next {
			if e.until == 0 {
				continue
			}
			if at, ok := skipped[e.item.OrderKey]; ok && (i < lane || e.at.Before(at)) {
				held[e.item.OrderKey] = true
			}
		}
	}
	return len(held) == len(skipped)
}

// loadPage reads the next page of a lane. Needs st.mu.
func (s *Store) loadPage(ctx context.Context, st *stream, lane int) error {
	l := &st.win.lanes[lane]
	page, err := s.readPage(ctx, st, lane, l.loaded)
	if err != nil {
		return err
	}
	for _, e := range page {
		l.loaded = e.at
		s.came(st, e)
	}
	if lane == laneControl {
		st.arrivals = max(st.arrivals, int64(l.loaded.Seq)) // numbers only rise
	}
	l.complete = len(page) < s.page
	if l.complete || !l.loaded.Before(l.far) {
		l.far, l.farDone, l.skipped = l.loaded, l.complete, nil
	}
	return nil
}

// came enters an item that was read, unless it is in memory already.
func (s *Store) came(st *stream, e *entry) {
	if e.lane == laneEvents && st.read.Before(e.at) {
		st.read = e.at
	}
	if st.win.byID[e.item.ID] == nil {
		st.win.enter(e)
		s.windows.grown(1)
	}
}

func (s *Store) readPage(ctx context.Context, st *stream, lane int, after place) (page []*entry, err error) {
	err = s.db.Read(ctx, func(v *view) error {
		page, err = readItems(v, st.queue, lane, after, s.page, st.id)
		return err
	})
	return page, err
}
