package sqlitejournal

import (
	"context"

	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
)

// PlanOf and PlanList return how SQLite answers Of and List.
func (j *Journal) PlanOf(ctx context.Context) (string, error) {
	return j.plan(ctx, ofEvent, "", "", "")
}

func (j *Journal) PlanList(ctx context.Context, q journal.Query) (string, error) {
	text, args := list(q)
	return j.plan(ctx, text, args...)
}

func (j *Journal) plan(ctx context.Context, query string, args ...any) (plan string, err error) {
	err = j.db.Read(ctx, func(v *sqlitedb.View) error {
		var id, parent, unused int64
		return v.QueryRow("EXPLAIN QUERY PLAN "+query, args...).Scan(&id, &parent, &unused, &plan)
	})
	return plan, err
}
