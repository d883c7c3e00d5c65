package sqliteindex

import (
	"context"
	"math"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// maxLists is how many lists may lead a search together.
	maxLists = 64
	// minChunk and maxChunk bound the entries that one statement looks at.
	minChunk = 8
	maxChunk = 2048
)

// The statements of a walk. An order by (at, seq) and a bound on it are what
// the tables' own order answers.
const (
	columns    = "SELECT e.at, e.seq, e.noted, e.score, e.addr, e.keys FROM "
	listNewest = columns + "(SELECT at, seq FROM posting WHERE key = ? AND (at, seq) < (?, ?) AND at > ? ORDER BY at DESC, seq DESC LIMIT ?) p" +
		" CROSS JOIN event e WHERE e.seq = p.seq ORDER BY p.at DESC, p.seq DESC"
	listOldest = columns + "(SELECT at, seq FROM posting WHERE key = ? AND (at, seq) > (?, ?) AND at < ? ORDER BY at, seq LIMIT ?) p" +
		" CROSS JOIN event e WHERE e.seq = p.seq ORDER BY p.at, p.seq"
	// Events of another type are not looked at: their columns are NULL.
	typeNewest = typed + "(SELECT at, seq, type FROM posting WHERE key = ? AND (at, seq) < (?, ?) AND at > ? ORDER BY at DESC, seq DESC LIMIT ?) p" +
		ofType + " ORDER BY p.at DESC, p.seq DESC"
	typeOldest = typed + "(SELECT at, seq, type FROM posting WHERE key = ? AND (at, seq) > (?, ?) AND at < ? ORDER BY at, seq LIMIT ?) p" +
		ofType + " ORDER BY p.at, p.seq"
	typed  = "SELECT p.at, p.seq, coalesce(e.noted, 0), e.score, e.addr, e.keys FROM "
	ofType = " LEFT JOIN event e ON e.seq = CASE p.type WHEN ? THEN p.seq END"

	timeNewest = columns + "event e WHERE (e.at, e.seq) < (?, ?) AND e.at > ? ORDER BY e.at DESC, e.seq DESC LIMIT ?"
	timeOldest = columns + "event e WHERE (e.at, e.seq) > (?, ?) AND e.at < ? ORDER BY e.at, e.seq LIMIT ?"
)

// span is a stretch of time in milliseconds, both ends exclusive.
type span struct{ from, to int64 }

func spanOf(q *eventlog.Query) span {
	s := span{math.MinInt64, math.MaxInt64}
	if !q.Start.IsZero() {
		s.from = q.Start.UnixMilli()
	}
	if !q.End.IsZero() {
		s.to = q.End.UnixMilli()
	}
	return s
}

// walk goes through the events that match, in their order.
type walk struct {
	view    *sqlitedb.View
	filters *filters
	span    span
	reverse bool
	want    int
	leaders []group // that may lead; empty: time does
	led     int     // the one that does
	lists   []*list // its lists
	looked  int     // events that were tried
	ask     int     // after how many of them to choose anew
}

// list is one of the lists that lead the walk, or all events by time.
type list struct {
	key    any // int64; nil: all events
	at     int64
	seq    int64 // where it stands
	chunk  int
	ahead  []candidate // read already
	closed bool        // nothing comes after those
}

// newWalk starts behind a position, or at the beginning, for as many hits as
// are wanted.
func (f *filters) newWalk(v *sqlitedb.View, q *eventlog.Query, after *eventlog.Hit, want int) (*walk, error) {
	w := &walk{view: v, filters: f, span: spanOf(q), reverse: q.Reverse, want: want, leaders: f.leaders(), ask: reconsider}
	if f.none || w.span.to <= w.span.from {
		return w, nil
	}
	start := w.start(after)
	if len(w.leaders) == 0 {
		w.lists = []*list{w.list(nil, start, want)}
		return w, nil
	}
	led, err := w.best(w.leaders, start)
	if err != nil {
		return nil, err
	}
	w.lead(led, start)
	return w, nil
}

