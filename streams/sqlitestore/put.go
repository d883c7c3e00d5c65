package sqlitestore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// MaxControl bounds the control lane of a queue, stream-updated items apart.
const MaxControl = 1000

const (
	sqlRaise    = `UPDATE states SET high_seq = ?, high_n = ?, high_ref_seq = ?, high_ref_n = ? WHERE stream = ?`
	sqlOnQueue  = `SELECT 1 FROM items WHERE queue = ? AND hash = ? AND jti = ?`
	sqlIsDead   = `SELECT 1 FROM dead WHERE stream = ? AND hash = ? AND jti = ?`
	sqlArrivals = `SELECT coalesce(max(seq), 0) FROM items WHERE queue = ? AND lane = 0`
)

// portion is the part of a Put that is for one stream.
type portion struct {
	st      *stream
	facts   *facts
	gone    bool
	locked  bool // st.mu is held over the commit
	high    streams.Position
	highRef streams.Position
	events  []*entry
	control []streams.Item
	kept    []*entry // of control
	room    int
	full    int // events above the bound
	over    int // control items above the bound
}

// Put implements [streams.Queue].
func (s *Store) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	report := streams.PutReport{Full: make(map[string]int)}
	parts := s.portions(items, &report)
	for _, p := range parts {
		p.st.put.Lock()
		defer p.st.put.Unlock()
	}
	byStream := make(map[string]*portion, len(parts))
	for _, p := range parts {
		byStream[p.st.id] = p
		p.begin(s.maxDepth)
	}
	for i := range items {
		if p := byStream[items[i].Stream]; p != nil {
			if items[i].Pos.Seq > maxSeq || items[i].Ref.Seq > maxSeq || items[i].Epoch > maxSeq {
				return streams.PutReport{}, errRange
			}
			p.judge(&items[i], &report)
		}
	}
	for _, p := range parts {
		defer p.lock()()
	}
	err := s.db.Write(ctx, func(t *tx) error {
		for _, p := range parts {
			if err := p.write(t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return streams.PutReport{}, failure("put", err)
	}
	for _, p := range parts {
		s.finish(p, &report)
	}
	return report, nil
}

// portions returns one portion per stream, in the order in which streams are
// locked; items of streams that do not exist are counted as gone.
func (s *Store) portions(items []streams.Item, report *streams.PutReport) []*portion {
	var parts []*portion
	known := make(map[string]bool)
	for i := range items {
		id := items[i].Stream
		found, seen := known[id]
		if !seen {
			st, err := s.index.find(id)
			found = err == nil
			known[id] = found
			if found {
				parts = append(parts, &portion{st: st})
			}
		}
		if !found {
			report.Gone++
		}
	}
	slices.SortFunc(parts, func(a, b *portion) int { return int(a.st.num - b.st.num) })
	return parts
}

// begin notes what decides about the items. Needs st.put.
func (p *portion) begin(maxDepth int) {
	p.st.mu.Lock()
	defer p.st.mu.Unlock()
	p.facts = p.st.facts.Load()
	p.gone = p.st.gone || p.facts.status == streams.Disabled
	p.high, p.highRef = p.st.high, p.st.highRef
	p.room = maxDepth - (int(p.st.items.Load()) - p.st.control) - int(p.st.dead.Load())
}

// lock holds st.mu over the commit if it must: arrivals in the control lane
// are numbered in the transaction. It returns what undoes it.
func (p *portion) lock() (unlock func()) {
	if len(p.control) == 0 {
		return func() {}
	}
	p.st.mu.Lock()
	p.locked = true
	return p.st.mu.Unlock
}

// judge sorts an item in: to be written, or counted in the report.
func (p *portion) judge(it *streams.Item, report *streams.PutReport) {
	switch {
	case p.gone:
		report.Gone++
	case it.Lane == streams.LaneControl:
		p.control = append(p.control, *it)
	case it.Epoch != p.facts.epoch:
		report.Gone++
	default:
		p.judgeEvent(it, report)
	}
}

func (p *portion) judgeEvent(it *streams.Item, report *streams.PutReport) {
	pos, ok := p.admit(it)
	if !ok {
		report.Seen++
		return
	}
	p.high, p.highRef = pos, it.Ref
	if p.room <= 0 {
		p.full++
		return
	}
	p.room--
	e := &entry{item: *it, lane: laneEvents, at: pos}
	e.item.Pos = pos
	fresh(&e.item)
	p.events = append(p.events, e)
	report.Kept++
}

// admit returns the position of an item that is behind all that was put
// before; false if it is not.
func (p *portion) admit(it *streams.Item) (streams.Position, bool) {
	switch {
	case it.Ref.IsZero():
		return it.Pos, p.high.Before(it.Pos)
	case it.Pos.Seq == p.high.Seq && !p.high.IsZero():
		return streams.Position{Seq: it.Pos.Seq, N: p.high.N + 1}, p.highRef.Before(it.Ref)
	}
	return streams.Position{Seq: it.Pos.Seq}, p.high.Seq < it.Pos.Seq
}

// fresh sets what the store sets in an item.
func fresh(it *streams.Item) {
	it.Attempts, it.Resent = 0, false
	it.Added = form.Instant(form.Nanos(it.Added))
}

// write writes the portion.
func (p *portion) write(t *tx) error {
	for _, e := range p.events {
		if err := insertItem(t, p.st.queue, e); err != nil {
			return err
		}
	}
	if len(p.events) > 0 || p.full > 0 {
		if _, err := t.Exec(sqlRaise, int64(p.high.Seq), int64(p.high.N), int64(p.highRef.Seq), int64(p.highRef.N), p.st.num); err != nil {
			return err
		}
	}
	var err error
	p.kept, p.over, err = putControl(t, p.st, p.st.queue, p.control)
	return err
}

// putControl writes items to the control lane of queue and returns those that
// were not known, and how many the bound kept out. Needs st.put and st.mu.
func putControl(t *tx, st *stream, queue int64, items []streams.Item) (kept []*entry, over int, err error) {
	if len(items) == 0 {
		return nil, 0, nil
	}
	var last int64
	if err := t.QueryRow(sqlArrivals, queue).Scan(&last); err != nil {
		return nil, 0, err
	}
	last = max(last, st.arrivals)
	for i := range items {
		known, err := isKnown(t, st, queue, items[i].ID)
		switch {
		case err != nil:
			return nil, 0, err
		case known:
			continue
		case st.control+len(kept) >= MaxControl && items[i].Type != streams.TypeStreamUpdated:
			over++
			continue
		}
		last++
		e := &entry{item: items[i], lane: laneControl, at: place{Seq: uint64(last)}}
		e.item.Stream, e.item.Pos = st.id, streams.Position{}
		fresh(&e.item)
		if err := insertItem(t, queue, e); err != nil {
			return nil, 0, err
		}
		kept = append(kept, e)
	}
	return kept, over, nil
}

// isKnown reports whether the jti is on the queue or among the dead letters.
func isKnown(t *tx, st *stream, queue int64, jti string) (bool, error) {
	var one int64
	err := t.QueryRow(sqlOnQueue, queue, hashOf(jti), jti).Scan(&one)
	if errors.Is(err, sqlitedb.ErrNoRows) {
		err = t.QueryRow(sqlIsDead, st.num, hashOf(jti), jti).Scan(&one)
	}
	if errors.Is(err, sqlitedb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// finish makes what was written count and wakes who waits for it.
func (s *Store) finish(p *portion, report *streams.PutReport) {
	st := p.st
	report.Kept += len(p.kept)
	report.Seen += len(p.control) - len(p.kept) - p.over
	if n := p.full + p.over; n > 0 {
		report.Full[st.id] = n
	}
	if !p.locked {
		st.mu.Lock()
		defer st.mu.Unlock()
	}
	st.high, st.highRef = p.high, p.highRef
	if len(p.events)+len(p.kept) == 0 {
		return
	}
	if st.win == nil && len(p.events) > 0 && !st.read.Before(p.events[0].at) {
		st.win = newWindow(false) // it was read, and forgotten: read it again
	}
	w := st.window()
	st.items.Add(int64(len(p.events)))
	for _, e := range p.events {
		st.aged(e.item.Added)
		if st.read.Before(e.at) && w.insert(e, w.size() >= s.window) {
			s.windows.grown(1)
		}
	}
	s.keepControl(st, p.kept)
	s.windows.keep(st)
	st.wakeTakers()
	s.ready.add(st)
}

// keepControl makes items that putControl wrote count. Needs st.mu.
func (s *Store) keepControl(st *stream, kept []*entry) {
	if len(kept) == 0 {
		return
	}
	w := st.window()
	st.items.Add(int64(len(kept)))
	st.control += len(kept)
	for _, e := range kept {
		st.arrivals = int64(e.at.Seq)
		st.aged(e.item.Added)
		if w.insert(e, false) {
			s.windows.grown(1)
		}
	}
	s.windows.keep(st)
}

// aged notes that an item added at the time came. Needs mu and the item counted.
func (st *stream) aged(added time.Time) {
	n := form.Nanos(added)
	if old := st.oldest.Load(); old == 0 && st.items.Load() > 1 || old != 0 && old <= n {
		return
	}
	st.oldest.Store(n)
}
