package sqliteindex

import (
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Search implements eventlog.Index.
func (x *Index) Search(ctx context.Context, q *eventlog.Query) (eventlog.Page, error) {
	head, err := x.log.Head(ctx)
	if err != nil {
		return eventlog.Page{}, fmt.Errorf("sqliteindex: search: %w", err)
	}
	var page eventlog.Page
	err = x.read(ctx, func(v *sqlitedb.View) error {
		var err error
		page, err = x.search(ctx, v, q, head)
		return err
	})
	if err != nil {
		return eventlog.Page{}, fmt.Errorf("sqliteindex: search: %w", x.judge(ctx, err, head))
	}
	return page, nil
}

func (x *Index) search(ctx context.Context, v *sqlitedb.View, q *eventlog.Query, head uint64) (eventlog.Page, error) {
	place, err := x.checkPlace(v, head)
	if err != nil {
		return eventlog.Page{}, err
	}
	rest, err := x.scan(ctx, place, head, func(r *eventlog.Record) bool { return q.Matches(r, &r.Attributes) })
	if err != nil {
		return eventlog.Page{}, err
	}
	late, err := x.late(ctx, rest, q)
	if err != nil {
		return eventlog.Page{}, err
	}
	t := terms{secret: &x.secrets.terms}
	f := t.filtersOf(q)
	hits, err := collect(ctx, v, f, q, rest.touched)
	if err != nil {
		return eventlog.Page{}, err
	}
	hits = merge(hits, afterHit(late, q), q.Reverse)
	var page eventlog.Page
	page.More = len(hits) > limit(q)
	page.Hits = hits[:min(limit(q), len(hits))]
	if q.TotalHits > 0 {
		page.Total, err = total(ctx, v, f, q, rest.touched, len(late))
	}
	return page, err
}

// checkPlace returns how far the snapshot has the log, if a search can read the rest.
func (x *Index) checkPlace(v *sqlitedb.View, head uint64) (uint64, error) {
	var place uint64
	if err := v.QueryRow("SELECT seq FROM place").Scan(&place); err != nil {
		return 0, err
	}
	if head > place+maxScan {
		return 0, &eventlog.BehindError{Place: place, Head: head}
	}
	return place, nil
}

// collect returns the hits of a page and one more, as the index has them.
func collect(ctx context.Context, v *sqlitedb.View, f *filters, q *eventlog.Query, without map[uint64]bool) ([]eventlog.Hit, error) {
	want := limit(q) + 1
	w, err := f.newWalk(v, q, q.After, want)
	if err != nil {
		return nil, err
	}
	hits := make([]eventlog.Hit, 0, want)
	for len(hits) < want {
		h, ok, err := w.next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if !without[h.Seq] {
			hits = append(hits, h)
		}
	}
	return hits, nil
}

// total counts all matches, up to q.TotalHits; those found elsewhere count already.
func total(ctx context.Context, v *sqlitedb.View, f *filters, q *eventlog.Query, without map[uint64]bool, elsewhere int) (int, error) {
	n := elsewhere
	w, err := f.newWalk(v, q, nil, q.TotalHits)
	if err != nil {
		return 0, err
	}
	for n < q.TotalHits {
		h, ok, err := w.next(ctx)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		if !without[h.Seq] {
			n++
		}
	}
	return min(n, q.TotalHits), nil
}

func limit(q *eventlog.Query) int { return min(max(q.Limit, 1), eventlog.MaxPage) }

// merge puts two lists in one order.
func merge(a, b []eventlog.Hit, reverse bool) []eventlog.Hit {
	if len(b) == 0 {
		return a
	}
	all := append(slices.Clip(a), b...)
	order(all, reverse)
	return all
}

func order(hits []eventlog.Hit, reverse bool) {
	slices.SortFunc(hits, func(a, b eventlog.Hit) int {
		switch {
		case a == b:
			return 0
		case a.Before(b) == reverse:
			return -1
		}
		return 1
	})
}

// afterHit returns those of hits that come after the page's beginning.
func afterHit(hits []eventlog.Hit, q *eventlog.Query) []eventlog.Hit {
	if q.After == nil {
		return hits
	}
	return slices.DeleteFunc(slices.Clone(hits), func(h eventlog.Hit) bool {
		if q.Reverse {
			return !q.After.Before(h)
		}
		return !h.Before(*q.After)
	})
}

// rest is what the log has that the index has not yet.
type rest struct {
	events  []eventlog.Hit  // that match
	touched map[uint64]bool // events that were annotated
	ids     []string        // theirs
}

// scan reads the log behind the index's place.
func (x *Index) scan(ctx context.Context, place, head uint64, matches func(*eventlog.Record) bool) (*rest, error) {
	found := &rest{}
	for place < head {
		records, err := x.log.Read(ctx, place, minBatch)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if r.Seq > head {
				return found, nil
			}
			place = r.Seq
			switch {
			case r.Erased:
			case r.Kind == eventlog.KindAnnotation:
				if a, err := eventlog.AnnotationOf(r); err == nil {
					found.ids = append(found.ids, a.Event)
				}
			case r.Kind == eventlog.KindEvent && matches(r):
				found.events = append(found.events, eventlog.Hit{Millis: r.At(), Seq: r.Seq})
			}
		}
	}
	return found, nil
}

