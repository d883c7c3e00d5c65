package sqliteindex

import (
	"context"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Tried returns how many events a search goes through for its page.
func (x *Index) Tried(ctx context.Context, q *eventlog.Query) (n int, err error) {
	err = x.read(ctx, func(v *sqlitedb.View) error {
		t := terms{secret: &x.secrets.terms}
		w, err := t.filtersOf(q).newWalk(v, q, q.After, limit(q)+1)
		if err != nil {
			return err
		}
		for hits, more := 0, true; more && hits <= limit(q); hits++ {
			if _, more, err = w.next(ctx); err != nil {
				return err
			}
		}
		n = w.looked
		return nil
	})
	return n, err
}
