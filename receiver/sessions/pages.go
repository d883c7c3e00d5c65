package sessions

import (
	"context"
	"iter"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
)

// Pages yields the sessions that Find finds, page by page in the order of their IDs,
// each page of 1 to size (1 to MaxPage) sessions, until there are no more or Find
// fails. The pages that came before an error are good; sessions of a page may be
// removed before the next is asked for.
func Pages(ctx context.Context, index Index, scope receiver.Scope, until time.Time, size int) iter.Seq2[[]Session, error] {
	return func(yield func([]Session, error) bool) {
		for after := ""; ; {
			page, err := index.Find(ctx, scope, until, after, size)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 || !yield(page, nil) || len(page) < size {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}
