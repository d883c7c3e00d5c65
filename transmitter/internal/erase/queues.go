package erase

import (
	"context"
	"errors"
	"slices"

	"github.com/tocsin-ssf/tocsin/streams"
)

// pointing returns the jtis of what points at the records.
func (e *Eraser) pointing(ctx context.Context, records []uint64) (queued, dead []string, err error) {
	for part := range slices.Chunk(records, chunk) {
		q, d, err := e.cfg.Streams.Pointing(ctx, part, maxPointing)
		if err != nil {
			return nil, nil, err
		}
		for _, it := range q {
			queued = append(queued, it.ID)
		}
		for _, it := range d {
			dead = append(dead, it.ID)
		}
	}
	return queued, dead, nil
}

// drop takes what points at the records off queues and dead letters.
func (e *Eraser) drop(ctx context.Context, records []uint64) error {
	for part := range slices.Chunk(records, chunk) {
		for {
			queued, dead, err := e.cfg.Streams.Pointing(ctx, part, chunk)
			if err != nil {
				return err
			}
			items := append(queued, dead...)
			if len(items) == 0 {
				break
			}
			by := make(map[string][]streams.Outcome)
			for _, it := range items {
				by[it.Stream] = append(by[it.Stream], streams.Outcome{ID: it.ID, Verdict: streams.Delivered})
			}
			for stream, outcomes := range by {
				if _, err := e.cfg.Streams.Settle(ctx, stream, outcomes, nil); err != nil && !errors.Is(err, streams.ErrNotFound) {
					return err
				}
			}
		}
	}
	return nil
}

// forget takes the subject out of the streams that the order covers.
func (e *Eraser) forget(ctx context.Context, o *order) (n int, err error) {
	owners := []string{""}
	if o.entry.Application != "" {
		all, err := e.cfg.Streams.Owners(ctx)
		if err != nil {
			return 0, err
		}
		owners = slices.DeleteFunc(all, func(owner string) bool {
			application, _ := streams.ApplicationOf(owner)
			return application != o.entry.Application
		})
	}
	for _, owner := range owners {
		for _, id := range o.ids {
			some, err := e.cfg.Streams.Forget(ctx, owner, id)
			if err != nil {
				return n, err
			}
			n += some
		}
	}
	return n, nil
}
