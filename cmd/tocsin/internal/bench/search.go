package bench

import (
	"context"
	"fmt"
)

const (
	searchQueries  = 300 // of a round
	searchPage     = 10
	searchLatePage = 100
	searchTarget   = 20
	searchGoal     = 50 // ms
)

// search compares searches with look-ups of the rows they find: on the first
// page, and on the hundredth.
func (b *bench) search(ctx context.Context, w workload) ([]Result, error) {
	m, err := b.million(ctx)
	if err != nil {
		return nil, err
	}
	late := workload{name: fmt.Sprintf("%s-page-%d", w.name, searchLatePage), is: fmt.Sprintf("the same, page %d", searchLatePage)}
	var first, hundredth []Round
	err = b.withLog(ctx, openCall{Dir: m.dir, Index: true}, func(p *peer) (err error) {
		for _, one := range []struct {
			workload
			page   int
			rounds *[]Round
		}{{w, 1, &first}, {late, searchLatePage, &hundredth}} {
			c := searchCall{Kind: w.name, Of: m.events, End: m.end, Queries: b.count(searchQueries), Page: one.page}
			*one.rounds, err = b.rounds(ctx, one.name, func(context.Context) (r Round, err error) {
				err = p.call("search", c, &r)
				c.First += c.Queries
				return r, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if w.name == searchIdentifier {
		w.is = fmt.Sprintf(w.is, m.events)
	} else {
		w.is += fmt.Sprintf(", of %d events", m.events)
	}
	results := []Result{w.atMost(searchTarget, "ms p99", first), late.atMost(searchTarget, "ms p99", hundredth)}
	for i := range results {
		results[i].Goal = searchGoal
	}
	return results, nil
}