// late returns what matches of the rest, in order, annotations applied, and
// fills in which events the index knows in an older state.
func (x *Index) late(ctx context.Context, found *rest, q *eventlog.Query) ([]eventlog.Hit, error) {
	hits := found.events
	if len(found.ids) > 0 {
		found.touched = make(map[uint64]bool, len(found.ids))
		slices.Sort(found.ids)
		found.ids = slices.Compact(found.ids)
		for _, id := range found.ids {
			r, said, err := x.annotated(ctx, id)
			if err != nil {
				return nil, err
			}
			if r == nil {
				continue
			}
			found.touched[r.Seq] = true
			hits = slices.DeleteFunc(hits, func(h eventlog.Hit) bool { return h.Seq == r.Seq })
			if a := eventlog.Merge(r.Attributes, said, q.Owner); q.Matches(r, &a) {
				hits = append(hits, eventlog.Hit{Millis: r.At(), Seq: r.Seq, Noted: true})
			}
		}
	}
	order(hits, q.Reverse)
	return hits, nil
}

// Of implements eventlog.Index.
func (x *Index) Of(ctx context.Context, ids []subject.Identifier, after, before uint64, max int) ([]uint64, error) {
	head, err := x.log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqliteindex: of a subject: %w", err)
	}
	if before > 0 {
		head = min(head, before-1)
	}
	var seqs []uint64
	err = x.read(ctx, func(v *sqlitedb.View) error {
		place, err := x.checkPlace(v, head)
		if err != nil {
			return err
		}
		if seqs, err = x.mentioned(v, ids, after, head, max); err != nil || len(seqs) >= max {
			return err
		}
		if place < after {
			place = after
		}
		found, err := x.scan(ctx, place, head, func(r *eventlog.Record) bool { return eventlog.MentionsAny(&r.Event, ids) })
		if err != nil {
			return err
		}
		for _, h := range found.events {
			seqs = append(seqs, h.Seq)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqliteindex: of a subject: %w", x.judge(ctx, err, head))
	}
	return seqs[:min(max, len(seqs))], nil
}

// mentioned reads the lists of subjects.
func (x *Index) mentioned(v *sqlitedb.View, ids []subject.Identifier, after, last uint64, max int) ([]uint64, error) {
	t := terms{secret: &x.secrets.terms}
	var seqs []uint64
	for _, k := range t.ofSubjects(ids) {
		rows, err := v.Query("SELECT seq FROM mention WHERE key = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
			int64(k), int64(after), int64(last), max)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var seq uint64
			if err := rows.Scan(&seq); err != nil {
				return nil, err
			}
			seqs = append(seqs, seq)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	slices.Sort(seqs)
	return slices.Compact(seqs), nil
}