// lead lets the lists of a filter lead from behind a place on.
func (w *walk) lead(led int, from eventlog.Hit) {
	w.led, w.lists = led, w.lists[:0]
	keys := w.leaders[led].any
	for _, k := range keys {
		w.lists = append(w.lists, w.list(int64(k), from, w.want/len(keys)))
	}
}

func (w *walk) list(key any, from eventlog.Hit, chunk int) *list {
	return &list{key: key, at: from.Millis, seq: int64(from.Seq), chunk: min(max(chunk, minChunk), maxChunk)}
}

// bound is the time before which the walk ends, in its direction.
func (w *walk) bound() int64 {
	if w.reverse {
		return w.span.to
	}
	return w.span.from
}

// start is where the walk begins: at an end of the span, or later.
func (w *walk) start(after *eventlog.Hit) eventlog.Hit {
	start := eventlog.Hit{Millis: w.span.to}
	if w.span.to == math.MaxInt64 {
		start.Seq = math.MaxInt64
	}
	if w.reverse {
		start = eventlog.Hit{Millis: w.span.from, Seq: math.MaxInt64}
	}
	if after != nil && (w.reverse && start.Before(*after) || !w.reverse && after.Before(start)) {
		start = *after
	}
	return start
}

// next returns the next event that matches; false at the end.
func (w *walk) next(ctx context.Context) (eventlog.Hit, bool, error) {
	for {
		var first *list
		for _, l := range w.lists {
			if len(l.ahead) == 0 && !l.closed {
				if err := w.read(ctx, l); err != nil {
					return eventlog.Hit{}, false, err
				}
			}
			if len(l.ahead) > 0 && (first == nil || l.ahead[0].Before(first.ahead[0].Hit) == w.reverse) {
				first = l
			}
		}
		if first == nil {
			return eventlog.Hit{}, false, nil
		}
		c := &first.ahead[0]
		for _, l := range w.lists { // an event may stand on several
			if l != first && len(l.ahead) > 0 && l.ahead[0].Seq == c.Seq {
				l.ahead = l.ahead[1:]
			}
		}
		first.ahead = first.ahead[1:]
		if err := w.tried(c.Hit); err != nil {
			return eventlog.Hit{}, false, err
		}
		if w.filters.match(c) {
			return c.Hit, true, nil
		}
	}
}

// tried counts an event that the walk came to. Where very many were tried, the
// lists that lead may have become longer than others, and it changes over.
func (w *walk) tried(at eventlog.Hit) error {
	if w.looked++; w.looked < w.ask || len(w.leaders) < 2 {
		return nil
	}
	w.ask *= 4
	best, err := w.best(w.leaders, at)
	if err == nil && best != w.led {
		w.lead(best, at)
	}
	return err
}

// read reads the next chunk of a list; the longer the walk, the longer the chunk.
func (w *walk) read(ctx context.Context, l *list) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sql, args := timeNewest, make([]any, 0, 6)
	one := len(w.filters.types) == 1
	switch {
	case l.key != nil && one && w.reverse:
		sql = typeOldest
	case l.key != nil && one:
		sql = typeNewest
	case l.key != nil && w.reverse:
		sql = listOldest
	case l.key != nil:
		sql = listNewest
	case w.reverse:
		sql = timeOldest
	}
	if l.key != nil {
		args = append(args, l.key)
	}
	args = append(args, l.at, l.seq, w.bound(), l.chunk)
	if l.key != nil && one {
		args = append(args, w.filters.types[0].short())
	}
	rows, err := w.view.Query(sql, args...)
	if err != nil {
		return err
	}
	l.ahead = make([]candidate, 0, l.chunk)
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.Millis, &c.Seq, &c.Noted, &c.score, &c.addr, &c.keys); err != nil {
			return err
		}
		l.ahead = append(l.ahead, c)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	l.closed = len(l.ahead) < l.chunk
	if n := len(l.ahead); n > 0 {
		l.at, l.seq = l.ahead[n-1].Millis, int64(l.ahead[n-1].Seq)
	}
	l.chunk = min(4*l.chunk, maxChunk)
	return nil
}
