package exercise

import (
	"context"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// Pushed returns a store that is the same to push, and is watched.
func (e *Exercise) Pushed(store push.Store) push.Store { return pushed{store, e} }

type pushed struct {
	push.Store
	e *Exercise
}

func (q pushed) Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	items, err := q.Store.Take(ctx, stream, opts)
	q.e.taken(items)
	return items, err
}

func (q pushed) Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	items, err := q.Store.Settle(ctx, stream, outcomes, health)
	if err == nil {
		q.e.settled(outcomes)
	}
	return items, err
}

// Polled returns a queue that is the same to polls, and is watched.
func (e *Exercise) Polled(queue streams.Queue) streams.Queue { return polled{queue, e} }

type polled struct {
	streams.Queue
	e *Exercise
}

func (q polled) Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	items, err := q.Queue.Take(ctx, stream, opts)
	q.e.taken(items)
	return items, err
}

func (q polled) Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	items, err := q.Queue.Settle(ctx, stream, outcomes, health)
	if err == nil {
		q.e.settled(outcomes)
	}
	return items, err
}
